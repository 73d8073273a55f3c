"""Consent to a calendar, at both vendors: the code, the tokens that follow from it, and how it ends."""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from core.pkce import challenge_of
from integrations.calendar.errors import SCOPE_MISSING
from integrations.calendar.oauth import VENDORS, Grant, OAuth, OAuthClient, TokenSource
from integrations.calendar.protocol import CalendarError, NeedsReauth, ProviderName, UnknownOutcome
from integrations.identity.http import client
from tests.calendar_servers import APPS, ControlClient, Provider, somebody
from tests.contracts.calendar_vendors import registered


class Consent:
    """Somebody at a vendor, and what they tick on its page."""

    def __init__(self, control: ControlClient, http: httpx.AsyncClient) -> None:
        self.control, self.http = control, http
        self.vendor = VENDORS[ProviderName(control.provider)]
        self.oauth = OAuth(http, self.vendor, registered(control))
        self.callback = APPS.of(control.provider).callback
        self.verifier = secrets.token_urlsafe(48)

    def begin(self) -> str:
        """Where the browser is sent."""
        return self.oauth.authorize_url(redirect_uri=self.callback, state="state-1", verifier=self.verifier)

    async def code(self, *, without: str = "") -> str:
        """What the browser comes back with."""
        ticked = {scope: "yes" for scope in self.vendor.scopes if scope != without}
        form = {"email": self.control.account, "decision": "allow", **ticked}
        answer = await self.http.post(self.begin(), data=form)
        back = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert back["state"] == ["state-1"]
        return back["code"][0]

    async def given(self, **ticked: str) -> Grant:
        """The whole way."""
        return await self.oauth.exchange(await self.code(**ticked), self.verifier, self.callback)


@pytest.fixture(params=["google", "microsoft"])
async def consent(request: pytest.FixtureRequest, calendar_servers: str) -> AsyncIterator[Consent]:
    provider: Provider = request.param
    control = somebody(calendar_servers, provider)
    async with client() as http:
        yield Consent(control, http)
    control.clear_rules()


async def test_the_browser_is_sent_with_a_challenge_and_no_secret(consent: Consent) -> None:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(consent.begin()).query).items()}
    assert (asked["code_challenge"], asked["code_challenge_method"]) == (challenge_of(consent.verifier), "S256")
    assert (asked["state"], asked["redirect_uri"]) == ("state-1", consent.callback)
    assert consent.vendor.needed in asked["scope"].split()
    assert APPS.of(consent.control.provider).client_secret not in consent.begin()
    assert consent.verifier not in consent.begin()


async def test_a_consent_gives_lasting_access_to_a_named_account(consent: Consent) -> None:
    grant = await consent.given()
    assert grant.account is not None
    assert grant.account.label == consent.control.account
    assert grant.account.key.startswith(f"{consent.control.provider}:")
    assert consent.control.account not in grant.account.key
    assert timedelta(minutes=50) < grant.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert (await consent.oauth.refresh(grant.refresh_token)).access_token != grant.access_token


async def test_the_same_person_is_the_same_account_and_another_is_another(consent: Consent) -> None:
    first, again = await consent.given(), await consent.given()
    other = await Consent(consent.control.another(), consent.http).given()
    assert first.account == again.account != other.account


async def test_a_code_counts_once_and_for_who_began(consent: Consent) -> None:
    code = await consent.code()
    await consent.oauth.exchange(code, consent.verifier, consent.callback)
    with pytest.raises(NeedsReauth):
        await consent.oauth.exchange(code, consent.verifier, consent.callback)
    with pytest.raises(NeedsReauth):
        await consent.oauth.exchange(await consent.code(), secrets.token_urlsafe(48), consent.callback)


async def test_a_consent_without_the_calendar_is_none(consent: Consent) -> None:
    with pytest.raises(NeedsReauth) as refused:
        await consent.given(without=consent.vendor.needed)
    assert refused.value.problem_code == SCOPE_MISSING


async def test_a_consent_that_was_withdrawn_needs_the_person(consent: Consent) -> None:
    grant = await consent.given()
    consent.control.grant("invalid_grant")
    with pytest.raises(NeedsReauth):
        await consent.oauth.refresh(grant.refresh_token)


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"effect": "reset"}])
async def test_a_failing_server_is_no_end_of_the_consent(consent: Consent, fault: dict[str, object]) -> None:
    grant = await consent.given()
    consent.control.fault(path="token", method="POST", account=None, **fault)
    with pytest.raises(UnknownOutcome) as failed:
        await consent.oauth.refresh(grant.refresh_token)
    assert failed.value.retryable
    assert (await consent.oauth.refresh(grant.refresh_token)).access_token


