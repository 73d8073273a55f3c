"""What lost a conflict is shown to the person whose calendar it is, and can be put back as an edit of theirs (INV5)."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from activities.calendar_rows import Sealer
from core.ids import new_id
from domain.access import Role
from domain.calendar import Field, Override, Status, When
from domain.calendar_json import read_point
from domain.calendar_merge import Conflict, Side
from models.calendar_sync import CalendarConflict, EventLink
from tests.api.calendars_kit import bells, connect_server, rows_of, unring
from tests.api.calendars_kit import settings as settings
from tests.api.household_kit import home_of, member
from tests.api.signing_in import Api, Person

PATH = "/integrations/calendar/conflicts"


@pytest.fixture
async def connection(person: Person) -> dict[str, Any]:
    return await connect_server(person)


async def made(person: Person, path: str, body: Any) -> dict[str, Any]:
    answer = await person.request("POST", path, body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def appointment(person: Person, **fields: Any) -> dict[str, Any]:
    body = {"title": "Vet", "starts_at": "2036-06-01T09:00", "tzid": "Europe/Berlin", "notes": "Ours"}
    return await made(person, "/appointments", body | fields)


async def reminder(person: Person, **fields: Any) -> dict[str, Any]:
    schedule = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "Europe/Berlin"}
    return await made(person, "/reminders", {"title": "Tablet", "schedule": schedule} | fields)


async def conflict(
    api: Api, connection: dict[str, Any], local: dict[str, Any], found: Conflict, kind: str = "appointment"
) -> str:
    """As the worker records it."""
    row, link = await rows_of(api, connection)
    pair_id, conflict_id = new_id(), new_id()
    sealer = Sealer(api.identity.cipher, row.user_id)
    async with api.identity.db.sessions.begin() as session:
        about = {f"{kind}_id": UUID(local["id"])}
        session.add(EventLink(id=pair_id, calendar_link_id=link.id, remote_id=str(uuid4()), part=uuid4().hex, **about))
        await session.flush()
        session.add(
            CalendarConflict(
                id=conflict_id,
                event_link_id=pair_id,
                calendar_link_id=link.id,
                field=found.field,
                original=found.original and found.original.isoformat(),
                values_ct=await sealer.seal_values(conflict_id, found),
                winner=found.winner,
            )
        )
    return str(conflict_id)


def title(winner: Side = Side.LOCAL, theirs: str = "Dr Herriot") -> Conflict:
    return Conflict(Field.TITLE, "Vet", "Vet, 9 o'clock", theirs, winner)


async def restore(person: Person, conflict_id: str) -> dict[str, Any]:
    answer = await person.request("POST", f"{PATH}/{conflict_id}/restore")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def refusal(person: Person, conflict_id: str) -> tuple[int, str]:
    answer = await person.request("POST", f"{PATH}/{conflict_id}/restore")
    return answer.status_code, answer.json()["code"]


async def test_conflicts_are_listed_newest_first_in_pages_to_their_person_alone(
    api: Api, person: Person, connection: dict[str, Any]
) -> None:
    local = await appointment(person)
    known = [await conflict(api, connection, local, title(theirs=f"Dr {n}")) for n in range(3)]
    first = (await person.request("GET", f"{PATH}?limit=2")).json()
    second = (await person.request("GET", f"{PATH}?limit=2&cursor={first['next_cursor']}")).json()
    items = first["items"] + second["items"]
    assert [each["id"] for each in items] == list(reversed(known))
    newest = items[0]
    assert (newest["title"], newest["field"], newest["winner"]) == ("Vet", "title", "local")
    assert (newest["base"], newest["local"], newest["remote"]) == ("Vet", "Vet, 9 o'clock", "Dr 2")
    assert (newest["appointment_id"], newest["connection_id"]) == (local["id"], connection["id"])
    stranger = await api.person()
    assert (await stranger.request("GET", PATH)).json()["items"] == []
    assert await refusal(stranger, known[0]) == (404, "not_found")
    shown = (await person.request("GET", f"/integrations/calendar/connections/{connection['id']}")).json()
    assert shown["conflicts"] == 3


async def test_the_value_that_lost_is_an_edit_of_the_person_s_own_and_goes_out(
    api: Api, person: Person, connection: dict[str, Any]
) -> None:
    local = await appointment(person)
    conflict_id = await conflict(api, connection, local, title())
    await unring(api, connection)
    shown = await restore(person, conflict_id)
    assert (shown["title"], shown["restored_at"] is not None) == ("Dr Herriot", True)
    after = (await person.request("GET", f"/appointments/{local['id']}")).json()
    assert (after["title"], after["version"], after["notes"]) == ("Dr Herriot", local["version"] + 1, "Ours")
    assert len(await bells(api, connection)) == 1
    assert await restore(person, conflict_id) == shown  # repeating it changes nothing
    assert (await person.request("GET", f"/appointments/{local['id']}")).json() == after


WHEN = When(read_point("2036-07-01T10:00:00"), read_point("2036-07-01T11:00:00"), "Europe/Berlin")


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (Conflict(Field.TITLE, "Vet", "Mine", "Theirs", Side.REMOTE), {"title": "Mine"}),
        (Conflict(Field.LOCATION, "", "Here", "There", Side.LOCAL), {"location": "There"}),
        (Conflict(Field.ALARMS, None, (10,), (30, 60), Side.LOCAL), {"alarms": [30, 60]}),
        (
            Conflict(Field.WHEN, None, WHEN, WHEN, Side.LOCAL),
            {"starts_at": "2036-07-01T10:00", "tzid": "Europe/Berlin"},
        ),
        (
            Conflict(Field.STATUS, Status.CONFIRMED, Status.CONFIRMED, Status.CANCELLED, Side.LOCAL),
            {"status": "cancelled"},
        ),
    ],
    ids=lambda each: each.field if isinstance(each, Conflict) else "",
)
async def test_each_field_of_an_appointment_can_be_put_back(
    api: Api, person: Person, connection: dict[str, Any], found: Conflict, shown: dict[str, Any]
) -> None:
    local = await appointment(person)
    await restore(person, await conflict(api, connection, local, found))
    after = (await person.request("GET", f"/appointments/{local['id']}")).json()
    assert {name: after[name] for name in shown} == shown


async def test_one_occurrence_can_be_put_back_or_made_like_the_others_again(
    api: Api, person: Person, connection: dict[str, Any]
) -> None:
    local = await appointment(person, rrule="FREQ=DAILY;COUNT=5")
    original = read_point("2036-06-02T09:00:00")
    moved = Override(original, read_point("2036-06-02T15:00:00"), read_point("2036-06-02T16:00:00"), "Later")
    lost = Conflict(Field.OVERRIDES, None, None, moved, Side.LOCAL, original)
    await restore(person, await conflict(api, connection, local, lost))
    after = (await person.request("GET", f"/appointments/{local['id']}")).json()
    assert [(each["starts_at"], each["title"]) for each in after["overrides"]] == [("2036-06-02T15:00", "Later")]
    plain = Conflict(Field.OVERRIDES, None, moved, None, Side.LOCAL, original)
    await restore(person, await conflict(api, connection, local, plain))
    assert (await person.request("GET", f"/appointments/{local['id']}")).json()["overrides"] == []


async def test_words_and_the_time_of_a_reminder_can_be_put_back(
    api: Api, person: Person, connection: dict[str, Any]
) -> None:
    local = await reminder(person)
    daily = When(read_point("2036-06-01T07:30:00"), read_point("2036-06-01T07:45:00"), "Europe/Berlin", "FREQ=DAILY")
    for found in (
        Conflict(Field.TITLE, "Tablet", "Tablet", "Half a tablet", Side.LOCAL),
        Conflict(Field.NOTES, "", "With food", "Before food", Side.REMOTE),
        Conflict(Field.WHEN, None, daily, daily, Side.LOCAL),
    ):
        await restore(person, await conflict(api, connection, local, found, "reminder"))
    after = (await person.request("GET", f"/reminders/{local['id']}")).json()
    assert (after["title"], after["description"]) == ("Half a tablet", "With food")
    assert after["schedule"]["dtstart_local"] == "2036-06-01T07:30"


async def test_what_the_reminder_s_schedule_decides_is_not_put_back(
    api: Api, person: Person, connection: dict[str, Any]
) -> None:
    schedule = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "Europe/Berlin"}
    twice = await reminder(person, schedule=schedule | {"times": ["08:00", "20:00"]})
    found = await conflict(api, connection, twice, Conflict(Field.WHEN, None, WHEN, WHEN, Side.LOCAL), "reminder")
    assert await refusal(person, found) == (409, "not_restorable")


async def test_where_both_texts_are_kept_nothing_was_lost(api: Api, person: Person, connection: dict[str, Any]) -> None:
    local = await appointment(person)
    both = await conflict(api, connection, local, Conflict(Field.NOTES, "", "Mine", "Theirs", Side.BOTH))
    assert await refusal(person, both) == (409, "nothing_lost")


async def test_what_is_gone_stays_readable_and_cannot_be_written(
    api: Api, person: Person, connection: dict[str, Any]
) -> None:
    local = await appointment(person)
    conflict_id = await conflict(api, connection, local, title())
    assert (await person.request("DELETE", f"/appointments/{local['id']}")).status_code == 204
    (shown,) = (await person.request("GET", PATH)).json()["items"]
    assert (shown["title"], shown["remote"]) == (None, "Dr Herriot")
    assert await refusal(person, conflict_id) == (409, "event_gone")


async def test_whoever_left_the_household_reads_no_title_and_changes_nothing(api: Api) -> None:
    owner = await api.person()
    household_id = await home_of(owner)
    caretaker = await member(api, household_id, Role.CARETAKER)
    connection, local = await connect_server(caretaker), await appointment(owner)
    conflict_id = await conflict(api, connection, local, title())
    answer = await caretaker.request("POST", f"{PATH}/{conflict_id}/restore")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")  # somebody else made it
    assert (await caretaker.request("POST", f"/households/{household_id}/leave")).status_code == 204
    assert (await caretaker.request("GET", PATH)).json()["items"][0]["title"] is None
    assert await refusal(caretaker, conflict_id) == (409, "event_gone")
