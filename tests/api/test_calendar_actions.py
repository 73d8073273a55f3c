"""What a person does with a calendar that is connected, and what they answer when the sync asks them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from core import live
from core.ids import new_id
from domain.calendar_sync import LinkState
from integrations.calendar import credentials
from integrations.calendar.credentials import CalDavCredential, OAuthCredential
from models.calendar_sync import CalendarInboxItem, ConnectionState, EventLink, Health
from tests.api.calendars_kit import (
    CONNECTIONS,
    FINISH,
    Browser,
    bells,
    change,
    connect,
    connect_server,
    rows_of,
    unring,
)
from tests.api.calendars_kit import settings as settings
from tests.api.signing_in import Api, Person, audit_of
from tests.calendar_servers import somebody
from tests.relay.kit import until


async def appointment(person: Person, title: str = "Vet") -> dict[str, Any]:
    answer = await person.request("POST", "/appointments", {"title": title, "starts_at": "2036-06-01T09:00"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def pair(api: Api, connection: dict[str, Any], local: dict[str, Any], **fields: Any) -> UUID:
    """An appointment's counterpart in the calendar, as the worker remembers it."""
    _, link = await rows_of(api, connection)
    row = EventLink(
        id=new_id(),
        calendar_link_id=link.id,
        appointment_id=UUID(local["id"]),
        **{"remote_id": str(uuid4()), "local_version_at_base": local["version"]} | fields,
    )
    row_id = row.id
    async with api.identity.db.sessions.begin() as session:
        session.add(row)
    return row_id


async def acted(person: Person, connection: dict[str, Any], action: str, body: Any = None) -> tuple[int, Any]:
    answer = await person.request("POST", f"{CONNECTIONS}/{connection['id']}/{action}", body)
    return answer.status_code, answer.json()


async def test_a_pause_is_heard_at_once_and_repeating_it_changes_nothing(api: Api, person: Person) -> None:
    made = await connect_server(person)
    await change(api, made, state=ConnectionState.ACTIVE, last_ok_at=datetime.now(UTC))
    await unring(api, made)
    first, second = [await acted(person, made, "pause") for _ in range(2)]
    assert (first[0], first[1]["state"]) == (200, "paused")
    assert second == first
    assert len(await bells(api, made)) == 1
    resumed = await acted(person, made, "resume")
    assert resumed[1]["state"] == "active"
    assert await acted(person, made, "resume") == resumed


async def test_what_was_paused_before_anybody_was_there_is_still_to_be_tried(api: Api, person: Person) -> None:
    made = await connect_server(person)
    await acted(person, made, "pause")
    assert (await acted(person, made, "resume"))[1]["state"] == "connecting"


async def test_deletions_are_confirmed_only_when_they_wait_for_it(api: Api, person: Person) -> None:
    made = await connect_server(person)
    assert (await acted(person, made, "confirm-deletions"))[1]["code"] == "nothing_to_confirm"
    await change(api, made, health=Health.DELETES_PAUSED)
    await unring(api, made)
    assert (await acted(person, made, "confirm-deletions"))[0] == 200
    _, link = await rows_of(api, made)
    assert link.deletes_confirmed
    assert len(await bells(api, made)) == 1


async def test_a_calendar_that_is_gone_is_made_anew_with_everything_but_what_was_hidden(
    api: Api, person: Person
) -> None:
    made = await connect_server(person)
    shown, hidden = [await pair(api, made, await appointment(person)) for _ in range(2)]
    _, link = await rows_of(api, made)
    async with api.identity.db.sessions.begin() as session:
        (await session.get_one(EventLink, hidden)).state = LinkState.HIDDEN
        session.add(CalendarInboxItem(calendar_link_id=link.id, remote_id="stale"))
    assert (await acted(person, made, "recreate-calendar"))[1]["code"] == "calendar_not_missing"
    await change(api, made, health=Health.CALENDAR_MISSING, remote_calendar_id="lost", cursor="c", full_listed=2)
    assert (await acted(person, made, "recreate-calendar"))[1]["health"] == "resyncing"
    _, link = await rows_of(api, made)
    assert (link.remote_calendar_id, link.cursor, link.full_listed, link.push_channels) == (None, None, None, [])
    async with api.identity.db.sessions() as session:
        rows = [await session.get_one(EventLink, each) for each in (shown, hidden)]
        assert [(each.state, each.remote_id is None) for each in rows] == [("dead", True), ("hidden", False)]
        assert await session.get(CalendarInboxItem, (link.id, "stale")) is None