async def test_our_own_wrong_secret_is_not_the_person_s_fault(consent: Consent) -> None:
    ours = registered(consent.control)
    wrong = OAuthClient(ours.client_id, "wrong", ours.authorize_url, ours.token_url)
    with pytest.raises(CalendarError) as refused:
        await OAuth(consent.http, consent.vendor, wrong).refresh("anything")
    assert not isinstance(refused.value, NeedsReauth)


async def test_a_consent_can_be_given_back_and_given_back_again(consent: Consent) -> None:
    grant = await consent.given()
    await consent.oauth.revoke(grant.refresh_token)
    await consent.oauth.revoke(grant.refresh_token)
    if consent.control.provider == "google":
        with pytest.raises(NeedsReauth):
            await consent.oauth.refresh(grant.refresh_token)


class Kept:
    """What a token source hands over, and a clock that stands still."""

    def __init__(self, consent: Consent, refresh_token: str) -> None:
        self.tokens: list[str] = []
        self.now = datetime.now(UTC)
        self.source = TokenSource(consent.oauth, refresh_token, self.keep, lambda: self.now)

    async def keep(self, refresh_token: str) -> None:
        self.tokens.append(refresh_token)


def refreshes(control: ControlClient) -> int:
    """How often anybody asked the token endpoint."""
    return sum(each["path"].endswith("/token") for each in control._call("GET", "log"))


async def test_many_calls_at_once_renew_the_token_once(consent: Consent) -> None:
    kept = Kept(consent, (await consent.given()).refresh_token)
    before = refreshes(consent.control)
    found = await asyncio.gather(*(kept.source.token() for _ in range(20)))
    assert len(set(found)) == 1
    assert refreshes(consent.control) == before + 1
    kept.now += timedelta(minutes=59)
    assert await kept.source.token() not in found
    assert refreshes(consent.control) == before + 2


async def test_a_rotated_refresh_token_is_handed_over_and_used(consent: Consent) -> None:
    first = (await consent.given()).refresh_token
    kept = Kept(consent, first)
    await kept.source.token()
    kept.now += timedelta(hours=2)
    await kept.source.token()
    if consent.control.provider == "microsoft":
        assert len(set(kept.tokens)) == 2
        assert first not in kept.tokens
    else:
        assert kept.tokens == []


async def test_a_refused_token_is_renewed_once_and_only_once(consent: Consent) -> None:
    kept = Kept(consent, (await consent.given()).refresh_token)
    used: list[str] = []

    async def refuse_first(token: str) -> str:
        used.append(token)
        if len(used) == 1:
            raise NeedsReauth("refused")
        return token

    assert await kept.source.authorized(refuse_first) == used[1] != used[0]

    async def refuse(token: str) -> str:
        used.append(token)
        raise NeedsReauth("refused")

    used.clear()
    with pytest.raises(NeedsReauth):
        await kept.source.authorized(refuse)
    assert len(used) == 2


@pytest.mark.parametrize("token", [None, "", "a.b", "a.b.c", "..", "e30.e30.e30", 7])
async def test_an_id_token_that_says_nothing_names_no_account(token: object) -> None:
    await _refused(ProviderName.GOOGLE, token)


async def test_an_id_token_for_somebody_else_names_no_account() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"aud": "another", "sub": "1"}).encode()).decode()
    await _refused(ProviderName.GOOGLE, f"e30.{claims}.")


async def test_an_answer_that_is_no_grant_is_none() -> None:
    for document in ({}, {"access_token": "a"}, {"refresh_token": "b"}, {"access_token": 1, "refresh_token": 2}):
        with pytest.raises(NeedsReauth):
            await _exchange(ProviderName.MICROSOFT, document)


async def _refused(name: ProviderName, token: object) -> None:
    scope = VENDORS[name].needed
    with pytest.raises(CalendarError) as refused:
        await _exchange(name, {"access_token": "a", "refresh_token": "b", "scope": scope, "id_token": token})
    assert not isinstance(refused.value, NeedsReauth)


async def _exchange(name: ProviderName, document: dict[str, object]) -> Grant:
    """What becomes of an answer of a token endpoint."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=document))
    ours = OAuthClient("us", "secret", "https://vendor.test/authorize", "https://vendor.test/token")
    async with httpx.AsyncClient(transport=transport) as http:
        return await OAuth(http, VENDORS[name], ours).exchange("code", "v" * 43, "https://us.test/back")


def test_secrets_are_not_shown() -> None:
    ours = OAuthClient("us", "s3cret", "a", "t")
    grant = Grant("acc3ss", "r3fresh", datetime.now(UTC))
    assert "s3cret" not in repr(ours)
    assert "3" not in repr(grant).partition("expires_at")[0]
