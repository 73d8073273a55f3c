"""What calendar providers tell: genuine messages ring once, all others have no effect and look alike (S16-S18)."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from api import calendar_pushes
from core.settings import Settings
from models.calendar_sync import ConnectionState
from tests.api.calendars_kit import bells, change, channel, connect_server, rows_of, unring
from tests.api.calendars_kit import settings as settings
from tests.api.signing_in import Api, Person, api_process

GOOGLE, GRAPH = "/api/v1/webhooks/google-calendar", "/api/v1/webhooks/microsoft-graph"
LIFECYCLE = f"{GRAPH}/lifecycle"


@pytest.fixture(scope="module")
async def person(api: Api) -> Person:
    return await api.person()


@pytest.fixture
async def connection(api: Api, person: Person) -> Any:
    made = await connect_server(person)
    yield made
    assert (await person.request("DELETE", f"/integrations/calendar/connections/{made['id']}")).status_code == 204


async def google(api: Api, made: dict[str, str], state: str = "exists", **headers: str) -> httpx.Response:
    sent = {
        "X-Goog-Channel-ID": made["id"],
        "X-Goog-Channel-Token": made["secret"],
        "X-Goog-Resource-ID": made["resource_id"],
        "X-Goog-Resource-State": state,
        "X-Goog-Message-Number": "7",
    }
    return await api.http.post(GOOGLE, headers=sent | headers)


def item(made: dict[str, str], **fields: Any) -> dict[str, Any]:
    return {"subscriptionId": made["id"], "clientState": made["secret"], "changeType": "updated"} | fields


async def graph(api: Api, *items: Any, path: str = GRAPH) -> httpx.Response:
    return await api.http.post(path, json={"value": list(items)})


class TestGoogle:
    async def test_a_change_rings_and_a_hundred_are_one_row(self, api: Api, connection: dict[str, Any]) -> None:
        made = await channel(api, connection)
        answers = [await google(api, made) for _ in range(100)]
        assert {each.status_code for each in answers} == {200}
        assert len(await bells(api, connection)) == 1

    async def test_two_channels_that_overlap_are_both_heard(self, api: Api, connection: dict[str, Any]) -> None:
        for made in (await channel(api, connection), await channel(api, connection)):
            await unring(api, connection)
            assert (await google(api, made)).status_code == 200
            assert len(await bells(api, connection)) == 1

    async def test_that_a_channel_is_there_is_no_change(self, api: Api, connection: dict[str, Any]) -> None:
        made = await channel(api, connection)
        assert (await google(api, made, "sync")).status_code == 200
        assert await bells(api, connection) == []

    async def test_a_channel_that_is_none_any_more_is_answered_and_not_heard(
        self, api: Api, connection: dict[str, Any]
    ) -> None:
        made = await channel(api, connection)
        for header in ({"X-Goog-Channel-ID": "gone"}, {"X-Goog-Resource-ID": "gone"}):
            assert (await google(api, made, **header)).status_code == 200
        assert await bells(api, connection) == []

    async def test_a_wrong_secret_and_a_calendar_that_is_none_are_refused_alike(
        self, api: Api, connection: dict[str, Any]
    ) -> None:
        made = await channel(api, connection)
        _, link = await rows_of(api, connection)
        tokens = [f"{link.id}.guess", made["secret"][:-1], f"{uuid4()}.guess", "", "nonsense", "x" * 4000]
        answers = [await google(api, made, **{"X-Goog-Channel-Token": token}) for token in tokens]
        bodies = [{name: value for name, value in each.json().items() if name != "instance"} for each in answers]
        assert {each.status_code for each in answers} == {401}
        assert all(each == bodies[0] for each in bodies)
        assert (await api.http.post(GOOGLE)).status_code == 401
        assert await bells(api, connection) == []

    async def test_every_message_costs_one_look_and_two_comparisons_whoever_sends_it(
        self, api: Api, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = await channel(api, connection)
        _, link = await rows_of(api, connection)
        asked: list[int] = []
        compared: list[tuple[str, str]] = []
        look, compare = calendar_pushes.queries.channels, calendar_pushes.hmac.compare_digest

        async def counted(reads: Any, ids: Any) -> Any:
            asked.append(len(list(ids)))
            return await look(reads, ids)

        class Compared:
            @staticmethod
            def compare_digest(one: str, other: str) -> bool:
                compared.append((one, other))
                return compare(one, other)

        monkeypatch.setattr(calendar_pushes.queries, "channels", counted)
        monkeypatch.setattr(calendar_pushes, "hmac", Compared)
        for token in (made["secret"], f"{link.id}.guess", f"{uuid4()}.guess", "nonsense"):
            asked.clear(), compared.clear()
            await google(api, made, **{"X-Goog-Channel-Token": token})
            assert (asked, len(compared)) == ([1], 2), token
            assert {len(one) for pair in compared for one in pair} == {64}

    async def test_what_is_paused_or_ended_hears_nothing(self, api: Api, connection: dict[str, Any]) -> None:
        made = await channel(api, connection)
        await change(api, connection, state=ConnectionState.PAUSED)
        assert (await google(api, made)).status_code == 401
        assert await bells(api, connection) == []
        await change(api, connection, state=ConnectionState.ACTIVE)


class TestGraph:
    @pytest.mark.parametrize("path", [GRAPH, LIFECYCLE])
    async def test_a_new_subscription_is_told_that_it_is_right_here(self, api: Api, path: str) -> None:
        question = "Validation: Testing client application reachability for subscription Request-Id: 1-2_3.4+ü"
        answer = await api.http.post(path, params={"validationToken": question})
        assert (answer.status_code, answer.text) == (200, question)
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
        for hostile in ("<script>alert(1)</script>", "", "x" * 2049, "a\0b", "a\r\nSet-Cookie: b=c"):
            refused = await api.http.post(path, params={"validationToken": hostile})
            assert refused.status_code == 400
            assert "script" not in refused.text

    async def test_messages_of_three_subscriptions_ring_those_whose_secret_is_right(
        self, api: Api, person: Person
    ) -> None:
        """S18."""
        made = [await connect_server(person) for _ in range(3)]
        channels = [await channel(api, each) for each in made]
        _, wronged = await rows_of(api, made[1])
        first, wrong, last = channels
        answer = await graph(api, item(first), item(wrong, clientState=f"{wronged.id}.guess"), item(last))
        assert answer.status_code == 202
        assert [len(await bells(api, each)) for each in made] == [1, 0, 1]

    async def test_another_subscription_s_secret_opens_nothing(self, api: Api, person: Person) -> None:
        first, second = [await channel(api, await connect_server(person)) for _ in range(2)]
        assert (await graph(api, item(first, subscriptionId=second["id"]))).status_code == 202
        assert (await graph(api, item(first, subscriptionId=None))).status_code == 202

    async def test_a_flood_of_items_is_bounded_work(
        self, api: Api, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """S17."""
        made = await channel(api, connection)
        asked: list[int] = []
        look = calendar_pushes.queries.channels

        async def counted(reads: Any, ids: Any) -> Any:
            asked.append(len(list(ids)))
            return await look(reads, ids)

        monkeypatch.setattr(calendar_pushes.queries, "channels", counted)
        strangers = [{"clientState": f"{uuid4()}.x"} for _ in range(10_000)]
        assert (await graph(api, item(made), *strangers)).status_code == 202
        same = [{"clientState": made["secret"], "subscriptionId": made["id"]} for _ in range(5_000)]
        assert (await graph(api, *same)).status_code == 202
        assert asked == [calendar_pushes.MOST_LINKS, 1]
        assert len(await bells(api, connection)) == 1

    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"null", b"[]", b"{}", b'{"value": null}', b'{"value": [null, 1, "x", [], {}]}'),
            *(b"\xff\xfe", b"[" * 5000, b'{"value": [{"clientState": "\\ud800"}]}'),
            *(json.dumps({"value": [{"clientState": each, "subscriptionId": each}]}).encode() for each in (1, [], "é")),
        ],
    )
    async def test_whatever_comes_is_answered_with_202(self, api: Api, body: bytes) -> None:
        for path in (GRAPH, LIFECYCLE):
            assert (await api.http.post(path, content=body)).status_code == 202

    async def test_what_is_too_large_is_refused_unread(self, api: Api) -> None:
        assert (await api.http.post(GRAPH, content=b" " * (2**20 + 1))).status_code == 413


class TestLifecycle:
    async def test_lost_messages_have_the_whole_list_read(self, api: Api, connection: dict[str, Any]) -> None:
        made = await channel(api, connection)
        await change(api, connection, cursor="delta", page_state="next")
        assert (await graph(api, item(made, lifecycleEvent="missed"), path=LIFECYCLE)).status_code == 202
        _, link = await rows_of(api, connection)
        assert (link.cursor, link.page_state) == (None, None)
        assert len(await bells(api, connection)) == 1

    async def test_a_subscription_that_was_removed_is_forgotten_and_the_other_stays(
        self, api: Api, connection: dict[str, Any]
    ) -> None:
        former, latter = await channel(api, connection), await channel(api, connection)
        assert (await graph(api, item(former, lifecycleEvent="subscriptionRemoved"), path=LIFECYCLE)).status_code == 202
        _, link = await rows_of(api, connection)
        assert [each["id"] for each in link.push_channels] == [latter["id"]]
        assert len(await bells(api, connection)) == 1

    async def test_one_that_wants_to_be_renewed_is_past_its_time(self, api: Api, connection: dict[str, Any]) -> None:
        made = await channel(api, connection)
        event = item(made, lifecycleEvent="reauthorizationRequired")
        assert (await graph(api, event, path=LIFECYCLE)).status_code == 202
        _, link = await rows_of(api, connection)
        assert datetime.fromisoformat(str(link.push_channels[0]["expires_at"])) <= datetime.now(UTC)
        assert link.push_channels[0]["secret_hash"] == hashlib.sha256(made["secret"].encode()).hexdigest()

    async def test_a_forged_one_changes_nothing(self, api: Api, connection: dict[str, Any]) -> None:
        made = await channel(api, connection)
        await change(api, connection, cursor="delta")
        _, link = await rows_of(api, connection)
        forged = [item(made, clientState=f"{link.id}.guess", lifecycleEvent=each) for each in calendar_pushes.Reason]
        assert (await graph(api, *forged, path=LIFECYCLE)).status_code == 202
        _, after = await rows_of(api, connection)
        assert (after.cursor, after.push_channels) == ("delta", link.push_channels)
        assert await bells(api, connection) == []


Send = Callable[[Api], Awaitable[httpx.Response]]


@pytest.mark.parametrize(
    "send",
    [
        lambda api: api.http.post(GOOGLE, headers={"X-Goog-Channel-Token": f"{uuid4()}.x"}),
        lambda api: graph(api, {"clientState": f"{uuid4()}.x"}),
    ],
)
async def test_without_postgres_the_provider_is_asked_to_come_again(settings: Settings, send: Send) -> None:
    """Its message would be lost otherwise."""
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:9/nothing")
    async with api_process(settings.model_copy(update={"database_url": nowhere})) as api:
        answer = await send(api)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_without_redis_messages_are_heard(settings: Settings, api: Api, person: Person) -> None:
    made = await connect_server(person)
    through = await channel(api, made)
    async with api_process(settings, redis_url="redis://127.0.0.1:9") as lonely:
        assert (await google(lonely, through)).status_code == 200
    assert len(await bells(api, made)) == 1
