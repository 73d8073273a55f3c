"""What every resource has in common: preconditions, replays, HEAD, limits on origins, a deadline, one transaction."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.app import create_app
from api.deps import UnitOfWork
from api.dispatch import mount
from api.errors import install
from api.middleware.envelope import Envelope
from api.routing import router as make_router
from core.db import Database
from core.settings import Settings
from domain.access import Role
from domain.billing.catalogue import Tier
from tests.api.household_kit import member
from tests.api.plans_kit import entitle
from tests.api.signing_in import Api, Person, version_in


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    person = await api.person()
    await entitle(api.identity.db, person.user_id, Tier.FAMILY)
    return person


@pytest.fixture
async def pet(person: Person) -> dict[str, Any]:
    return dict((await person.request("POST", "/pets", {"name": "Milo"})).json())


@pytest.fixture
async def unlucky(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Routes that meet what no honest request can bring about, over the services of the real application."""
    routes = make_router("/unlucky", "tests")

    @routes.post("/commit", status_code=201)
    async def commit(session: UnitOfWork) -> dict[str, str]:
        # A deferred constraint is checked by COMMIT: the handler has already succeeded.
        await session.execute(
            text("CREATE TEMPORARY TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
        )
        await session.execute(text("INSERT INTO t VALUES (1), (1)"))
        return {"made": "it"}

    @routes.post("/killed", status_code=201)
    async def killed(session: UnitOfWork) -> dict[str, str]:
        pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await app.state.services.db.reads.fetchval("SELECT pg_terminate_backend($1)", pid)
        return {"made": "it"}

    @routes.get("/slow")
    async def slow(session: UnitOfWork) -> None:
        await session.execute(text("SELECT pg_sleep(30)"))

    @routes.get("/cancelled")
    async def cancelled(session: UnitOfWork) -> None:
        await session.execute(text("SET LOCAL statement_timeout = 50"))
        await session.execute(text("SELECT pg_sleep(30)"))

    @routes.get("/statement")
    async def statement(session: UnitOfWork) -> None:
        await session.execute(text("SELECT canary_column"))

    other = FastAPI()
    other.state.services = app.state.services
    mount(other, [routes])
    install(other)
    other.add_middleware(Envelope, deadline=2.0, access_log=False)
    transport = httpx.ASGITransport(other, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1/unlucky") as client:
        yield client


async def test_a_commit_that_fails_is_never_answered_with_success(unlucky: httpx.AsyncClient) -> None:
    answer = await unlucky.post("/commit")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "made" not in answer.text


async def test_a_connection_lost_before_the_commit_is_503(unlucky: httpx.AsyncClient) -> None:
    answer = await unlucky.post("/killed")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("path", "code"),
    [("/slow", "deadline_exceeded"), ("/cancelled", "database_unavailable")],
    ids=["deadline", "statement"],
)
async def test_what_takes_too_long_is_503_and_may_be_tried_again(
    unlucky: httpx.AsyncClient, path: str, code: str
) -> None:
    answer = await unlucky.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_statement_of_ours_that_is_wrong_is_a_500_without_its_words(unlucky: httpx.AsyncClient) -> None:
    answer = await unlucky.get("/statement")
    assert answer.status_code == 500
    assert "canary" not in answer.text


class TestEntityTags:
    @pytest.mark.parametrize("tag", ['"v1"', "*", '"other", "v1"', '"a,b","v1"'])
    async def test_a_matching_precondition_lets_the_write_through(
        self, person: Person, pet: dict[str, Any], tag: str
    ) -> None:
        answer = await person.request("PUT", f"/pets/{pet['id']}", {"name": "Miro"}, headers={"If-Match": tag})
        assert (answer.status_code, version_in(answer)) == (200, "v2")

    @pytest.mark.parametrize(
        ("tag", "status"),
        [('"v7"', 412), ('W/"v1"', 412), ('"v7", W/"v1"', 412), ("v1", 400), ('"v1', 400), ("W/v1", 400)],
    )
    async def test_a_stale_or_weak_tag_is_412_and_no_tag_at_all_400(
        self, person: Person, pet: dict[str, Any], tag: str, status: int
    ) -> None:
        answer = await person.request("PUT", f"/pets/{pet['id']}", {"name": "Miro"}, headers={"If-Match": tag})
        assert answer.status_code == status

    async def test_without_a_precondition_the_last_writer_wins_and_learns_the_new_tag(
        self, person: Person, pet: dict[str, Any]
    ) -> None:
        answers = [await person.request("PATCH", f"/pets/{pet['id']}", {"name": name}) for name in ("A", "B")]
        assert [version_in(answer) for answer in answers] == ["v2", "v3"]

    @pytest.mark.parametrize("known", ["{tag}", "W/{tag}", "*", '"v9", {tag}'])
    async def test_what_the_caller_has_already_is_304(self, person: Person, pet: dict[str, Any], known: str) -> None:
        tag = (await person.request("GET", f"/pets/{pet['id']}")).headers["etag"]
        answer = await person.request("GET", f"/pets/{pet['id']}", headers={"If-None-Match": known.format(tag=tag)})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)

    async def test_what_is_shown_anew_without_a_new_version_is_no_304(
        self, api: Api, person: Person, pet: dict[str, Any]
    ) -> None:
        """The owners of a pet are no columns of it."""
        path = f"/pets/{pet['id']}"
        before = await person.request("GET", path)
        partner = await member(api, UUID(pet["household_id"]), Role.OWNER)
        after = await person.request("GET", path, headers={"If-None-Match": before.headers["etag"]})
        assert after.status_code == 200
        assert str(partner.user_id) in str(after.json()["owners"])
        write = await person.request("PATCH", path, {"name": "Mila"}, headers={"If-Match": before.headers["etag"]})
        assert write.status_code == 200, "nobody has changed the pet"