async def test_a_new_password_brings_a_server_back_under_a_higher_epoch(api: Api, person: Person) -> None:
    made = await connect_server(person)
    await change(api, made, state=ConnectionState.NEEDS_REAUTH, last_error="calendar_needs_reauth", failures=3)
    assert (await acted(person, made, "reauthorise", {}))[1]["errors"][0]["pointer"] == "/password"
    status, shown = await acted(person, made, "reauthorise", {"password": "a fresh one"})
    assert (status, shown["state"], shown["last_error"]) == (200, "connecting", None)
    row, _ = await rows_of(api, made)
    assert row.epoch == 2
    opened = credentials.from_json(await api.identity.cipher.open(credentials.COLUMN, row.id, str(row.credential_ct)))
    assert isinstance(opened, CalDavCredential)
    assert opened.password == "a fresh one"
    assert ("calendar.reauthorise", "ok") in await audit_of(api, person.email)


async def test_a_new_consent_brings_an_account_back_and_another_account_is_refused(
    api: Api, person: Person, calendar_servers: str
) -> None:
    account, other = (somebody(calendar_servers, "google").account for _ in range(2))
    made = (await connect(person, "google", account)).json()
    before, _ = await rows_of(api, made)
    await change(api, made, state=ConnectionState.NEEDS_REAUTH)
    for who, status in ((other, 409), (account, 201)):
        begun = await acted(person, made, "reauthorise", {"next": "/settings"})
        said = await Browser(api).visit(begun[1]["authorize_url"], who)
        answer = await person.request("POST", FINISH, {"code": said["code"]})
        assert answer.status_code == status, answer.text
    assert (answer.json()["id"], answer.json()["state"]) == (made["id"], "active")
    after, _ = await rows_of(api, made)
    assert (after.epoch, after.credential_ct != before.credential_ct) == (2, True)
    opened = credentials.from_json(
        await api.identity.cipher.open(credentials.COLUMN, after.id, str(after.credential_ct))
    )
    assert isinstance(opened, OAuthCredential)


@pytest.mark.parametrize(("query", "removed"), [("", False), ("?remote_copies=remove", True)])
async def test_what_is_disconnected_is_gone_for_its_person_and_left_to_the_worker(
    api: Api, person: Person, query: str, removed: bool
) -> None:
    made = await connect_server(person)
    await unring(api, made)
    assert (await person.request("DELETE", f"{CONNECTIONS}/{made['id']}{query}")).status_code == 204
    row, _ = await rows_of(api, made)
    assert (row.state, row.remove_copies, row.disconnected_at is not None) == ("disconnected", removed, True)
    assert row.credential_ct is not None  # the worker takes leave with it
    assert len(await bells(api, made)) == 1
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        assert (await person.request(method, f"{CONNECTIONS}/{made['id']}{path}")).status_code == 404
    assert ("calendar.disconnect", "ok") in await audit_of(api, person.email)


async def test_the_screens_of_its_person_hear_of_a_change(api: Api, person: Person) -> None:
    made = await connect_server(person)
    await acted(person, made, "pause")

    async def said() -> list[tuple[str, str]]:
        entries = await api.identity.redis.call("XRANGE", live.stream_key(person.user_id), "-", "+")
        fields = [dict(zip(each[1][::2], each[1][1::2], strict=True)) for each in entries]
        found = [(each[b"name"].decode(), json.loads(b"{%b}" % each[b"data"])) for each in fields]
        return [(name, data["state"]) for name, data in found if name == live.Name.CALENDAR_UPDATED]

    async def paused() -> bool:
        return ("calendar.updated", "paused") in await said()

    await until(paused)
    assert [state for _, state in await said()] == ["connecting", "paused"]


