"""A browser's session: its refresh token is in a cookie and in no body, and counts from pages of ours only."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from http.cookies import SimpleCookie

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from core.db import Database
from core.settings import ApiSettings, Settings
from models.session import Session
from tests.api.signing_in import OPEN, PASSWORD, Api, Person, api_process, bearer, said

OURS, APP, FOREIGN = "https://localhost", "https://app.localhost", "https://evil.test"
FROM_OURS = {"Origin": OURS}
WISH = {"Petfolio-Session": "cookie"}


@pytest.fixture(scope="module")
async def api(settings: Settings, db: Database) -> AsyncIterator[Api]:
    pages = {"public_url": OURS, "api": ApiSettings(cors_origins=(APP,)), "rate_limits": OPEN}
    async with api_process(settings.model_copy(update=pages)) as process:
        yield process


async def sign_in(person: Person, **headers: str) -> httpx.Response:
    """As a browser does that wants a cookie."""
    body = {"email": person.email, "password": PASSWORD}
    return await person.api.http.post("/api/v1/auth/login", json=body, headers=WISH | FROM_OURS | headers)


async def post(api: Api, path: str, cookie: str | None, **headers: str) -> httpx.Response:
    """A POST with the cookie and without a body."""
    jar = {"Cookie": f"__Host-rt={cookie}"} if cookie else {}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in (jar | headers).items()]
    return await api.http.post(f"/api/v1/auth/{path}", headers=raw)


def cookie_of(answer: httpx.Response) -> str:
    """The refresh token that the answer sets."""
    return SimpleCookie(answer.headers["set-cookie"])["__Host-rt"].value


async def test_a_browser_gets_its_refresh_token_in_a_cookie_that_no_script_reads(person: Person) -> None:
    answer = await sign_in(person)
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    token = cookie_of(answer)
    assert token not in answer.text
    attributes = answer.headers.get_list("set-cookie")[0].split("; ")
    assert attributes[0] == f"__Host-rt={token}"
    assert set(attributes[1:]) == {"Max-Age=1209600", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    assert await person.is_let_in(answer.json()["access_token"])


async def test_it_ends_after_two_weeks_however_often_it_was_refreshed(api: Api, person: Person) -> None:
    first = await sign_in(person)
    session = api.identity.tokens.verify(first.json()["access_token"]).session_id

    async def age(by: timedelta) -> None:
        async with api.identity.db.sessions.begin() as db:
            earlier = col(Session.absolute_expires_at) - by
            await db.execute(update(Session).where(col(Session.id) == session).values(absolute_expires_at=earlier))

    await age(timedelta(days=13, hours=23))
    second = await post(api, "refresh-token", cookie_of(first), **FROM_OURS)
    max_age = int(second.headers["set-cookie"].split("Max-Age=")[1].split(";")[0])
    assert 0 < max_age <= 3600
    await age(timedelta(hours=1))
    assert (await post(api, "refresh-token", cookie_of(second), **FROM_OURS)).status_code == 401


async def test_a_refresh_repeated_gets_the_same_body_and_the_same_cookie(api: Api, person: Person) -> None:
    token = cookie_of(await sign_in(person))
    answers = await asyncio.gather(*[post(api, "refresh-token", token, **FROM_OURS) for _ in range(20)])
    assert {answer.status_code for answer in answers} == {200}
    assert len({(answer.content, answer.headers["set-cookie"]) for answer in answers}) == 1
    assert "refresh_token" not in answers[0].json()
    following = await post(api, "refresh-token", cookie_of(answers[0]), **FROM_OURS)
    assert following.status_code == 200
    assert cookie_of(following) not in (token, cookie_of(answers[0]))


@pytest.mark.parametrize("cookie", [None, "", "unknown", "é", "a" * 5000])
async def test_a_refresh_that_fails_leaves_the_cookie_alone(api: Api, person: Person, cookie: str | None) -> None:
    answer = await post(api, "refresh-token", cookie, **FROM_OURS)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_grant")
    assert "set-cookie" not in answer.headers


async def test_a_stolen_cookie_used_late_ends_the_session_and_clears_nothing(api: Api, person: Person) -> None:
    tokens = [cookie_of(await sign_in(person))]
    for _ in range(2):
        tokens.append(cookie_of(await post(api, "refresh-token", tokens[-1], **FROM_OURS)))
    for token in (tokens[0], tokens[-1]):
        answer = await post(api, "refresh-token", token, **FROM_OURS)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


async def test_tokens_never_change_their_way(api: Api, person: Person) -> None:
    token = cookie_of(await sign_in(person))
    by_body = await person.refresh(token)
    by_cookie = await post(api, "refresh-token", person.refresh_token, **FROM_OURS)
    assert said(by_body) == said(by_cookie) == said(await person.refresh("unknown"))
    assert (await person.refresh()).json()["refresh_token"]
    assert (await post(api, "refresh-token", token, **FROM_OURS)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"Origin": OURS}, True),
        ({"Origin": APP, "Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({}, False),
        ({"Origin": FOREIGN}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://localhost"}, False),
        ({"Origin": OURS + ":8443"}, False),
        ({"Origin": "https://localhost.evil.test"}, False),
        ({"Origin": FOREIGN, "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Referer": OURS, "Host": "localhost"}, False),
    ],
)
async def test_a_cookie_counts_from_pages_of_ours_only(
    api: Api, person: Person, headers: dict[str, str], ours: bool
) -> None:
    body = {"email": person.email, "password": PASSWORD}
    login = await api.http.post("/api/v1/auth/login", json=body, headers=WISH | headers)
    token = cookie_of(await sign_in(person))
    refresh = await post(api, "refresh-token", token, **headers)
    logout = await post(api, "logout", cookie_of(refresh) if ours else token, **headers)
    assert [login.status_code, refresh.status_code, logout.status_code] == ([200, 200, 204] if ours else [403] * 3)
    if not ours:
        assert {answer.json()["code"] for answer in (login, refresh, logout)} == {"foreign_origin"}
        assert not any("set-cookie" in answer.headers for answer in (login, refresh, logout))
        assert (await post(api, "refresh-token", token, **FROM_OURS)).status_code == 200


async def test_a_default_port_in_the_public_url_is_no_other_origin(settings: Settings, db: Database) -> None:
    ours = settings.model_copy(update={"public_url": f"{OURS}:443", "rate_limits": OPEN})
    async with api_process(ours) as process:
        assert (await sign_in(await process.person())).status_code == 200


async def test_two_origins_are_none(api: Api, person: Person) -> None:
    token = cookie_of(await sign_in(person))
    headers = [("Cookie", f"__Host-rt={token}"), ("Origin", OURS), ("Origin", FOREIGN)]
    assert (await api.http.post("/api/v1/auth/refresh-token", headers=headers)).status_code == 403


async def test_signing_out_by_cookie_ends_the_session_and_takes_the_cookie_away(api: Api, person: Person) -> None:
    answer = await sign_in(person)
    access, token = answer.json()["access_token"], cookie_of(answer)
    out = await post(api, "logout", token, **FROM_OURS)
    assert out.status_code == 204
    assert out.headers["set-cookie"] == "__Host-rt=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"
    assert not await person.is_let_in(access)
    assert await person.is_let_in(), "the other session lives on"
    assert (await post(api, "refresh-token", token, **FROM_OURS)).status_code == 401
    again = await post(api, "logout", token, **FROM_OURS)
    assert (again.status_code, "Max-Age=0" in again.headers["set-cookie"]) == (204, True)


@pytest.mark.parametrize("path", ["logout", "logout-all"])
async def test_signing_out_by_access_token_takes_the_cookie_away_too(api: Api, person: Person, path: str) -> None:
    answer = await sign_in(person)
    out = await post(api, path, cookie_of(answer), **bearer(answer.json()["access_token"]))
    assert (out.status_code, "Max-Age=0" in out.headers["set-cookie"]) == (204, True)
    native = await api.post(f"/auth/{path}", token=(await api.login(person.email)).json()["access_token"])
    assert (native.status_code, "set-cookie" in native.headers) == (204, False)


async def test_nobody_is_signed_out_without_token_and_cookie_or_with_a_broken_token(api: Api, person: Person) -> None:
    token = cookie_of(await sign_in(person))
    assert (await post(api, "logout", None, **FROM_OURS)).status_code == 401
    assert (await post(api, "logout", token, **FROM_OURS, Authorization="Bearer no")).status_code == 401
    assert (await post(api, "refresh-token", token, **FROM_OURS)).status_code == 200


async def test_an_unknown_wish_is_said_so(api: Api, person: Person) -> None:
    answer = await sign_in(person, **{"Petfolio-Session": "jar"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_session_mode")
    native = await sign_in(person, **{"Petfolio-Session": "bearer"})
    assert ("refresh_token" in native.json(), "__Host-rt" in native.cookies) == (True, False)


async def test_a_page_of_an_allowed_origin_may_send_the_wish_and_keep_the_cookie(api: Api) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "petfolio-session"}
    for origin, allowed in ((APP, True), (FOREIGN, False)):
        answer = await api.http.options("/api/v1/auth/login", headers=ask | {"Origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        assert (answer.status_code == 200) is allowed


async def test_what_lies_in_the_row_opens_with_the_raw_token_only(api: Api, person: Person) -> None:
    token = cookie_of(await sign_in(person))
    successor = cookie_of(await post(api, "refresh-token", token, **FROM_OURS))
    async with api.identity.db.sessions() as db:
        rows = (await db.scalars(select(Session).where(col(Session.user_id) == person.user_id))).all()
    kept = repr([(row.rt_hash, row.prev_hash, row.replay_ct) for row in rows])
    assert token not in kept
    assert successor not in kept