class TestHead:
    async def test_head_is_get_without_the_body(self, person: Person, pet: dict[str, Any]) -> None:
        path = f"/pets/{pet['id']}"
        full, head = await person.request("GET", path), await person.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("etag", "content-type", "content-length"):
            assert head.headers[name] == full.headers[name]

    async def test_head_of_nothing_is_404(self, person: Person) -> None:
        answer = await person.request("HEAD", "/nowhere")
        assert (answer.status_code, answer.content) == (404, b"")


class TestIdempotencyKeys:
    async def test_fifty_at_once_have_one_effect_and_one_answer(self, api: Api) -> None:
        person = await api.person()
        key = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
        answers = await asyncio.gather(
            *(person.request("POST", "/pets", {"name": "Once"}, headers=key) for _ in range(50))
        )
        assert {answer.status_code for answer in answers} <= {201, 409, 503}
        assert all("retry-after" in answer.headers for answer in answers if answer.status_code != 201)
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        firsts = [a for a in answers if a.status_code == 201 and "idempotent-replayed" not in a.headers]
        assert len(firsts) == 1
        assert len((await person.request("GET", "/pets")).json()["items"]) == 1

    async def test_the_stored_answer_is_unreadable_in_the_database(self, person: Person, db: Database) -> None:
        key = {"Idempotency-Key": "canary-key-1"}
        assert (await person.request("POST", "/pets", {"name": "Canaryname"}, headers=key)).status_code == 201
        row = await db.reads.fetchrow(
            "SELECT status, headers, body_ct FROM idempotency_keys WHERE key = 'canary-key-1'"
        )
        assert row is not None
        assert (row["status"], "Canary" in row["body_ct"]) == (201, False)

    async def test_another_person_with_the_same_key_gets_their_own_answer(self, api: Api, person: Person) -> None:
        key, other = {"Idempotency-Key": "shared-by-chance"}, await api.person()
        answers = [await who.request("POST", "/pets", {"name": "Mine"}, headers=key) for who in (person, other)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json()["owner_id"] != answers[1].json()["owner_id"]

    @pytest.mark.parametrize("key", ["", "a b", '"unclosed', "x" * 129, "sch\xfcssel"])
    async def test_what_is_no_key_is_400(self, person: Person, key: str) -> None:
        headers = [
            (b"authorization", b"Bearer " + person.access_token.encode()),
            (b"idempotency-key", key.encode("latin-1")),
        ]
        answer = await person.api.http.post("/api/v1/pets", json={"name": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")

    async def test_a_replay_needs_the_same_rights_as_the_first_time(self, api: Api, person: Person) -> None:
        pet = (await person.request("POST", "/pets", {"name": "Gone"})).json()["id"]
        key, body = {"Idempotency-Key": "record-1"}, {"record_type": "visit", "title": "Check-up"}
        assert (await person.request("POST", f"/pets/{pet}/records", body, headers=key)).status_code == 201
        assert (await person.request("DELETE", f"/pets/{pet}")).status_code == 204
        assert (await person.request("POST", f"/pets/{pet}/records", body, headers=key)).status_code == 404


class TestOrigins:
    @pytest.fixture
    async def client(self, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
        allowed = settings.api.model_copy(update={"cors_origins": ("https://app.example.test",)})
        app = create_app(settings.model_copy(update={"api": allowed}))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            yield client

    async def test_our_own_origin_may_read_answers_and_refusals(self, client: httpx.AsyncClient) -> None:
        for path in ("/healthz", "/api/v1/pets", "/nowhere", "/" + "a" * 9_000):
            answer = await client.get(path, headers={"Origin": "https://app.example.test"})
            assert answer.headers["access-control-allow-origin"] == "https://app.example.test", path
            assert "Origin" in answer.headers["vary"]

    @pytest.mark.parametrize("origin", ["https://evil.test", "https://app.example.test.evil.test", "null"])
    async def test_any_other_origin_may_not(self, client: httpx.AsyncClient, origin: str) -> None:
        answer = await client.get("/healthz", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        preflight = await client.options(
            "/api/v1/pets", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 400

    async def test_a_preflight_allows_what_the_api_reads(self, client: httpx.AsyncClient) -> None:
        answer = await client.options(
            "/api/v1/pets",
            headers={
                "Origin": "https://app.example.test",
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization, if-match, idempotency-key",
            },
        )
        assert answer.status_code == 200
        assert "PUT" in answer.headers["access-control-allow-methods"]


class TestOperations:
    async def test_readiness_names_every_dependency(self, api: Api) -> None:
        answer = await api.http.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert set(answer.json()["dependencies"]) == {"postgres", "redis", "temporal"}

    async def test_metrics_count_by_template_and_never_by_address(self, person: Person, pet: dict[str, Any]) -> None:
        await person.request("GET", f"/pets/{pet['id']}")
        page = await metrics(person.api)
        assert 'route="/api/v1/pets/{pet_id}"' in page.text
        assert str(pet["id"]) not in page.text

    async def test_metrics_are_for_this_machine_only(self, api: Api) -> None:
        assert (await api.http.get("/metrics")).status_code == 404  # the tests' clients come from 10.0.0.0/8
        assert (await metrics(api, {"X-Forwarded-For": "203.0.113.9"})).status_code == 404

    async def test_what_is_for_developers_is_closed_by_default(self, settings: Settings) -> None:
        closed = settings.model_copy(update={"api": settings.api.model_copy(update={"docs": False})})
        app = create_app(closed)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.9", 1))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            for path in ("/docs", "/docs/swagger-ui.css", "/metrics", "/.git/config", "/debug", "/redoc"):
                assert (await client.get(path)).status_code == 404, path


async def metrics(api: Api, headers: dict[str, str] | None = None) -> httpx.Response:
    transport = httpx.ASGITransport(api.http._transport.app)  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/metrics", headers=headers)
