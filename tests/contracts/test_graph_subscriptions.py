"""Change notifications of the local Graph server: one test per promise of calendar-sync.md §7.2."""

import datetime
import time
from typing import Any
from urllib.parse import quote

import pytest
from msgraph import GraphServiceClient
from msgraph.generated.models.calendar import Calendar
from msgraph.generated.models.subscription import Subscription

from tests.calendar_listener import Listener
from tests.calendar_servers import ControlClient
from tests.contracts.calendar_kit import asking, event, graph_client, graph_refuses
from tests.stack import until


class Watcher:
    """An account with a calendar, and somebody who listens."""

    def __init__(self, control: ControlClient, client: GraphServiceClient, calendar: str, listener: Listener) -> None:
        self.control, self.client, self.calendar, self.listener = control, client, calendar, listener

    async def subscribe(self, minutes: int = 600, **more: Any) -> Any:
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
        given = {
            "change_type": "created,updated,deleted",
            "notification_url": f"{self.listener.url}/push",
            "resource": f"me/calendars/{self.calendar}/events",
            "expiration_date_time": end,
            "client_state": "state",
        }
        return await self.client.subscriptions.post(Subscription(**(given | more)), request_configuration=asking())

    async def add(self) -> Any:
        calendar = self.client.me.calendars.by_calendar_id(self.calendar)
        return await calendar.events.post(event(), request_configuration=asking())

    async def items(self, number: int) -> list[dict[str, Any]]:
        """What was told, once it is so many items."""

        def told() -> list[dict[str, Any]]:
            found = [item for each in self.listener.messages for item in each.items]
            return found if len(found) >= number else []

        found: list[dict[str, Any]] = await until(told, within=5, what=f"{number} items")
        return found


@pytest.fixture
async def watcher(graph_server: ControlClient, listener: Listener) -> Watcher:
    client = graph_client(graph_server)
    made = await client.me.calendars.post(Calendar(name="Petfolio"))
    assert made is not None
    assert made.id is not None
    return Watcher(graph_server, client, made.id, listener)


async def test_both_addresses_are_asked_for_the_decoded_token(watcher: Watcher) -> None:
    made = await watcher.subscribe(lifecycle_notification_url=f"{watcher.listener.url}/life?tenant=1")
    assert made.id
    assert [each.path for each in watcher.listener.handshakes] == ["/push", "/life"]
    assert [each.body for each in watcher.listener.handshakes] == [b"", b""]
    assert watcher.listener.handshakes[1].query["tenant"] == ["1"]
    token = watcher.listener.handshakes[0].query["validationToken"][0]
    assert quote(token, safe="") != token, "it has to be decoded"


@pytest.mark.parametrize(
    "answer",
    [
        (200, "application/json", None),
        (202, "text/plain", None),
        (200, "text/plain", "another"),
        (404, "text/plain", None),
    ],
    ids=["not text", "not 200", "another token", "not found"],
)
async def test_without_the_right_answer_there_is_no_subscription(
    watcher: Watcher, answer: tuple[int, str, str | None]
) -> None:
    status, kind, text = answer
    watcher.listener.echo = lambda token: (status, kind, token if text is None else text)
    with graph_refuses(400, "ValidationError"):
        await watcher.subscribe()
    watcher.listener.echo = lambda token: (200, "text/plain", quote(token, safe=""))
    with graph_refuses(400, "ValidationError"):
        await watcher.subscribe()
    assert (await watcher.client.subscriptions.get()).value == []  # type: ignore[union-attr]


@pytest.mark.parametrize(("asked", "granted"), [(1, 45), (600, 600), (20_000, 10_080)])
async def test_the_lifetime_is_clamped(watcher: Watcher, asked: int, granted: int) -> None:
    made = await watcher.subscribe(minutes=asked)
    minutes = (made.expiration_date_time - datetime.datetime.now(datetime.UTC)).total_seconds() / 60
    assert abs(minutes - granted) < 1


async def test_each_item_brings_the_client_state_and_what_has_changed(watcher: Watcher) -> None:
    made = await watcher.subscribe()
    added = await watcher.add()
    watcher.control.remote_edit(added.id, watcher.calendar, title="New")
    watcher.control.remote_delete(added.id, watcher.calendar)
    items = await watcher.items(3)
    assert [each["changeType"] for each in items] == ["created", "updated", "deleted"]
    assert {each["clientState"] for each in items} == {"state"}
    assert {each["subscriptionId"] for each in items} == {made.id}
    assert {each["resourceData"]["id"] for each in items} == {added.id}
    assert items[0]["resource"] == f"Users/{watcher.control.account}/Events/{added.id}"


