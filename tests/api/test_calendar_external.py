"""What is in a person's connected calendars alone, in the merged view: read by them, and by nobody else."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.calendar_locals import Locals
from activities.calendar_open import Opened
from activities.calendar_postgres import PostgresStore
from activities.calendar_rows import Sealer
from api.schemas.calendar import CalendarOut
from domain.calendar import Event, Override, Status, When
from integrations.calendar.memory import MemoryCalendars
from integrations.calendar.memory_server import MemoryServer
from models.calendar_sync import Health
from models.queries import calendar_sync as rows
from tests.api.calendars_kit import CONNECTIONS, change, connect_server, rows_of
from tests.api.calendars_kit import settings as settings
from tests.api.household_kit import home_of, member
from tests.api.signing_in import Api, Person

SPAN = "from=2036-06-01T00:00:00Z&to=2036-06-29T00:00:00Z"
NINE = datetime(2036, 6, 2, 9)  # noqa: DTZ001 - on the person's clock


def event(title: str, rrule: str | None = None, **fields: Any) -> Event:
    """On a Monday at nine in Berlin, for an hour."""
    return replace(Event(title, When(NINE, NINE + timedelta(hours=1), "Europe/Berlin", rrule)), **fields)


@dataclass
class Connected:
    """A person's connection, and the account it is to."""

    api: Api
    made: dict[str, Any]
    server: MemoryServer
    calendar_id: str

    async def sync(self) -> None:
        """As a worker does it, by the policy in the rows."""
        _, link = await rows_of(self.api, self.made)
        identity, provider = self.api.identity, MemoryCalendars(self.server)
        async with identity.db.sessions() as session:
            calendar = await rows.calendar(session, link.id)
        assert calendar is not None
        sealer, locals_ = Sealer(identity.cipher, link.user_id), Locals(identity.cipher, link.id)
        store = PostgresStore(identity.db.sessions, sealer, locals_, provider, calendar)
        engine = Opened(calendar, provider, store, self.calendar_id).engine(datetime.now(UTC))
        await engine.pull()
        for _ in range(9):
            if not await engine.work():
                return
        raise AssertionError("the work does not end")

    def add(self, *events: Event) -> list[str]:
        """The person enters these in the calendar."""
        return [self.server.add(self.calendar_id, each) for each in events]


async def connected(api: Api, person: Person, **policy: bool) -> Connected:
    server = MemoryServer()
    calendar_id = server.add_calendar("Petfolio")
    made = await connect_server(person, policy={"adopt": False} | policy)
    await change(api, made, remote_calendar_id=f"{made['id']}/", state="active")
    return Connected(api, made, server, calendar_id)


async def lines(person: Person, span: str = SPAN) -> list[dict[str, Any]]:
    answer = await person.request("GET", f"/integrations/calendar/events?{span}")
    assert answer.status_code == 200, answer.text
    CalendarOut.model_validate(answer.json())
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_an_event_is_a_line_that_says_in_which_calendar_it_is(api: Api, person: Person) -> None:
    calendar = await connected(api, person)
    calendar.add(event("Theirs"))
    assert (await person.request("POST", "/appointments", {"title": "Vet", "starts_at": "2036-06-01T09:00"})).is_success
    await calendar.sync()
    ours, theirs = await lines(person)
    assert (ours["source"], ours["event_id"], ours["title"]) == ("appointment", None, "Vet")
    assert theirs["event_id"] is not None
    assert theirs | {"event_id": None} == {
        "source": "calendar",
        "reminder_id": None,
        "occurrence_id": None,
        "appointment_id": None,
        "event_id": None,
        "original": "2036-06-02T09:00",
        "pet_id": None,
        "title": "Theirs",
        "start": "2036-06-02T07:00:00Z",
        "end": "2036-06-02T08:00:00Z",
        "starts_at": "2036-06-02T09:00",
        "ends_at": "2036-06-02T10:00",
        "all_day": False,
        "state": "external",
        "calendars": [{"connection_id": calendar.made["id"], "provider": "caldav", "state": "external"}],
    }