async def test_nobody_else_sees_or_changes_it(api: Api, person: Person) -> None:
    made, stranger = await connect_server(person), await api.person()
    path = f"{CONNECTIONS}/{made['id']}"
    requests: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("PATCH", path, {"policy": {"adopt": False}}),
        ("DELETE", path, None),
        ("POST", f"{path}/reauthorise", {"password": "mine"}),
        *(("POST", f"{path}/{each}", None) for each in ("pause", "resume", "confirm-deletions", "recreate-calendar")),
    ]
    answers = [await stranger.request(*each) for each in requests]
    assert {each.status_code for each in answers} == {404}
    assert (await person.request("GET", path)).json() == made


async def test_what_the_calendar_does_not_take_is_shown_with_its_title_and_reason(api: Api, person: Person) -> None:
    made, local = await connect_server(person), await appointment(person, "Teeth")
    await pair(api, made, local, state=LinkState.QUARANTINED, error="unsupported_recurrence")
    until = datetime.now(UTC) + timedelta(days=3)
    await change(api, made, push_channels=[{"id": "c", "expires_at": until.isoformat()}])
    shown = (await person.request("GET", f"{CONNECTIONS}/{made['id']}")).json()
    problem = {"appointment_id": local["id"], "reminder_id": None, "title": "Teeth", "reason": "unsupported_recurrence"}
    assert (shown["quarantined"], shown["problems"]) == (1, [problem])
    assert shown["push"]["state"] == "active"
    past = datetime.now(UTC) - timedelta(days=3)
    await change(api, made, push_channels=[{"id": "c", "expires_at": past.isoformat()}])
    assert (await person.request("GET", f"{CONNECTIONS}/{made['id']}")).json()["push"]["state"] == "expired"


async def test_a_linked_event_is_one_line_that_says_where_it_is(api: Api, person: Person) -> None:
    first, second = [await connect_server(person) for _ in range(2)]
    local, alone = await appointment(person), await appointment(person, "Alone")
    await pair(api, first, local)
    await pair(api, second, local, local_version_at_base=local["version"] - 1)
    span = "from=2036-06-01T00:00:00Z&to=2036-06-02T00:00:00Z"
    items = (await person.request("GET", f"/integrations/calendar/events?{span}")).json()["items"]
    places = {item["appointment_id"]: item["calendars"] for item in items}
    assert places[alone["id"]] == []
    assert {(each["connection_id"], each["state"]) for each in places[local["id"]]} == {
        (first["id"], "synced"),
        (second["id"], "pending"),
    }
    assert len(items) == 2
    await person.request("DELETE", f"{CONNECTIONS}/{second['id']}")
    items = (await person.request("GET", f"/integrations/calendar/events?{span}")).json()["items"]
    assert sorted(len(item["calendars"]) for item in items) == [0, 1]


async def test_a_calendar_is_among_the_workflows_of_its_person_alone(api: Api, person: Person) -> None:
    made, stranger = await connect_server(person), await api.person()
    items = (await person.request("GET", "/workflows")).json()["items"]
    (shown,) = [item for item in items if item["type"] == "calendar"]
    assert f"/api/v1/workflows/{shown['id']}" == made["workflow"]
    assert shown["result"] == f"/api/v1{CONNECTIONS}/{made['id']}"
    alone = await person.request("GET", f"/workflows/{shown['id']}")
    assert (alone.status_code, alone.json()["status"]) == (200, "connecting")
    assert (await stranger.request("GET", f"/workflows/{shown['id']}")).status_code == 404
    forged = shown["id"].replace(str(person.user_id), str(stranger.user_id))
    assert (await stranger.request("GET", f"/workflows/{forged}")).status_code == 404
    await person.request("DELETE", f"{CONNECTIONS}/{made['id']}")
    assert (await person.request("GET", f"/workflows/{shown['id']}")).status_code == 404
