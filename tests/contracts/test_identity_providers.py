"""What every sign-in provider promises, asked of the memory adapter and of all three vendors; what each one gets."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from core.pkce import challenge_of
from core.settings import Settings
from domain.oauth import Provider
from infra.local.emulators import oidc
from integrations.identity.apple import AppleProvider
from integrations.identity.facebook import FacebookProvider
from integrations.identity.factory import open_providers
from integrations.identity.google import GoogleProvider
from integrations.identity.id_token import KEPT, PAUSE, KeyRing
from integrations.identity.memory import MemoryProvider
from integrations.identity.protocol import (
    Attempt,
    ExternalIdentity,
    IdentityProvider,
    IdentityRefused,
    ProviderUnavailable,
)
from tests.sign_in_providers import Form, Providers, ProviderServer, consent, somebody


@dataclass
class Way:
    """One adapter, and how people and its vendor behave."""

    provider: IdentityProvider
    server: ProviderServer | None
    public_url: str

    def attempt(self) -> Attempt:
        path = f"{self.public_url}/api/v1/auth/oauth/{self.provider.name}/callback"
        return Attempt(path, *(secrets.token_urlsafe(48) for _ in range(3)))

    async def clicked(self, attempt: Attempt, person: Form) -> tuple[str, str | None]:
        """(code, the user of Apple's form)"""
        if isinstance(self.provider, MemoryProvider):
            return self.provider.consent(attempt, ExternalIdentity("https://memory.test", person["email"])), None
        async with httpx.AsyncClient() as http:
            back = await consent(http, self.provider.authorize_url(attempt), person)
        form = dict(parse_qsl(back.content.decode() if back.method == "POST" else back.url.query.decode()))
        assert form["state"] == attempt.state
        return form["code"], form.get("user")

    async def identity(self, person: Form) -> ExternalIdentity:
        """The whole way."""
        attempt = self.attempt()
        code, user = await self.clicked(attempt, person)
        return await self.provider.identify(attempt, code, user)

    @contextmanager
    def away(self):  # type: ignore[no-untyped-def]
        if isinstance(self.provider, MemoryProvider):
            with self.provider.away():
                yield
        else:
            assert self.server is not None
            self.server.fault(status=503, count=9)
            yield
            self.server.clear()


@asynccontextmanager
async def opened(settings: Settings, servers: Providers, name: str) -> AsyncIterator[Way]:
    if name == "memory":
        yield Way(MemoryProvider(), None, "https://api.test")
        return
    async with open_providers(servers.settings(settings)) as found:
        yield Way(found[Provider(name)], servers.named(name), servers.public_url)


@pytest.fixture(params=["memory", "google", "apple", "facebook"])
async def way(request: pytest.FixtureRequest, settings: Settings, providers: Providers) -> AsyncIterator[Way]:
    async with opened(settings, providers, request.param) as found:
        yield found


@pytest.fixture
async def google(settings: Settings, providers: Providers) -> AsyncIterator[Way]:
    async with opened(settings, providers, "google") as found:
        yield found


@pytest.fixture
async def apple(settings: Settings, providers: Providers) -> AsyncIterator[Way]:
    async with opened(settings, providers, "apple") as found:
        yield found


@pytest.fixture
async def facebook(settings: Settings, providers: Providers) -> AsyncIterator[Way]:
    async with opened(settings, providers, "facebook") as found:
        yield found


class TestEveryProvider:
    async def test_the_browser_is_sent_with_our_state_to_come_back_to_exactly_one_place(self, way: Way) -> None:
        attempt = way.attempt()
        asked = parse_qs(urlsplit(way.provider.authorize_url(attempt)).query)
        assert (asked["state"], asked["redirect_uri"]) == ([attempt.state], [attempt.redirect_uri])
        assert attempt.verifier not in way.provider.authorize_url(attempt)

    async def test_the_same_person_is_the_same_subject_of_the_same_issuer(self, way: Way) -> None:
        person = somebody()
        first, second = await way.identity(person), await way.identity(person)
        assert (first.issuer, first.subject) == (second.issuer, second.subject)
        assert first.issuer == way.provider.issuer
        assert (await way.identity(somebody())).subject != first.subject

    async def test_a_code_is_good_once(self, way: Way) -> None:
        attempt = way.attempt()
        code, _ = await way.clicked(attempt, somebody())
        await way.provider.identify(attempt, code)
        with pytest.raises(IdentityRefused):
            await way.provider.identify(attempt, code)

    async def test_a_code_of_another_attempt_proves_nothing(self, way: Way) -> None:
        """Injected into somebody's callback it meets another verifier, or another nonce."""
        code, _ = await way.clicked(way.attempt(), somebody())
        with pytest.raises(IdentityRefused):
            await way.provider.identify(way.attempt(), code)

    @pytest.mark.parametrize("code", ["", "nonsense", "\x00", "🐈" * 200])
    async def test_a_made_up_code_proves_nothing(self, way: Way, code: str) -> None:
        with pytest.raises(IdentityRefused):
            await way.provider.identify(way.attempt(), code)

    async def test_one_that_is_away_says_nothing_about_the_person(self, way: Way) -> None:
        attempt = way.attempt()
        code, _ = await way.clicked(attempt, somebody())
        with way.away(), pytest.raises(ProviderUnavailable) as raised:
            await way.provider.identify(attempt, code)
        assert code not in str(raised.value)

    async def test_a_grant_can_be_ended_twice(self, way: Way) -> None:
        found = await way.identity(somebody())
        await way.provider.revoke(found)
        await way.provider.revoke(found)


REASONS = {
    "nonce": "nonce",
    "no_nonce": "nonce",
    "aud": "audience",
    "aud_list": "audience",
    "azp": "authorized_party",
    "iss": "issuer",
    "expired": "token_ExpiredTokenError",
    "no_exp": "token_MissingClaimError",
    "future": "token_InvalidClaimError",
    "no_sub": "subject",
    "alg_none": "header",
    "alg_hs256": "header",
    "kid": "unknown_key",
    "no_kid": "header",
    "jwk": "header",
    "signature": "token_BadSignatureError",
    "garbage": "header",
}


@pytest.mark.parametrize("name", ["google", "apple"])
@pytest.mark.parametrize("twist", [*oidc.CLAIMS, *oidc.FORMS])
async def test_a_token_that_is_wrong_in_anything_proves_nothing(
    settings: Settings, providers: Providers, name: str, twist: str
) -> None:
    async with opened(settings, providers, name) as way:
        assert way.server is not None
        way.server.twist(twist)
        with pytest.raises(IdentityRefused) as raised:
            await way.identity(somebody())
        assert raised.value.why == REASONS[twist]
        assert (await way.identity(somebody())).subject


async def test_a_key_that_is_published_later_is_found_and_others_are_not_asked_for_all_the_time(
    google: Way, apple: Way
) -> None:
    for way in (google, apple):
        assert way.server is not None
        person = somebody()
        before = await way.identity(person)
        asked = len(way.server.calls("jwks"))
        assert await way.identity(person)
        assert len(way.server.calls("jwks")) == asked
        way.server.rotate()
        ring = way.provider._statements._keys  # type: ignore[attr-defined]
        ring._asked -= PAUSE + 1
        assert (await way.identity(person)).subject == before.subject
        for _ in range(3):
            way.server.twist("kid")
            with pytest.raises(IdentityRefused):
                await way.identity(person)
        assert len(way.server.calls("jwks")) == asked + 1


async def test_published_keys_are_looked_at_anew_after_a_day(google: Way) -> None:
    assert google.server is not None
    now = 0.0
    async with httpx.AsyncClient() as http:
        ring = KeyRing(http, f"{google.server.origin}/jwks", clock=lambda: now)
        with pytest.raises(IdentityRefused):
            await ring.key("nobody")
        asked = len(google.server.calls("jwks"))
        now = KEPT + 1
        google.server.fault(status=503, service="jwks")
        with pytest.raises(ProviderUnavailable):
            await ring.key("nobody")
        with pytest.raises(IdentityRefused):
            await ring.key("nobody")
    assert len(google.server.calls("jwks")) == asked + 1  # the one that failed is none that was answered


async def test_keys_that_nobody_can_read_are_the_provider_s_fault(google: Way) -> None:
    assert google.server is not None
    google.server.twist("jwks_garbage")
    with pytest.raises(ProviderUnavailable):
        await google.identity(somebody())


class TestGoogle:
    @pytest.mark.parametrize(
        ("person", "verified", "authoritative"),
        [
            ({"email": "a@gmail.com", "verified": "yes"}, True, True),
            ({"email": "a@GMAIL.com", "verified": "yes"}, True, True),
            ({"email": "a@gmail.com"}, False, False),
            ({"email": "a@firm.test", "verified": "yes", "hd": "yes"}, True, True),
            ({"email": "a@firm.test", "hd": "yes"}, False, False),
            ({"email": "a@firm.test", "verified": "yes"}, True, False),
            ({"email": "a@notgmail.com", "verified": "yes"}, True, False),
        ],
    )
    async def test_it_speaks_for_its_own_addresses_and_those_of_a_workspace(
        self, google: Way, person: Form, verified: bool, authoritative: bool
    ) -> None:
        found = await google.identity(person)
        assert (found.email, found.email_verified, found.authoritative) == (person["email"], verified, authoritative)

    async def test_it_is_asked_with_pkce_and_a_nonce(self, google: Way) -> None:
        attempt = google.attempt()
        asked = dict(parse_qsl(urlsplit(google.provider.authorize_url(attempt)).query))
        assert asked["code_challenge"] == challenge_of(attempt.verifier)
        assert (asked["code_challenge_method"], asked["nonce"]) == ("S256", attempt.nonce)
        code, _ = await google.clicked(attempt, somebody())
        await google.provider.identify(attempt, code)
        assert google.server is not None
        fields = google.server.calls("token")[-1]["fields"]
        assert (fields["code_verifier"], fields["redirect_uri"]) == (attempt.verifier, attempt.redirect_uri)

    async def test_both_spellings_of_its_issuer_are_one_issuer(self, settings: Settings, providers: Providers) -> None:
        one = providers.settings(settings).google
        spelled = one.model_copy(update={"issuer": "https://accounts.google.com"})
        both = GoogleProvider(httpx.AsyncClient(), spelled, "id", "secret")
        assert both._statements._issuers == {"https://accounts.google.com", "accounts.google.com"}
        assert both.issuer == "https://accounts.google.com"

    async def test_our_own_wrong_secret_is_not_the_person_s_fault(
        self, settings: Settings, providers: Providers
    ) -> None:
        one = providers.settings(settings).google
        async with httpx.AsyncClient() as http:
            provider = GoogleProvider(http, one, str(one.client_id), "wrong")
            with pytest.raises(ProviderUnavailable, match="invalid_client"):
                await Way(provider, providers.google, providers.public_url).identity(somebody())


class TestApple:
    async def test_the_name_comes_with_the_first_consent_only(self, apple: Way) -> None:
        person = somebody()
        first, second = await apple.identity(person), await apple.identity(person)
        assert (first.first_name, first.last_name) == ("Ada", "Lovelace")
        assert (second.first_name, second.last_name) == (None, None)
        assert first.subject == second.subject

    @pytest.mark.parametrize(
        "user", ["", "null", "[]", '{"name": 1}', '{"name": {"firstName": {}}}', "{" * 5000, '{"name": null}']
    )
    async def test_a_name_that_is_none_does_no_harm(self, apple: Way, user: str) -> None:
        attempt = apple.attempt()
        code, _ = await apple.clicked(attempt, somebody())
        assert (await apple.provider.identify(attempt, code, user)).first_name is None

    async def test_it_speaks_for_every_address_it_verified_also_for_its_relay(self, apple: Way) -> None:
        shown = await apple.identity(somebody(private="yes"))
        assert shown.email is not None
        assert shown.email.endswith("@privaterelay.appleid.com")
        assert (shown.email_verified, shown.authoritative) == (True, True)
        unverified = await apple.identity({"email": f"{secrets.token_hex(4)}@firm.test"})
        assert (unverified.email_verified, unverified.authoritative) == (False, False)

    async def test_it_is_asked_for_a_form_with_a_nonce_and_without_pkce(self, apple: Way) -> None:
        attempt = apple.attempt()
        asked = dict(parse_qsl(urlsplit(apple.provider.authorize_url(attempt)).query))
        assert (asked["response_mode"], asked["nonce"]) == ("form_post", attempt.nonce)
        assert not {"code_challenge", "code_verifier"} & asked.keys()

    async def test_the_client_secret_is_a_token_of_five_minutes(self, settings: Settings, providers: Providers) -> None:
        one = providers.settings(settings).apple
        key = ECKey.generate_key("P-256")
        provider = AppleProvider(httpx.AsyncClient(), one, "our.service", "TEAM", key, clock=lambda: 1_800_000_000)
        token = jwt.decode(provider._client_secret(), key, algorithms=["ES256"])
        assert (token.header["alg"], token.header["kid"]) == ("ES256", one.key_id)
        assert token.claims == {
            "iss": "TEAM",
            "sub": "our.service",
            "aud": one.issuer,
            "iat": 1_800_000_000,
            "exp": 1_800_000_300,
        }

    async def test_a_secret_under_another_key_is_our_own_fault(self, settings: Settings, providers: Providers) -> None:
        one = providers.settings(settings).apple
        async with httpx.AsyncClient() as http:
            key = ECKey.generate_key("P-256")
            provider = AppleProvider(http, one, str(one.client_id), str(one.team_id), key)
            with pytest.raises(ProviderUnavailable, match="invalid_client"):
                await Way(provider, providers.apple, providers.public_url).identity(somebody())

    async def test_after_revocation_it_asks_the_person_anew(self, apple: Way) -> None:
        person = somebody()
        found = await apple.identity(person)
        assert found.refresh_token
        assert (await apple.identity(person)).first_name is None
        await apple.provider.revoke(found)
        assert (await apple.identity(person)).first_name == "Ada"
        assert apple.server is not None
        assert apple.server.calls("revoke")[-1]["fields"]["token_type_hint"] == "refresh_token"

    @pytest.mark.parametrize("twist", ["aud", "iss", "signature", "alg_none", "alg_hs256", "kid", "jwk", "garbage"])
    async def test_a_notice_that_is_not_signed_for_us_is_refused(self, apple: Way, twist: str) -> None:
        assert apple.server is not None
        assert isinstance(apple.provider, AppleProvider)
        apple.server.twist(twist)
        payload = apple.server.tell("notices", email="a@b.test", kind="consent-revoked", send=False)["payload"]
        with pytest.raises(IdentityRefused):
            await apple.provider.read_notice(payload)

    async def test_a_notice_names_who_and_what(self, apple: Way) -> None:
        assert apple.server is not None
        assert isinstance(apple.provider, AppleProvider)
        person = somebody()
        found = await apple.identity(person)
        payload = apple.server.tell("notices", email=person["email"], kind="consent-revoked", send=False)["payload"]
        notice = await apple.provider.read_notice(payload)
        assert (notice.kind, notice.subject) == ("consent-revoked", found.subject)
        assert notice.id

    async def test_an_id_token_is_no_notice_and_the_other_way_round(self, apple: Way) -> None:
        assert apple.server is not None
        assert isinstance(apple.provider, AppleProvider)
        payload = apple.server.tell("notices", email="a@b.test", kind="consent-revoked", send=False)["payload"]
        with pytest.raises(IdentityRefused):
            await apple.provider._statements.id_token(payload, "")


class TestFacebook:
    async def test_its_addresses_never_count(self, facebook: Way) -> None:
        found = await facebook.identity(somebody())
        assert found.email is not None
        assert (found.email_verified, found.authoritative) == (False, False)
        assert (await facebook.identity(somebody(hidden="yes"))).email is None

    async def test_graph_is_asked_with_proof_and_the_token_in_no_address(self, facebook: Way) -> None:
        assert facebook.server is not None
        await facebook.identity(somebody())
        asked = facebook.server.calls("me")[-1]["fields"]
        assert asked["fields"] == "id,email"
        assert len(asked["appsecret_proof"]) == 64
        token = facebook.server.calls("debug_token")[-1]["fields"]["input_token"]
        assert token not in asked.values()

    @pytest.mark.parametrize("twist", ["app_id", "invalid", "user_id"])
    async def test_a_token_of_another_app_or_person_proves_nothing(self, facebook: Way, twist: str) -> None:
        assert facebook.server is not None
        facebook.server.twist(twist)
        with pytest.raises(IdentityRefused):
            await facebook.identity(somebody())

    async def test_a_token_of_nobody_is_the_provider_s_fault(self, facebook: Way) -> None:
        assert facebook.server is not None
        facebook.server.twist("no_user")
        with pytest.raises(ProviderUnavailable):
            await facebook.identity(somebody())

    async def test_a_wish_to_be_forgotten_is_read_and_an_altered_one_refused(self, facebook: Way) -> None:
        assert facebook.server is not None
        assert isinstance(facebook.provider, FacebookProvider)
        person = somebody()
        found = await facebook.identity(person)
        signed = facebook.server.tell("deletions", email=person["email"], send=False)["signed_request"]
        wish = facebook.provider.read_deletion(signed)
        assert wish.subject == found.subject
        assert facebook.provider.read_deletion(signed).id == wish.id
        signature, payload = signed.split(".")
        for wrong in ("", ".", signed[:-2], f"{signature}.", f".{payload}", f"{payload}.{payload}", "é.é", "x" * 9000):
            with pytest.raises(IdentityRefused):
                facebook.provider.read_deletion(wrong)


@pytest.mark.parametrize("name", ["google", "apple", "facebook"])
async def test_nobody_at_the_other_end_is_named_without_an_address(
    settings: Settings, providers: Providers, name: str
) -> None:
    on = providers.settings(settings)
    nowhere = {"token_url": "http://127.0.0.1:9/t", "graph_url": "http://127.0.0.1:9"}
    one = getattr(on, name)
    moved = one.model_copy(update={key: value for key, value in nowhere.items() if hasattr(one, key)})
    async with open_providers(on.model_copy(update={name: moved})) as found:
        way = Way(found[Provider(name)], providers.named(name), providers.public_url)
        with pytest.raises(ProviderUnavailable) as raised:
            await way.provider.identify(way.attempt(), "code")
    assert "127.0.0.1" not in str(raised.value)


async def test_a_provider_without_client_id_is_off(settings: Settings, providers: Providers) -> None:
    async with open_providers(settings) as none:
        assert not none
    on = providers.settings(settings)
    async with open_providers(on.model_copy(update={"apple": settings.apple})) as two:
        assert list(two) == [Provider.GOOGLE, Provider.FACEBOOK]


async def test_a_key_of_apple_s_that_is_none_keeps_the_process_from_starting(
    settings: Settings, providers: Providers
) -> None:
    on = providers.settings(settings)
    for wrong in ("", "nonsense", "-----BEGIN PRIVATE KEY-----\\n-----END PRIVATE KEY-----"):
        apple = on.apple.model_copy(update={"private_key": type(on.apple.private_key)(wrong)})  # type: ignore[call-arg]
        with pytest.raises(SystemExit, match="PETFOLIO_APPLE__PRIVATE_KEY"):
            async with open_providers(on.model_copy(update={"apple": apple})):
                pass


def test_an_attempt_shows_no_secret_when_it_is_printed() -> None:
    attempt = Attempt("https://api.test/callback", "state-1", "nonce-1", "verifier-1")
    assert not any(word in repr(attempt) for word in ("state-1", "nonce-1", "verifier-1"))
    assert "ada" not in repr(replace(ExternalIdentity("i", "s"), email="ada@x.test", refresh_token="ada"))
