"""Signing in with Google, Apple and Facebook, over real sockets on all sides (identity-and-security.md §8, 21-27)."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlmodel import col

from api.mailed_links import PACE_SECONDS
from core.pkce import challenge_of
from core.settings import Settings
from core.sign_in_settings import OAuthSettings
from domain.oauth import Provider
from models.session import MailTokenKind
from models.user import AuthIdentity, User
from tests.api.front import Front, open_front, with_providers
from tests.api.signing_in import PASSWORD, Api, audit_of
from tests.sign_in_providers import Providers, consent, said, somebody

ALL = [*Provider]


@pytest.fixture(scope="module")
def settings(settings: Settings, provider_servers: Providers) -> Settings:
    return with_providers(settings, provider_servers)


@pytest.fixture(scope="module")
async def front(settings: Settings, provider_servers: Providers, api: Api) -> AsyncIterator[Front]:
    async with open_front(settings, provider_servers) as front:
        yield front


@pytest.fixture(autouse=True)
def nothing_is_wrong(providers: Providers) -> None:
    """At the start of each test."""


async def signed_up(front: Front, api: Api, provider: str) -> dict[str, str]:
    """A person who has an account that this provider opens."""
    person = somebody()
    answer = await front.visitor().visit(provider, person)
    if provider == Provider.FACEBOOK:
        assert said(answer) == {"error": "confirm_address"}
        token = await api.mailed_token(person["email"], MailTokenKind.VERIFY)
        assert (await api.post("/auth/verify-email", {"token": token})).status_code == 204
    return person


async def accounts(api: Api, email: str) -> int:
    async with api.identity.db.sessions() as session:
        bidx = api.identity.blind_index(email.casefold())
        return int(await session.scalar(select(func.count()).where(col(User.email_bidx) == bidx)) or 0)


async def identities(api: Api, user_id: Any) -> list[AuthIdentity]:
    async with api.identity.db.sessions() as session:
        return list((await session.scalars(select(AuthIdentity).where(col(AuthIdentity.user_id) == user_id))).all())


class TestTheWay:
    @pytest.mark.parametrize("provider", ALL)
    async def test_whoever_consents_gets_a_session_of_their_own(
        self, front: Front, api: Api, provider: Provider
    ) -> None:
        person = await signed_up(front, api, provider)
        first, second = [await front.visitor().sign_in(provider, person) for _ in range(2)]
        assert (first.status_code, second.status_code) == (200, 200), first.text
        profiles = [(await front.get("/users/profile", it.json()["access_token"])).json() for it in (first, second)]
        assert profiles[0]["email"] == person["email"]
        assert profiles[0]["id"] == profiles[1]["id"]
        assert await accounts(api, person["email"]) == 1
        claims = api.identity.tokens.verify(first.json()["access_token"])
        assert claims.user_id.hex == profiles[0]["id"].replace("-", "")

    async def test_a_new_account_has_its_keys_and_its_home_as_any_other(self, front: Front) -> None:
        visitor = front.visitor()
        at_home = {"code_challenge": challenge_of(visitor.verifier), "timezone": "Europe/Berlin"}
        url = await visitor.browser.depart("google", **at_home)
        back = await visitor.browser.go(await consent(front.client, url, somebody()))
        tokens = (await visitor.exchange(said(back)["code"])).json()
        pet = await front.send("POST", "/pets", tokens["access_token"], {"name": "Milo"})
        assert pet.status_code == 201, pet.text
        profile = (await front.get("/users/profile", tokens["access_token"])).json()
        assert (profile["first_name"], profile["last_name"], profile["has_password"]) == ("Ada", "Lovelace", False)
        assert profile["timezone"] == "Europe/Berlin"

    @pytest.mark.parametrize("provider", ALL)
    async def test_the_authorize_url_has_everything_and_the_token_call_carries_the_verifier(
        self, front: Front, providers: Providers, provider: Provider
    ) -> None:
        """Scenario 22. Apple documents no PKCE: state and nonce carry the protection there."""
        visitor = front.visitor()
        url = await visitor.browser.depart(provider, code_challenge=challenge_of(visitor.verifier), next="/")
        asked = dict(parse_qsl(urlsplit(url).query))
        callback = f"{front.url}/api/v1/auth/oauth/{provider}/callback"
        assert asked["redirect_uri"] == callback
        assert len(asked["state"]) >= 43
        assert len(asked.get("nonce", "")) >= 43 or provider == Provider.FACEBOOK
        again = await visitor.browser.depart(provider, code_challenge=challenge_of(visitor.verifier), next="/")
        assert dict(parse_qsl(urlsplit(again).query))["state"] != asked["state"]
        await visitor.browser.go(await consent(front.client, url, somebody()))
        fields = providers.named(provider).calls("token")[-1]["fields"]
        assert fields["redirect_uri"] == callback
        if provider != Provider.APPLE:
            assert asked["code_challenge_method"] == "S256"
            assert challenge_of(fields["code_verifier"]) == asked["code_challenge"]
        assert visitor.verifier not in str(fields)  # the app's own stays with the app

    async def test_apple_tells_the_name_once_and_both_times_work(self, front: Front) -> None:
        """Scenario 23. The browser brings its cookie to a cross-site POST."""
        person = somebody()
        tokens = [(await front.visitor().sign_in("apple", person)).json() for _ in range(2)]
        profiles = [(await front.get("/users/profile", it["access_token"])).json() for it in tokens]
        assert profiles[0] == profiles[1]
        assert profiles[0]["first_name"] == "Ada"

    async def test_an_address_behind_apple_s_relay_is_an_address(self, front: Front) -> None:
        tokens = (await front.visitor().sign_in("apple", somebody(private="yes"))).json()
        profile = (await front.get("/users/profile", tokens["access_token"])).json()
        assert profile["email"].endswith("@privaterelay.appleid.com")

    async def test_the_cookie_of_each_provider_is_what_its_way_back_needs(self, front: Front) -> None:
        browser = front.visitor().browser
        for provider in ALL:
            await browser.depart(provider, code_challenge=challenge_of("v" * 43), next="/")
        assert {name: same.lower() for name, (_, same) in browser.jar.items()} == {
            "__Host-oauth-google": "lax",
            "__Host-oauth-apple": "none",
            "__Host-oauth-facebook": "lax",
        }

    async def test_two_windows_of_one_browser_do_not_end_each_other(self, front: Front) -> None:
        visitor = front.visitor()
        urls = [
            await visitor.browser.depart("google", code_challenge=challenge_of(visitor.verifier), next="/")
            for _ in range(2)
        ]
        for url in urls:
            back = await visitor.browser.go(await consent(front.client, url, somebody()))
            assert (await visitor.exchange(said(back)["code"])).status_code == 200

    @pytest.mark.parametrize("provider", ALL)
    async def test_who_does_not_consent_comes_back_to_the_app_and_is_told(
        self, front: Front, provider: Provider
    ) -> None:
        assert said(await front.visitor().visit(provider, None)) == {"error": "access_denied"}


class TestNothingIsGoodTwice:
    @pytest.mark.parametrize("provider", ALL)
    async def test_a_state_or_a_code_that_was_used_is_refused(self, front: Front, api: Api, provider: Provider) -> None:
        """Scenario 21."""
        person = await signed_up(front, api, provider)
        visitor = front.visitor()
        url = await visitor.browser.depart(provider, code_challenge=challenge_of(visitor.verifier), next="/")
        back = await consent(front.client, url, person)
        code = said(await visitor.browser.go(back))["code"]
        again = await visitor.browser.go(back)
        assert (again.status_code, again.json()["code"]) == (400, "invalid_state")
        # The provider's code in another attempt: a state that is good, a code that is not.
        other = await visitor.browser.depart(provider, code_challenge=challenge_of(visitor.verifier), next="/")
        fresh = await consent(front.client, other, None)
        refused = await visitor.browser.go(_with_state(back, _state(fresh)))
        assert (refused.status_code, refused.json()["code"]) == (400, "identity_refused")
        assert (await visitor.exchange(code)).status_code == 200
        spent = await visitor.exchange(code)
        assert (spent.status_code, spent.json()["code"]) == (400, "invalid_code")

    async def test_of_many_who_bring_one_state_or_one_code_one_gets_in(self, front: Front) -> None:
        visitor = front.visitor()
        url = await visitor.browser.depart("google", code_challenge=challenge_of(visitor.verifier), next="/")
        back = await consent(front.client, url, somebody())
        came = await asyncio.gather(*(visitor.browser.go(_copy(back)) for _ in range(8)))
        assert sorted(answer.status_code for answer in came) == [303] + [400] * 7
        (one,) = [answer for answer in came if answer.status_code == 303]
        code = said(one)["code"]
        answers = await asyncio.gather(*(visitor.exchange(code) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7

    async def test_a_code_without_the_app_s_verifier_is_nothing_and_is_spent(self, front: Front) -> None:
        visitor = front.visitor()
        code = said(await visitor.visit("google", somebody()))["code"]
        assert (await visitor.exchange(code, "w" * 43)).json()["code"] == "invalid_code"
        assert (await visitor.exchange(code)).json()["code"] == "invalid_code"

    async def test_a_state_is_no_code_and_a_code_no_state(self, front: Front) -> None:
        visitor = front.visitor()
        url = await visitor.browser.depart("google", code_challenge=challenge_of(visitor.verifier), next="/")
        state = dict(parse_qsl(urlsplit(url).query))["state"]
        assert (await visitor.exchange(state)).json()["code"] == "invalid_code"
        code = said(await visitor.browser.go(await consent(front.client, url, somebody())))["code"]
        callback = f"{front.url}/api/v1/auth/oauth/google/callback"
        assert (await visitor.browser.get(callback, state=code, code="x")).json()["code"] == "invalid_state"


class TestTheBrowser:
    async def test_another_browser_cannot_end_what_this_one_began(self, front: Front) -> None:
        """Login CSRF: a victim's browser is sent to the callback with the attacker's state and code."""
        attacker, victim = front.visitor(), front.visitor()
        url = await attacker.browser.depart("google", code_challenge=challenge_of(attacker.verifier), next="/")
        back = await consent(front.client, url, somebody())
        for browser in (victim.browser, front.visitor().browser):
            assert (await browser.go(_copy(back))).json()["code"] == "invalid_state"
            await browser.depart("google", code_challenge=challenge_of(victim.verifier), next="/")
        assert (await victim.browser.go(_copy(back))).json()["code"] == "invalid_state"
        assert said(await attacker.browser.go(back)).keys() == {"code"}  # and the attempts of others did not spend it

    async def test_the_answer_of_one_provider_is_not_taken_for_another_s(
        self, front: Front, providers: Providers
    ) -> None:
        """Mix-up (RFC 9700 §4.4): by the path, and by the issuer that Google names (RFC 9207)."""
        visitor = front.visitor()
        for provider in ALL:
            await visitor.browser.depart(provider, code_challenge=challenge_of(visitor.verifier), next="/")
        url = await visitor.browser.depart("google", code_challenge=challenge_of(visitor.verifier), next="/")
        back = await consent(front.client, url, somebody())
        elsewhere = str(back.url).replace("/google/", "/facebook/")
        assert (await visitor.browser.get(elsewhere)).json()["code"] == "invalid_state"
        url = await visitor.browser.depart("google", code_challenge=challenge_of(visitor.verifier), next="/")
        back = await consent(front.client, url, somebody())
        other = back.url.copy_set_param("iss", providers.facebook.origin)
        assert (await visitor.browser.get(str(other))).json()["code"] == "invalid_state"

    async def test_a_form_is_apple_s_and_a_query_is_not(self, front: Front) -> None:
        visitor = front.visitor()
        url = await visitor.browser.depart("apple", code_challenge=challenge_of(visitor.verifier), next="/")
        back = await consent(front.client, url, somebody())
        form = dict(parse_qsl(back.content.decode()))
        assert (await visitor.browser.get(str(back.url), **form)).json()["code"] == "invalid_state"
        for body in (b"", b"\xff\xfe", b"state=%00&code=%00", b"&".join(b"a=1" for _ in range(50))):
            request = front.client.build_request("POST", back.url, content=body)
            assert (await visitor.browser.go(request)).json()["code"] == "invalid_state"
        assert said(await visitor.browser.go(back)).keys() == {"code"}

    @pytest.mark.parametrize(
        "path", ["//evil.test", "https://evil.test", "/\\evil.test", "/sign-in/..", "/sign-in?x=1", "", "/other", "/#x"]
    )
    async def test_it_is_sent_only_where_the_list_says(self, front: Front, path: str) -> None:
        url = f"{front.url}/api/v1/auth/oauth/google/start"
        answer = await front.visitor().browser.get(url, code_challenge=challenge_of("v" * 43), next=path)
        assert (answer.status_code, answer.json()["code"]) == (422, "next_not_allowed")

    async def test_without_a_challenge_nobody_is_sent_anywhere(self, front: Front) -> None:
        url = f"{front.url}/api/v1/auth/oauth/google/start"
        assert (await front.visitor().browser.get(url)).json()["code"] == "code_challenge_missing"
        for wrong in ("short", "x" * 44, "é" * 43):
            assert (await front.visitor().browser.get(url, code_challenge=wrong)).status_code == 422

    async def test_a_person_sees_a_page_in_their_language_where_an_app_sees_a_problem(self, front: Front) -> None:
        browser = front.visitor().browser
        for language, words in (("en", "Signing in did not work"), ("de-AT,de", "Die Anmeldung hat nicht geklappt")):
            request = front.client.build_request("GET", f"{front.url}/api/v1/auth/oauth/google/callback?state=x")
            request.headers["Accept-Language"] = language
            page = await browser.go(request, accept="text/html,*/*")
            assert page.status_code == 400
            assert words in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]

    async def test_what_comes_back_is_in_no_log_and_no_address_of_ours(self, front: Front) -> None:
        visitor = front.visitor()
        back = await visitor.visit("google", somebody())
        place = urlsplit(back.headers["location"])
        assert f"{place.scheme}://{place.netloc}" == front.url
        assert (place.path, place.query) == ("/sign-in", "")
        assert "access_token" not in back.headers["location"]
        assert back.headers["referrer-policy"] == "no-referrer"


class TestProvidersThatFail:
    @pytest.mark.parametrize("provider", ALL)
    @pytest.mark.parametrize("fault", [{"status": 503}, {"delay": 30}, {"status": 429}, {"status": 500}], ids=str)
    async def test_a_token_endpoint_that_is_away_or_stalls_is_a_503_and_nobody_waits_for_it(
        self, front: Front, api: Api, providers: Providers, provider: Provider, fault: dict[str, int]
    ) -> None:
        """Scenario 27. `provider_unavailable` is our own limit for the provider; that of the whole request is
        `deadline_exceeded`, five seconds later."""
        providers.named(provider).fault(service="token", **fault)
        person = somebody()
        answer = await front.visitor().visit(provider, person)
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert await accounts(api, person["email"]) == 0

    def test_the_limit_of_a_provider_is_below_ten_seconds(self) -> None:
        assert OAuthSettings().provider_seconds < 10
        with pytest.raises(ValidationError):
            OAuthSettings(provider_seconds=10)

    async def test_one_that_stalls_holds_up_nobody_else(self, front: Front, providers: Providers) -> None:
        providers.google.fault(service="token", delay=30, count=5)
        stalled = [asyncio.create_task(front.visitor().visit("google", somebody())) for _ in range(5)]
        others = await asyncio.gather(*(front.visitor().sign_in("apple", somebody()) for _ in range(5)))
        assert [answer.status_code for answer in others] == [200] * 5
        assert {answer.status_code for answer in await asyncio.gather(*stalled)} == {503}

    @pytest.mark.parametrize("twist", ["nonce", "aud", "alg_none", "alg_hs256", "expired", "signature", "garbage"])
    async def test_a_token_that_proves_nothing_makes_no_account(
        self, front: Front, api: Api, providers: Providers, twist: str
    ) -> None:
        providers.google.twist(twist)
        person = somebody()
        answer = await front.visitor().visit("google", person)
        assert (answer.status_code, answer.json()["code"]) == (400, "identity_refused")
        assert await accounts(api, person["email"]) == 0

    async def test_a_token_that_facebook_made_for_another_app_makes_no_account(
        self, front: Front, api: Api, providers: Providers
    ) -> None:
        providers.facebook.twist("app_id")
        person = somebody()
        assert (await front.visitor().visit("facebook", person)).status_code == 400
        assert await accounts(api, person["email"]) == 0

    async def test_what_a_provider_calls_an_error_is_not_repeated(self, front: Front) -> None:
        visitor = front.visitor()
        url = await visitor.browser.depart("google", code_challenge=challenge_of(visitor.verifier), next="/")
        state = dict(parse_qsl(urlsplit(url).query))["state"]
        callback = f"{front.url}/api/v1/auth/oauth/google/callback"
        answer = await visitor.browser.get(callback, state=state, error="<b>canary", error_description="canary")
        assert said(answer) == {"error": "provider_error"}


class TestWhoseAccount:
    async def test_google_with_an_unverified_address_of_somebody_is_not_linked_and_its_owner_learns_how(
        self, front: Front, api: Api
    ) -> None:
        """Scenario 24."""
        owner = await api.person()
        for person in ({"email": owner.email}, {"email": owner.email, "verified": "yes"}):  # nor is it Google's to say
            assert said(await front.visitor().visit("google", person)) == {"error": "confirm_address"}
        assert await identities(api, owner.user_id) == []
        assert "identity_not_linked" in await api.mails(owner.email)
        assert await owner.is_let_in()

    async def test_outside_an_address_with_an_account_looks_like_one_without(self, front: Front, api: Api) -> None:
        owner, nobody = await api.person(), somebody()
        taken, free = [
            await front.visitor().visit("facebook", {"email": email}) for email in (owner.email, nobody["email"])
        ]
        assert said(taken) == said(free)
        assert (taken.status_code, {*taken.headers} ^ {*free.headers}) == (free.status_code, set())
        again = [await front.visitor().visit("facebook", {"email": it}) for it in (owner.email, nobody["email"])]
        assert said(again[0]) == said(again[1])

    async def test_nor_does_the_time_of_a_second_visit_tell(self, front: Front) -> None:
        """An address that was free belongs to the visitor's own unconfirmed account by then: that is found at once."""
        person = {"email": f"{secrets.token_hex(6)}@firm.test"}
        for _ in range(2):
            visitor = front.visitor()
            url = await visitor.browser.depart("facebook", code_challenge=challenge_of(visitor.verifier), next="/")
            back = await consent(front.client, url, person)
            start = time.monotonic()
            assert said(await visitor.browser.go(back)) == {"error": "confirm_address"}
            assert time.monotonic() - start >= PACE_SECONDS

    async def test_an_unverified_address_opens_its_account_once_its_mail_was_answered(
        self, front: Front, api: Api
    ) -> None:
        person = {"email": f"{secrets.token_hex(6)}@firm.test", "verified": "yes"}
        assert said(await front.visitor().visit("google", person)) == {"error": "confirm_address"}
        assert said(await front.visitor().visit("google", person)) == {"error": "confirm_address"}
        assert (await api.mails(person["email"])).count("verify_email") == 2
        token = await api.mailed_token(person["email"], MailTokenKind.VERIFY)
        assert (await api.post("/auth/verify-email", {"token": token})).status_code == 204
        assert (await front.visitor().sign_in("google", person)).status_code == 200

    async def test_google_that_speaks_for_a_confirmed_address_is_linked_and_the_owner_told(
        self, front: Front, api: Api
    ) -> None:
        owner = await api.person()
        person = {"email": owner.email, "verified": "yes", "hd": "yes"}
        tokens = (await front.visitor().sign_in("google", person)).json()
        profile = (await front.get("/users/profile", tokens["access_token"])).json()
        assert profile["id"] == str(owner.user_id)
        assert profile["has_password"]
        assert await owner.is_let_in()
        assert (await api.mails(owner.email))[-1] == "identity_linked"
        assert ("auth.identity.link", "ok") in await audit_of(api, owner.email)
        assert (await api.login(owner.email)).status_code == 200

    async def test_whoever_registered_the_address_before_its_owner_came_is_out(self, front: Front, api: Api) -> None:
        """Scenario 25. Everything the attacker set up is gone, and what they still hold is worth nothing."""
        person = somebody()
        assert (await api.register(person["email"], first_name="Mallory")).status_code == 202
        # They may hold more than a password: an identity of their own that claimed the address, and mailed links.
        assert said(await front.visitor().visit("facebook", {"email": person["email"]})) == {"error": "confirm_address"}
        link = await api.mailed_token(person["email"], MailTokenKind.VERIFY)
        tokens = (await front.visitor().sign_in("google", person)).json()
        profile = (await front.get("/users/profile", tokens["access_token"])).json()
        assert (profile["first_name"], profile["has_password"]) == ("Ada", False)
        assert (await api.login(person["email"])).status_code == 401
        assert (await api.post("/auth/verify-email", {"token": link})).status_code == 400
        assert [row.provider for row in await identities(api, profile["id"])] == ["google"]
        assert ("auth.identity.take_over", "ok") in await audit_of(api, person["email"])

    async def test_sessions_that_an_unconfirmed_account_should_not_have_end_too(self, front: Front, api: Api) -> None:
        attacker = await api.person()
        async with api.identity.db.sessions.begin() as session:
            user = await session.get(User, attacker.user_id)
            assert user is not None
            user.email_verified_at = None
        person = {"email": attacker.email, "verified": "yes", "hd": "yes"}
        tokens = (await front.visitor().sign_in("google", person)).json()
        assert not await attacker.is_let_in()
        assert (await attacker.refresh()).status_code == 401
        assert (await front.get("/users/profile", tokens["access_token"])).status_code == 200

    async def test_an_identity_that_claimed_the_address_first_is_out_when_its_owner_registers(
        self, front: Front, api: Api
    ) -> None:
        """The same attack the other way round: an unconfirmed account made with Facebook, then a password."""
        email = f"{secrets.token_hex(6)}@firm.test"
        attacker = {"email": email}
        assert said(await front.visitor().visit("facebook", attacker)) == {"error": "confirm_address"}
        assert (await api.register(email)).status_code == 202
        assert (await api.mails(email))[-1] == "password_reset"
        reset = {"token": await api.mailed_token(email, MailTokenKind.RESET), "password": PASSWORD}
        assert (await api.post("/auth/password/reset", reset)).status_code == 204
        assert (await api.login(email, PASSWORD)).status_code == 200
        assert said(await front.visitor().visit("facebook", attacker)) == {"error": "confirm_address"}
        user = await api.user(email)
        assert user is not None
        assert await identities(api, user.id) == []

    async def test_an_identity_that_claimed_the_address_first_is_out_when_its_owner_sets_a_password(
        self, front: Front, api: Api
    ) -> None:
        """And once more: the owner never signed up, and asks for a new password."""
        email = f"{secrets.token_hex(6)}@firm.test"
        assert said(await front.visitor().visit("facebook", {"email": email})) == {"error": "confirm_address"}
        reset = {"token": await api.mailed_token(email, MailTokenKind.RESET), "password": PASSWORD}
        assert (await api.post("/auth/password/reset", reset)).status_code == 204
        assert (await api.login(email)).status_code == 200
        user = await api.user(email)
        assert user is not None
        assert await identities(api, user.id) == []
        assert said(await front.visitor().visit("facebook", {"email": email})) == {"error": "confirm_address"}

    @pytest.mark.parametrize("provider", ["google", "apple"])
    async def test_first_logins_of_one_identity_at_once_are_one_account(
        self, front: Front, api: Api, provider: str
    ) -> None:
        """Scenario 26."""
        person = somebody()
        visitors = [front.visitor() for _ in range(6)]
        backs = []
        for visitor in visitors:
            url = await visitor.browser.depart(provider, code_challenge=challenge_of(visitor.verifier), next="/")
            backs.append(await consent(front.client, url, person))
        came = await asyncio.gather(*(v.browser.go(back) for v, back in zip(visitors, backs, strict=True)))
        answers = [await v.exchange(said(back)["code"]) for v, back in zip(visitors, came, strict=True)]
        users = {api.identity.tokens.verify(answer.json()["access_token"]).user_id for answer in answers}
        assert len(users) == 1
        assert len(await identities(api, users.pop())) == 1
        assert await accounts(api, person["email"]) == 1

    async def test_first_logins_with_two_providers_at_once_are_one_account(self, front: Front, api: Api) -> None:
        person = somebody()
        answers = await asyncio.gather(
            *(front.visitor().sign_in(provider, person) for provider in ("google", "apple", "google", "apple"))
        )
        users = {api.identity.tokens.verify(answer.json()["access_token"]).user_id for answer in answers}
        assert len(users) == 1
        assert {row.provider for row in await identities(api, users.pop())} == {"google", "apple"}

    async def test_without_an_address_no_account_is_made(self, front: Front) -> None:
        assert said(await front.visitor().visit("facebook", somebody(hidden="yes"))) == {"error": "address_needed"}

    async def test_a_closed_account_stays_closed(self, front: Front, api: Api) -> None:
        person = somebody()
        visitor = front.visitor()
        code = said(await visitor.visit("google", person))["code"]
        tokens = (await front.visitor().sign_in("google", person)).json()
        assert (await front.send("DELETE", "/users/account", tokens["access_token"])).status_code == 202
        assert (await visitor.exchange(code)).status_code == 401
        assert said(await front.visitor().visit("google", person)) == {"error": "sign_in_refused"}
        assert said(await front.visitor().visit("apple", person)) == {"error": "sign_in_refused"}

    async def test_signing_out_everywhere_ends_a_code_that_is_on_its_way(self, front: Front) -> None:
        person = somebody()
        visitor = front.visitor()
        tokens = (await visitor.sign_in("google", person)).json()
        code = said(await visitor.visit("google", person))["code"]
        assert (await front.send("POST", "/auth/logout-all", tokens["access_token"])).status_code == 204
        answer = await visitor.exchange(code)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_code")


