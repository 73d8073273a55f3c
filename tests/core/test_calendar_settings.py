"""Where calendar providers reach us, by the settings of a deployment."""

import pytest

from core.settings import Settings

HOOKS = "https://hooks.example"


@pytest.mark.parametrize(
    ("push_url", "public_url", "reached_at"),
    [
        (HOOKS, "https://petfolio.example", HOOKS),
        (f"{HOOKS}/", "https://petfolio.example", HOOKS),
        (f"{HOOKS}/behind/", "https://petfolio.example", f"{HOOKS}/behind"),
        ("", "https://petfolio.example", "https://petfolio.example"),
        ("", "https://petfolio.example/", "https://petfolio.example"),
        ("", "http://localhost:8000", None),
        ("http://127.0.0.1:9/", "http://localhost:8000", "http://127.0.0.1:9"),
    ],
)
def test_providers_reach_what_is_set_or_a_public_address_without_a_slash_at_its_end(
    monkeypatch: pytest.MonkeyPatch, push_url: str, public_url: str, reached_at: str | None
) -> None:
    """A path is added to it, and `//api` is another one."""
    monkeypatch.setenv("PETFOLIO_DATABASE_URL", "postgresql://nobody@127.0.0.1/none")
    monkeypatch.setenv("PETFOLIO_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("PETFOLIO_PUBLIC_URL", public_url)
    monkeypatch.setenv("PETFOLIO_CALENDARS__PUSH_URL", push_url)
    assert Settings().push_url == reached_at
