"""The identities that open one's own account: linked, listed, unlinked; and what vendors tell about them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from core.pkce import challenge_of
from core.settings import Settings
from domain.oauth import Provider
from models.queries.identities import REFRESH_TOKEN
from models.session import MailTokenKind, Session
from models.user import AuthIdentity, User, UserState
from tests.api.front import Front, open_front, with_providers
from tests.api.second_factor import answer_with, with_app
from tests.api.signing_in import Api, Person, audit_of, ended_meanwhile
from tests.sign_in_providers import Form, Providers, Visitor, consent, said, somebody

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


async def begun(front: Front, visitor: Visitor, token: str, provider: str) -> httpx.Response:
    body = {"code_challenge": challenge_of(visitor.verifier), "next": "/settings"}
    return await front.send("POST", f"/users/identities/{provider}/start", token, body)


async def brought_back(front: Front, visitor: Visitor, token: str, provider: str, person: Form) -> str:
    """From the app through the browser to the code that the app gets."""
    answer = await begun(front, visitor, token, provider)
    assert answer.status_code == 200, answer.text
    sent = await visitor.browser.get(answer.json()["url"])
    assert sent.status_code == 303, sent.text
    return said(await visitor.browser.go(await consent(front.client, sent.headers["location"], person)))["code"]


async def linked(front: Front, token: str, provider: str, person: Form) -> httpx.Response:
    visitor = front.visitor()
    code = await brought_back(front, visitor, token, provider, person)
    body = {"code": code, "code_verifier": visitor.verifier}
    return await front.send("POST", "/users/identities", token, body)


async def listed(front: Front, token: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await front.get("/users/identities", token)).json()["items"]
    return items


async def is_old(api: Api, person: Person) -> None:
    """Their login was an hour ago."""
    claims = api.identity.tokens.verify(person.access_token)
    async with api.identity.db.sessions.begin() as session:
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        await session.execute(update(Session).where(col(Session.id) == claims.session_id).values(auth_time=hour_ago))
    person.access_token = api.identity.tokens.mint(claims.user_id, claims.session_id, hour_ago, ["pwd"])


class TestLinking:
    @pytest.mark.parametrize("provider", ALL)
    async def test_what_is_linked_opens_the_account_whatever_its_address_is(
        self, front: Front, api: Api, provider: Provider
    ) -> None:
        owner, person = await api.person(), somebody()
        answer = await linked(front, owner.access_token, provider, person)
        assert (answer.status_code, answer.json()["provider"]) == (200, provider)
        assert [item["email"] for item in await listed(front, owner.access_token)] == [person["email"]]
        tokens = (await front.visitor().sign_in(provider, person)).json()
        assert api.identity.tokens.verify(tokens["access_token"]).user_id == owner.user_id
        assert (await api.mails(owner.email))[-1] == "identity_linked"
        assert ("auth.identity.link", "ok") in await audit_of(api, owner.email)

    async def test_it_does_not_get_around_the_second_factor(self, front: Front, api: Api) -> None:
        owner, person = await api.person(), somebody()
        await linked(front, owner.access_token, "google", person)
        app = await with_app(owner)
        answer = await front.visitor().sign_in("google", person)
        assert (answer.status_code, set(answer.json())) == (202, {"challenge", "methods", "expires_in"})
        assert answer.json()["methods"] == ["totp"]
        assert "set-cookie" not in answer.headers, "nobody is in yet, and no device is known"
        finished = await answer_with(api, answer.json()["challenge"], code=app.code(1))
        assert finished.status_code == 200, finished.text
        assert api.identity.tokens.verify(finished.json()["access_token"]).user_id == owner.user_id
        assert "__Host-device" in finished.cookies

    async def test_it_asks_for_a_recent_login(self, front: Front, api: Api) -> None:
        owner = await api.person()
        await is_old(api, owner)
        answer = await begun(front, front.visitor(), owner.access_token, "google")
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")

    async def test_linking_again_changes_nothing(self, front: Front, api: Api) -> None:
        owner, person = await api.person(), somebody()
        first = await linked(front, owner.access_token, "google", person)
        told = await api.mails(owner.email)
        assert (await linked(front, owner.access_token, "google", person)).json()["id"] == first.json()["id"]
        assert await api.mails(owner.email) == told

    async def test_what_opens_another_account_stays_there(self, front: Front, api: Api) -> None:
        owner, person = await api.person(), somebody()
        await front.visitor().sign_in("google", person)
        answer = await linked(front, owner.access_token, "google", person)
        assert (answer.status_code, answer.json()["code"]) == (409, "identity_taken")
        assert await listed(front, owner.access_token) == []

    async def test_of_two_accounts_that_link_one_identity_at_once_one_has_it(self, front: Front, api: Api) -> None:
        person, owners = somebody(), [await api.person() for _ in range(4)]
        answers = await asyncio.gather(*(linked(front, owner.access_token, "google", person) for owner in owners))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]

    async def test_a_browser_that_somebody_else_sends_here_links_nothing(self, front: Front, api: Api) -> None:
        """The attacker's ticket in the victim's browser: what comes back there is good in the attacker's session with
        the attacker's verifier only, and the victim's app has neither."""
        attacker, victim, person = await api.person(), await api.person(), somebody()
        evil, lured = front.visitor(), front.visitor()
        url = (await begun(front, evil, attacker.access_token, "google")).json()["url"]
        sent = await lured.browser.get(url)
        code = said(await lured.browser.go(await consent(front.client, sent.headers["location"], person)))["code"]
        body = {"code": code, "code_verifier": lured.verifier}
        answer = await front.send("POST", "/users/identities", victim.access_token, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_code")
        assert (await lured.exchange(code)).json()["code"] == "invalid_code"
        assert await listed(front, attacker.access_token) == []

    async def test_only_the_session_that_began_ends_it(self, front: Front, api: Api) -> None:
        owner = await api.person()
        other = (await api.login(owner.email)).json()["access_token"]
        visitor = front.visitor()
        code = await brought_back(front, visitor, owner.access_token, "google", somebody())
        body = {"code": code, "code_verifier": visitor.verifier}
        assert (await front.send("POST", "/users/identities", other, body)).status_code == 400

    async def test_whoever_is_signed_out_while_they_link_links_nothing(self, front: Front, api: Api) -> None:
        thief, visitor = await api.person(), front.visitor()
        code = await brought_back(front, visitor, thief.access_token, "google", somebody())
        body = {"code": code, "code_verifier": visitor.verifier}
        linking = front.send("POST", "/users/identities", thief.access_token, body)
        assert (await ended_meanwhile(api, thief, linking)).status_code == 401
        back = Person(api, thief.email, (await api.login(thief.email)).json()["access_token"], "")
        assert await listed(front, back.access_token) == []

    async def test_a_ticket_is_good_once_and_for_its_provider(self, front: Front, api: Api) -> None:
        owner, visitor = await api.person(), front.visitor()
        url = (await begun(front, visitor, owner.access_token, "google")).json()["url"]
        assert (await visitor.browser.get(url.replace("/google/", "/apple/"))).json()["code"] == "invalid_code"
        url = (await begun(front, visitor, owner.access_token, "google")).json()["url"]
        assert (await visitor.browser.get(url)).status_code == 303
        assert (await visitor.browser.get(url)).json()["code"] == "invalid_code"

    async def test_a_code_that_signs_in_does_not_link_and_the_other_way_round(self, front: Front, api: Api) -> None:
        owner, visitor = await api.person(), front.visitor()
        code = said(await visitor.visit("google", somebody()))["code"]
        body = {"code": code, "code_verifier": visitor.verifier}
        assert (await front.send("POST", "/users/identities", owner.access_token, body)).status_code == 400
        code = await brought_back(front, visitor, owner.access_token, "google", somebody())
        assert (await visitor.exchange(code)).status_code == 400

    async def test_whoever_does_not_consent_links_nothing(self, front: Front, api: Api) -> None:
        owner, visitor = await api.person(), front.visitor()
        url = (await begun(front, visitor, owner.access_token, "google")).json()["url"]
        sent = await visitor.browser.get(url)
        back = await visitor.browser.go(await consent(front.client, sent.headers["location"], None))
        assert said(back) == {"error": "access_denied"}


class TestUnlinking:
    async def test_it_opens_nothing_any_more_other_sessions_end_and_apple_is_told(
        self, front: Front, api: Api, providers: Providers
    ) -> None:
        owner, person = await api.person(), somebody()
        identity = (await linked(front, owner.access_token, "apple", person)).json()
        there = (await front.visitor().sign_in("apple", person)).json()
        answer = await front.send("DELETE", f"/users/identities/{identity['id']}", owner.access_token)
        assert answer.status_code == 204, answer.text
        assert await listed(front, owner.access_token) == []
        assert (await front.get("/users/profile", there["access_token"])).status_code == 401
        assert await owner.is_let_in()
        assert providers.apple.calls("revoke")[-1]["status"] == 200
        assert (await api.mails(owner.email))[-1] == "identity_unlinked"
        fresh = (await front.visitor().sign_in("apple", person)).json()
        assert api.identity.tokens.verify(fresh["access_token"]).user_id != owner.user_id

    async def test_facebook_is_told_without_a_token_of_the_person(
        self, front: Front, api: Api, providers: Providers
    ) -> None:
        owner = await api.person()
        identity = (await linked(front, owner.access_token, "facebook", somebody())).json()
        assert (
            await front.send("DELETE", f"/users/identities/{identity['id']}", owner.access_token)
        ).status_code == 204
        assert providers.facebook.calls("permissions")[-1]["status"] == 200

    @pytest.mark.parametrize("fault", [{"status": 503}, {"delay": 30}], ids=str)
    async def test_a_provider_that_is_away_keeps_nobody_linked(
        self, front: Front, api: Api, providers: Providers, fault: dict[str, int]
    ) -> None:
        owner = await api.person()
        identity = (await linked(front, owner.access_token, "apple", somebody())).json()
        providers.apple.fault(service="revoke", **fault)
        assert (
            await front.send("DELETE", f"/users/identities/{identity['id']}", owner.access_token)
        ).status_code == 204
        assert await listed(front, owner.access_token) == []

    async def test_the_last_way_in_stays(self, front: Front) -> None:
        person = somebody()
        tokens = (await front.visitor().sign_in("google", person)).json()["access_token"]
        (only,) = await listed(front, tokens)
        answer = await front.send("DELETE", f"/users/identities/{only['id']}", tokens)
        assert (answer.status_code, answer.json()["code"]) == (409, "last_credential")
        assert (await linked(front, tokens, "apple", person)).status_code == 200
        assert (await front.send("DELETE", f"/users/identities/{only['id']}", tokens)).status_code == 204

    async def test_of_the_last_two_taken_away_at_once_one_stays(self, front: Front) -> None:
        person = somebody()
        tokens = (await front.visitor().sign_in("google", person)).json()["access_token"]
        await linked(front, tokens, "apple", person)
        paths = [f"/users/identities/{item['id']}" for item in await listed(front, tokens)]
        answers = await asyncio.gather(*(front.send("DELETE", path, tokens) for path in paths))
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        assert len(await listed(front, tokens)) == 1

    async def test_a_code_that_is_on_its_way_opens_nothing_either(self, front: Front, api: Api) -> None:
        owner, person, visitor = await api.person(), somebody(), front.visitor()
        identity = (await linked(front, owner.access_token, "google", person)).json()
        code = said(await visitor.visit("google", person))["code"]
        await front.send("DELETE", f"/users/identities/{identity['id']}", owner.access_token)
        answer = await visitor.exchange(code)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_code")

    async def test_another_s_is_not_found_and_an_old_login_has_to_step_up(self, front: Front, api: Api) -> None:
        owner, other = await api.person(), await api.person()
        identity = (await linked(front, owner.access_token, "google", somebody())).json()
        path = f"/users/identities/{identity['id']}"
        for foreign in (path, f"/users/identities/{uuid4()}"):
            assert (await front.send("DELETE", foreign, other.access_token)).status_code == 404
        await is_old(api, owner)
        answer = await front.send("DELETE", path, owner.access_token)
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")


async def test_what_apple_wants_back_is_kept_sealed_and_the_newest_of_it(front: Front, api: Api) -> None:
    """What the erasure of an account will hand to `revoke`."""
    person = somebody()
    tokens = [(await front.visitor().sign_in("apple", person)).json()["access_token"] for _ in range(2)]
    user_id = api.identity.tokens.verify(tokens[0]).user_id
    async with api.identity.db.sessions() as session:
        row = (await session.scalars(select(AuthIdentity).where(col(AuthIdentity.user_id) == user_id))).one()
    assert row.refresh_token_ct is not None
    assert row.refresh_token_ct.startswith(f"v1.user:{user_id}:")
    assert len(await api.identity.cipher.open(REFRESH_TOKEN, row.id, row.refresh_token_ct)) == 32


class TestWhatAppleTells:
    async def test_consent_taken_back_there_signs_out_everywhere_here(
        self, front: Front, api: Api, providers: Providers
    ) -> None:
        person = somebody()
        tokens = (await front.visitor().sign_in("apple", person)).json()["access_token"]
        told = await asyncio.to_thread(providers.apple.tell, "notices", email=person["email"], kind="consent-revoked")
        assert told["status"] == 204
        assert (await front.get("/users/profile", tokens)).status_code == 401
        assert (await api.mails(person["email"]))[-1] == "identity_revoked"
        again = (await front.visitor().sign_in("apple", person)).json()["access_token"]
        verify = api.identity.tokens.verify
        assert verify(again).user_id == verify(tokens).user_id
        # Told again (Apple does): what was begun since stays.
        answer = await front.client.post(f"{front.url}/api/v1/webhooks/apple", json={"payload": told["payload"]})
        assert answer.status_code == 204
        assert (await front.get("/users/profile", again)).status_code == 200

    async def test_an_account_that_is_no_more_there_opens_nothing_here(
        self, front: Front, api: Api, providers: Providers
    ) -> None:
        person = somebody()
        tokens = (await front.visitor().sign_in("apple", person)).json()["access_token"]
        user_id = api.identity.tokens.verify(tokens).user_id
        await asyncio.to_thread(providers.apple.tell, "notices", email=person["email"], kind="account-delete")
        assert (await front.get("/users/profile", tokens)).status_code == 401
        async with api.identity.db.sessions() as session:
            rows = select(AuthIdentity).where(col(AuthIdentity.user_id) == user_id)
            assert (await session.scalars(rows)).all() == []
        assert (await api.mails(person["email"]))[-1] == "identity_unlinked"

    @pytest.mark.parametrize("kind", ["email-disabled", "email-enabled", "something-new"])
    async def test_what_is_none_of_our_business_is_taken_and_changes_nothing(
        self, front: Front, providers: Providers, kind: str
    ) -> None:
        person = somebody()
        tokens = (await front.visitor().sign_in("apple", person)).json()["access_token"]
        told = await asyncio.to_thread(providers.apple.tell, "notices", email=person["email"], kind=kind)
        assert told["status"] == 204
        assert (await front.get("/users/profile", tokens)).status_code == 200

    async def test_about_somebody_we_do_not_know_nothing_happens(self, providers: Providers, front: Front) -> None:
        told = await asyncio.to_thread(providers.apple.tell, "notices", email="x@y.test", kind="account-delete")
        assert told["status"] == 204

    @pytest.mark.parametrize("twist", ["aud", "iss", "signature", "alg_none", "kid"])
    async def test_what_is_not_signed_for_us_changes_nothing(
        self, front: Front, providers: Providers, twist: str
    ) -> None:
        person = somebody()
        tokens = (await front.visitor().sign_in("apple", person)).json()["access_token"]
        providers.apple.twist(twist)
        told = await asyncio.to_thread(providers.apple.tell, "notices", email=person["email"], kind="consent-revoked")
        assert told["status"] == 400
        assert (await front.get("/users/profile", tokens)).status_code == 200

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"[]", b'{"payload": 1}', b'{"payload": ""}', b"\xff", b'{"payload": "a.b.c"}']
    )
    async def test_what_is_no_notice_is_a_400(self, front: Front, body: bytes) -> None:
        answer = await front.client.post(f"{front.url}/api/v1/webhooks/apple", content=body)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"


class TestWhatFacebookAsks:
    async def test_who_signs_in_otherwise_loses_facebook_only(
        self, front: Front, api: Api, providers: Providers
    ) -> None:
        owner, person = await api.person(), somebody()
        await linked(front, owner.access_token, "facebook", person)
        told = await asyncio.to_thread(providers.facebook.tell, "deletions", email=person["email"])
        assert told["answer"].keys() == {"url", "confirmation_code"}
        user = await api.user(owner.email)
        assert user is not None
        assert user.state == UserState.ACTIVE
        tokens = (await api.login(owner.email)).json()["access_token"]
        assert await listed(front, tokens) == []
        assert (await api.mails(owner.email))[-1] == "identity_unlinked"
        page = await front.client.get(told["answer"]["url"], headers={"Accept-Language": "de"})
        assert page.status_code == 200
        assert "gelöscht" in page.text
        assert told["answer"]["confirmation_code"] in told["answer"]["url"]

    async def test_who_signs_in_with_nothing_else_is_erased_after_the_grace(
        self, front: Front, api: Api, providers: Providers
    ) -> None:
        person = somebody()
        await front.visitor().visit("facebook", person)
        token = await api.mailed_token(person["email"], MailTokenKind.VERIFY)
        await api.post("/auth/verify-email", {"token": token})
        tokens = (await front.visitor().sign_in("facebook", person)).json()["access_token"]
        first = await asyncio.to_thread(providers.facebook.tell, "deletions", email=person["email"])
        assert (await front.get("/users/profile", tokens)).status_code == 401
        user = await api.user(person["email"])
        assert user is not None
        assert user.state == UserState.BLOCKED
        assert (await api.mails(person["email"]))[-1] == "erasure_requested"
        assert ("erasure.request", "ok") in await audit_of(api, person["email"])
        # The same request once more, as vendors do: the same answer, nothing else.
        form = {"signed_request": first["signed_request"]}
        again = await front.client.post(f"{front.url}/api/v1/webhooks/facebook/data-deletion", data=form)
        assert again.json() == first["answer"]
        assert (await api.mails(person["email"])).count("erasure_requested") == 1

    async def test_a_forged_wish_changes_nothing(self, front: Front, api: Api, providers: Providers) -> None:
        owner, person = await api.person(), somebody()
        await linked(front, owner.access_token, "facebook", person)
        signed = await asyncio.to_thread(providers.facebook.tell, "deletions", email=person["email"], send=False)
        signature, payload = signed["signed_request"].split(".")
        for forged in (f"AAAA.{payload}", f"{signature}.{payload}AA", payload, "", "\x00.é"):
            form = {"signed_request": forged}
            answer = await front.client.post(f"{front.url}/api/v1/webhooks/facebook/data-deletion", data=form)
            assert answer.status_code == 400
        assert len(await listed(front, owner.access_token)) == 1

    @pytest.mark.parametrize("code", ["nothing", "%00", "a" * 300, "<b>"])
    async def test_a_code_that_nobody_got_has_no_status(self, front: Front, code: str) -> None:
        answer = await front.client.get(f"{front.url}/data-deletion/{code}")
        assert answer.status_code == 404
        assert code not in answer.text


async def test_an_account_that_was_erased_is_told_of_to_nobody(front: Front, api: Api, providers: Providers) -> None:
    """A notice about an account that is closed already is taken."""
    person = somebody()
    await front.visitor().sign_in("apple", person)
    async with api.identity.db.sessions.begin() as session:
        bidx = api.identity.blind_index(person["email"])
        closed = update(User).where(col(User.email_bidx) == bidx).values(state=UserState.BLOCKED)
        await session.execute(closed)
    told = await asyncio.to_thread(providers.apple.tell, "notices", email=person["email"], kind="account-delete")
    assert told["status"] == 204