async def test_items_of_several_subscriptions_travel_in_one_message(watcher: Watcher) -> None:
    for state in ("one", "two", "three"):
        await watcher.subscribe(client_state=state)
    await watcher.add()
    assert {each["clientState"] for each in await watcher.items(3)} == {"one", "two", "three"}
    assert len(watcher.listener.messages) == 1


async def test_only_what_was_asked_for_is_told(watcher: Watcher) -> None:
    await watcher.subscribe(change_type="deleted")
    mailbox = await watcher.subscribe(resource="me/events", change_type="created")
    watcher.control.remote_create(title="elsewhere", start="2026-03-02T09:00", end="2026-03-02T10:00")
    await watcher.add()
    items = await watcher.items(2)
    assert [(each["subscriptionId"], each["changeType"]) for each in items] == [(mailbox.id, "created")] * 2


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
async def test_whatever_is_no_success_is_told_again(watcher: Watcher, status: int) -> None:
    await watcher.subscribe()
    watcher.listener.statuses += [status, status]
    await watcher.add()
    items = await watcher.items(3)
    assert items[0] == items[1] == items[2]


async def test_the_life_of_a_subscription_is_told_where_it_was_asked_for(watcher: Watcher) -> None:
    made = await watcher.subscribe(lifecycle_notification_url=f"{watcher.listener.url}/life")
    for number, name in enumerate(("reauthorizationRequired", "missed", "subscriptionRemoved"), 1):
        watcher.control.lifecycle(made.id, name)
        assert (await watcher.items(number))[-1]["lifecycleEvent"] == name
    assert {each.path for each in watcher.listener.messages} == {"/life"}
    assert {each["clientState"] for each in await watcher.items(3)} == {"state"}
    with graph_refuses(404, "ResourceNotFound"):
        await watcher.client.subscriptions.by_subscription_id(made.id).get()


async def test_a_subscription_can_be_renewed_reauthorised_and_deleted(watcher: Watcher) -> None:
    made = await watcher.subscribe(minutes=60)
    own = watcher.client.subscriptions.by_subscription_id(made.id)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=6, hours=23)
    renewed = await own.patch(Subscription(expiration_date_time=later))
    assert renewed is not None
    assert renewed.expiration_date_time is not None
    assert abs((renewed.expiration_date_time - later).total_seconds()) < 1
    await own.reauthorize.post()
    with graph_refuses(400, "ValidationError"):
        await own.patch(Subscription(lifecycle_notification_url="http://127.0.0.1/x", expiration_date_time=later))
    await own.delete()
    with graph_refuses(404, "ResourceNotFound"):
        await own.delete()


async def test_an_expired_subscription_is_gone_and_tells_nothing(watcher: Watcher) -> None:
    made = await watcher.subscribe(minutes=60)
    lasting = await watcher.subscribe(minutes=600)
    watcher.control.advance(61 * 60)
    fresh = graph_client(watcher.control)  # access tokens have ended as well
    with graph_refuses(404, "ResourceNotFound"):
        await fresh.subscriptions.by_subscription_id(made.id).get()
    watcher.control.remote_create(watcher.calendar, title="x", start="2026-03-02T09:00", end="2026-03-02T10:00")
    assert {each["subscriptionId"] for each in await watcher.items(1)} == {lasting.id}


async def test_false_items_and_floods_can_be_sent(watcher: Watcher) -> None:
    made = await watcher.subscribe()
    watcher.control.forge(subscription=made.id, state="wrong", count=10_000)
    items = await watcher.items(10_000)
    assert {each["clientState"] for each in items} == {"wrong"}
    assert len(watcher.listener.messages) == 1


async def test_what_is_no_subscription_is_refused(watcher: Watcher) -> None:
    for wrong in (
        {"resource": "me/messages"},
        {"change_type": "renamed"},
        {"client_state": "x" * 129},
        {"notification_url": "https://example.com/push"},
    ):
        with graph_refuses(400, "ValidationError"):
            await watcher.subscribe(**wrong)
    assert watcher.listener.heard == []


async def test_a_slow_handshake_does_not_hold_up_the_others(watcher: Watcher) -> None:
    began = time.monotonic()

    def slow(token: str) -> tuple[int, str, str]:
        watcher.control.state()  # would wait for ever, if the server held its lock while it asks
        return 200, "text/plain", token

    watcher.listener.echo = slow
    await watcher.subscribe()
    assert time.monotonic() - began < 5