async def test_nothing_readable_of_a_person_is_in_the_tables(front: Front, api: Api) -> None:
    person = somebody(first_name="Canary")
    visitor = front.visitor()
    await visitor.sign_in("apple", person)
    await visitor.browser.depart("apple", code_challenge=challenge_of(visitor.verifier), next="/")
    dumped = ""
    for table in ("users", "auth_identities", "auth_challenges", "webhook_events", "audit_log", "deliveries"):
        rows = await api.identity.db.reads.fetch(f"SELECT t::text AS row FROM {table} t")
        dumped += "".join(row["row"] for row in rows)
    assert person["email"] not in dumped
    assert "Canary" not in dumped


async def test_a_provider_that_is_off_or_unknown_is_not_found(api: Api, front: Front) -> None:
    listed = (await front.client.get(f"{front.url}/api/v1/auth/oauth")).json()
    assert listed == {"providers": ["google", "apple", "facebook"]}
    for path in ("start", "callback"):
        answer = await api.get(f"/auth/oauth/github/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "provider_off")


def _state(request: httpx.Request) -> str:
    text = request.content.decode() if request.method == "POST" else request.url.query.decode()
    return dict(parse_qsl(text))["state"]


def _with_state(request: httpx.Request, state: str) -> httpx.Request:
    if request.method == "GET":
        return httpx.Request("GET", request.url.copy_set_param("state", state))
    return httpx.Request("POST", request.url, data={**dict(parse_qsl(request.content.decode())), "state": state})


def _copy(request: httpx.Request) -> httpx.Request:
    return httpx.Request(request.method, request.url, headers=dict(request.headers), content=request.content)
