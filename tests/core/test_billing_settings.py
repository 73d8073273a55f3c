"""Settings of billing: off, whole, or a sentence that names what is wrong and tells no secret."""

import pytest

from core.settings import Settings, read_settings

TEST, LIVE, SECRET = "sk_test_local", "sk_live_1", "whsec_1"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PETFOLIO_DATABASE_URL", "postgresql://nobody@127.0.0.1/none")
    monkeypatch.setenv("PETFOLIO_REDIS_URL", "redis://127.0.0.1:1")
    return monkeypatch


def _set(environment: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        environment.setenv(f"PETFOLIO_STRIPE_{name.upper()}", value)


def test_without_a_key_billing_is_off(environment: pytest.MonkeyPatch) -> None:
    _set(environment, api_key="", api_base="", webhook_secrets="")
    settings = Settings()
    assert (settings.stripe_api_key, settings.stripe_api_base, settings.stripe_webhook_secrets) == (None, None, ())


def test_secrets_come_in_their_order(environment: pytest.MonkeyPatch) -> None:
    _set(environment, api_key=TEST, webhook_secrets=f"{SECRET}, whsec_0")
    assert [each.get_secret_value() for each in Settings().stripe_webhook_secrets] == [SECRET, "whsec_0"]


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": TEST, "webhook_secrets": SECRET, "api_base": "http://127.0.0.1:8050"},
        {"api_key": LIVE, "webhook_secrets": SECRET, "livemode": "true"},
        {"api_key": LIVE, "webhook_secrets": SECRET, "livemode": "true", "api_base": "https://api.stripe.com"},
    ],
)
def test_what_fits_together_starts(environment: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    _set(environment, **given)
    assert Settings().stripe_api_key is not None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"api_key": TEST}, "WEBHOOK_SECRETS"),
        ({"api_key": TEST, "webhook_secrets": " , "}, "WEBHOOK_SECRETS"),
        ({"api_key": LIVE, "livemode": "true"}, "WEBHOOK_SECRETS"),
        (
            {"api_key": LIVE, "webhook_secrets": SECRET, "livemode": "true", "api_base": "http://127.0.0.1:1"},
            "API_BASE",
        ),
        (
            {"api_key": "rk_live_1", "webhook_secrets": SECRET, "livemode": "true", "api_base": "http://x.test"},
            "API_BASE",
        ),
        (
            {"api_key": LIVE, "webhook_secrets": SECRET, "livemode": "true", "api_base": "http://api.stripe.com"},
            "API_BASE",
        ),
        (
            {
                "api_key": LIVE,
                "webhook_secrets": SECRET,
                "livemode": "true",
                "api_base": "https://api.stripe.com.evil.test",
            },
            "API_BASE",
        ),
        ({"api_key": LIVE, "webhook_secrets": SECRET}, "LIVEMODE"),
        ({"api_key": TEST, "webhook_secrets": SECRET, "livemode": "true"}, "LIVEMODE"),
    ],
)
def test_what_could_charge_for_nothing_or_believe_anybody_does_not_start(
    environment: pytest.MonkeyPatch, given: dict[str, str], named: str
) -> None:
    _set(environment, **given)
    with pytest.raises(SystemExit, match=f"PETFOLIO_STRIPE_{named}") as ended:
        read_settings()
    assert SECRET not in str(ended.value)
    assert given["api_key"] not in str(ended.value)