async def test_a_series_is_expanded_with_its_exceptions_and_what_is_called_off_is_not_shown(
    api: Api, person: Person
) -> None:
    calendar = await connected(api, person)
    week = timedelta(weeks=1)
    moved = Override(NINE + week, NINE + week + timedelta(days=1), NINE + week + timedelta(days=1, hours=1), "Tuesday")
    days = When(NINE.date(), NINE.date() + timedelta(days=2))
    calendar.add(
        event("Monday", "FREQ=WEEKLY", overrides=(moved,), exdates=(NINE + 2 * week,)),
        event("Away", when=days),
        event("Called off", status=Status.CANCELLED),
        event("Perhaps", status=Status.TENTATIVE),
    )
    await calendar.sync()
    shown = [(line["title"], line["starts_at"], line["original"]) for line in await lines(person)]
    assert sorted(shown, key=lambda line: line[1]) == [
        ("Away", "2036-06-02", "2036-06-02"),
        ("Monday", "2036-06-02T09:00", "2036-06-02T09:00"),
        ("Perhaps", "2036-06-02T09:00", "2036-06-02T09:00"),
        ("Tuesday", "2036-06-10T09:00", "2036-06-09T09:00"),
        ("Monday", "2036-06-23T09:00", "2036-06-23T09:00"),
    ]
    assert {line["event_id"] for line in await lines(person) if line["title"] in ("Monday", "Tuesday")} == {
        next(line["event_id"] for line in await lines(person) if line["title"] == "Tuesday")
    }


async def test_nobody_else_in_the_household_sees_it_until_it_becomes_an_appointment(api: Api, person: Person) -> None:
    calendar = await connected(api, person)
    calendar.add(event("Private"))
    await calendar.sync()
    other = await member(api, await home_of(person))
    assert [line["title"] for line in await lines(person)] == ["Private"]
    assert await lines(other) == []
    (shown,) = await lines(person)
    answer = await person.request(
        "PATCH", f"{CONNECTIONS}/{calendar.made['id']}", {"policy": {"adopt": True}}, headers={"If-Match": "*"}
    )
    assert answer.status_code == 200, answer.text
    await calendar.sync()
    (mine,), (theirs,) = await lines(person), await lines(other)
    assert (mine["source"], mine["appointment_id"]) == ("appointment", shown["event_id"])
    assert [place["state"] for place in mine["calendars"]] == ["synced"]
    assert (theirs["title"], theirs["calendars"]) == ("Private", [])


async def test_two_calendars_of_a_person_have_their_own_and_what_is_disconnected_has_none(
    api: Api, person: Person
) -> None:
    first, second = [await connected(api, person) for _ in range(2)]
    for calendar, title in ((first, "One"), (second, "Two")):
        calendar.add(event(title))
        await calendar.sync()
    shown = {line["title"]: line["calendars"][0]["connection_id"] for line in await lines(person)}
    assert shown == {"One": first.made["id"], "Two": second.made["id"]}
    assert (await person.request("POST", f"{CONNECTIONS}/{first.made['id']}/pause")).status_code == 200
    assert len(await lines(person)) == 2, "what was seen last is seen while nobody looks"
    assert (await person.request("DELETE", f"{CONNECTIONS}/{first.made['id']}")).is_success
    assert [line["title"] for line in await lines(person)] == ["Two"]
    await change(api, second.made, health=Health.CALENDAR_MISSING)
    assert await lines(person) == []


async def test_many_are_merged_in_order_and_the_span_decides(api: Api, person: Person) -> None:
    calendar = await connected(api, person)
    calendar.add(*(event(f"{day:02}", when=at(day)) for day in range(60)))
    calendar.add(event("Daily", "FREQ=DAILY"))
    await calendar.sync()
    shown = await lines(person)
    assert [line["start"] for line in shown] == sorted(line["start"] for line in shown)
    assert len(shown) == 2 * 27
    shown = await lines(person, "from=2036-06-02T07:00:00Z&to=2036-06-02T08:00:00Z")
    assert sorted(line["title"] for line in shown) == ["00", "Daily"]


def at(day: int) -> When:
    start = NINE + timedelta(days=day)
    return When(start, start + timedelta(hours=1), "Europe/Berlin")
