"""Settings of sign-in providers: off, whole, or a sentence that names what is missing."""

import pytest
from pydantic import ValidationError

from core.settings import Settings, read_settings
from core.sign_in_settings import GoogleSettings, OAuthSettings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PETFOLIO_DATABASE_URL", "postgresql://nobody@127.0.0.1/none")
    monkeypatch.setenv("PETFOLIO_REDIS_URL", "redis://127.0.0.1:1")
    return monkeypatch


def test_what_a_compose_file_passes_on_empty_is_not_set(environment: pytest.MonkeyPatch) -> None:
    for name in ("CLIENT_ID", "CLIENT_SECRET", "ISSUER"):
        environment.setenv(f"PETFOLIO_GOOGLE__{name}", "")
    assert Settings().google == GoogleSettings()


def test_a_provider_that_is_half_set_up_keeps_the_process_from_starting(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PETFOLIO_APPLE__CLIENT_ID", "our.service")
    with pytest.raises(SystemExit, match="PETFOLIO_APPLE"):
        read_settings()


@pytest.mark.parametrize("path", ["", "sign-in", "//evil.test", "/a?b", "/a#b", "/a\\b", "https://evil.test"])
def test_a_place_that_could_be_another_site_is_no_setting(path: str) -> None:
    with pytest.raises(ValidationError):
        OAuthSettings(next_paths=(path,))
