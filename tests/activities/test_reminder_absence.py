"""Absences on real Postgres: asked when something falls due and again when it is sent, by nobody but the query."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.crypto import FieldCipher
from core.db import Database
from core.ids import new_id
from domain.absence import ROUTINE
from domain.escalation import Step, Who
from domain.grant import Span
from domain.reminder_actions import Complete
from integrations.keys.store import KeyStore
from integrations.notify.protocol import ProviderUnavailable
from models.absence import Absence
from models.household import Grant
from models.queries import digests, overdue, sitter_summaries
from tests.activities.reminder_home import Home, move_in
from tests.activities.test_sitter_grant import Sitting, sitting

__all__ = ["sitting"]

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
ONCE = {"mode": "once", "dtstart_local": "2036-06-01T08:00", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
"""Ten years ahead of the database's clock: the tests' clock decides."""
A_DAY, MINUTES = timedelta(days=1), timedelta(minutes=5)
BACK = DUE + 3 * A_DAY - timedelta(hours=1)


@pytest.fixture
async def home(db: Database, keys: KeyStore, cipher: FieldCipher) -> Home:
    return await move_in(db, keys, cipher)


async def away(home: Home, since: datetime = DUE, until: datetime = BACK, **fields: Any) -> UUID:
    """The household of this home is away then."""
    values = {"household_id": home.household_id, "categories": list(ROUTINE)} | fields
    absence = Absence(id=new_id(), starts_at=since, ends_at=until, **values)
    async with home.db.sessions.begin() as session:
        session.add(absence)
        await session.flush()
        return absence.id


async def outcomes(home: Home, reminder: UUID) -> list[tuple[str, str | None]]:
    rows = await home.rows("SELECT state, reason FROM occurrences WHERE reminder_id = :id ORDER BY seq", id=reminder)
    return [(row.state, row.reason) for row in rows]


async def sent_to(home: Home, reminder: UUID) -> list[UUID]:
    rows = await home.rows(
        "SELECT user_id FROM deliveries WHERE reminder_id = :id AND state = 'sent' ORDER BY id", id=reminder
    )
    return [row.user_id for row in rows]


async def cannot_leave(home: Home, reminder: UUID) -> None:
    """It is due and claimed; the provider is away, and may be asked again at once."""
    home.notifier.faults = [ProviderUnavailable("away", retry_after=1)]
    await home.deliver(reminder, DUE)
    await home.execute("UPDATE deliveries SET not_before = NULL WHERE reminder_id = :id", id=reminder)


async def test_nobody_is_told_and_the_diary_says_why_until_it_rings_again_by_itself(home: Home) -> None:
    reminder = await home.remind(DAILY, category="feeding")
    await away(home)
    for day in range(3):
        plan = await home.deliver(reminder, DUE + day * A_DAY)
        assert plan.at == DUE + (day + 1) * A_DAY
    assert await home.ledger(reminder) == []
    await home.deliver(reminder, DUE + 3 * A_DAY)
    assert await home.ledger(reminder) == [("due", "email", "sent"), ("due", "in_app", "sent")]
    skipped = ("skipped", "away")
    assert await outcomes(home, reminder) == [skipped, skipped, skipped, ("due", None), ("scheduled", None)]


async def test_repeated_and_simultaneous_runs_skip_it_once(home: Home) -> None:
    reminder = await home.remind(DAILY)
    await away(home)
    plans = await asyncio.gather(*(home.deliver(reminder, DUE) for _ in range(10)))
    assert {plan.at for plan in plans} == {DUE + A_DAY}
    assert await outcomes(home, reminder) == [("skipped", "away"), ("scheduled", None)]
    (row,) = await home.rows("SELECT finished FROM reminders WHERE id = :id", id=reminder)
    assert row.finished == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"categories": ["grooming", "medication"]},
        {"pet_ids": [new_id()]},
        {"since": DUE + timedelta(seconds=1)},
        {"since": DUE - A_DAY, "until": DUE},
        {"ended_at": DUE},
        {"ended_at": DUE - A_DAY},
    ],
    ids=["another category", "another pet", "it begins after", "it ends at that moment", "ended", "never begun"],
)
async def test_what_it_does_not_cover_rings_as_always(home: Home, fields: dict[str, Any]) -> None:
    reminder = await home.remind(DAILY, category="feeding")
    await away(home, **fields)
    await home.deliver(reminder, DUE)
    assert await home.states(reminder) == ["due", "scheduled"]


async def test_an_absence_of_others_is_none_of_ours(
    home: Home, db: Database, keys: KeyStore, cipher: FieldCipher
) -> None:
    reminder = await home.remind(DAILY)
    await away(await move_in(db, keys, cipher))
    await home.deliver(reminder, DUE)
    assert await home.states(reminder) == ["due", "scheduled"]


async def test_without_pets_named_it_covers_what_belongs_to_none(home: Home) -> None:
    reminder = await home.remind(DAILY)
    await home.execute("UPDATE reminders SET pet_id = NULL WHERE id = :id", id=reminder)
    of_the_pet = await away(home, pet_ids=[home.pet_id])
    await home.deliver(reminder, DUE)
    await home.execute("UPDATE absences SET pet_ids = NULL WHERE id = :id", id=of_the_pet)
    await home.deliver(reminder, DUE + A_DAY)
    assert await home.states(reminder) == ["due", "skipped", "scheduled"]


async def test_a_dose_rings_unless_it_is_named(home: Home) -> None:
    dose = await home.remind(DAILY, category="medication")
    await away(home)
    await home.deliver(dose, DUE)
    assert await home.states(dose) == ["due", "scheduled"]
    await home.act(dose, lambda series: Complete(series.due.key, home.user_id, DUE, overrides=True), at=DUE)
    await away(home, categories=["medication"])
    await home.deliver(dose, DUE + A_DAY)
    assert await home.states(dose) == ["done", "skipped", "scheduled"]
    given = await home.rows("SELECT state FROM doses WHERE reminder_id = :id", id=dose)
    assert [row.state for row in given] == ["given"]  # a skip is never a dose


async def test_what_comes_only_once_waits_for_the_return(home: Home) -> None:
    reminder = await home.remind(ONCE, methods=("email",))
    await away(home)
    assert (await home.deliver(reminder, DUE)).at == BACK
    assert (await home.states(reminder), await home.ledger(reminder)) == (["due"], [])
    assert (await home.plan(reminder, DUE)).at == BACK
    await home.deliver(reminder, BACK)
    assert await home.ledger(reminder) == [("due", "email", "sent")]
    (mail,) = home.notifier.taken.values()
    assert not mail.notice.late


async def test_steps_of_what_is_due_already_are_held_back_and_it_stays_due(home: Home) -> None:
    nag = (Step(timedelta(minutes=30), ("email",), Who.EVERYONE),)
    reminder = await home.remind(DAILY, methods=("email",), steps=nag)
    await home.deliver(reminder, DUE)
    await away(home, since=DUE + MINUTES)
    assert (await home.deliver(reminder, DUE + timedelta(minutes=30))).at == DUE + A_DAY
    assert await home.ledger(reminder) == [("due", "email", "sent")]
    assert await home.states(reminder) == ["due", "scheduled"]


async def test_where_a_sitter_may_act_somebody_is_there(sitting: Sitting) -> None:
    home = sitting.home
    reminder = await home.remind(DAILY, methods=("email",))
    await away(home)
    grant = await sitting.grant()
    await home.deliver(reminder, DUE)
    assert await sent_to(home, reminder) == [sitting.sitter_id]
    await sitting.over(grant)
    await home.deliver(reminder, DUE + A_DAY)
    assert await home.states(reminder) == ["due", "skipped", "scheduled"]
    assert await sent_to(home, reminder) == [sitting.sitter_id]


async def test_a_sitter_who_only_looks_is_nobody_to_ask(sitting: Sitting) -> None:
    """Neither when something falls due, nor when it is sent."""
    home = sitting.home
    waiting, coming = await home.remind(DAILY, methods=("email",)), await home.remind(DAILY)
    await sitting.grant(actions=[])
    await cannot_leave(home, waiting)
    await away(home)
    await home.deliver(waiting, DUE + MINUTES)
    await home.deliver(coming, DUE)
    assert await home.ledger(waiting) == [("due", "email", "withdrawn")]
    assert await home.states(coming) == ["skipped", "scheduled"]


@pytest.mark.parametrize(
    ("schedule", "state", "steps"), [(DAILY, "withdrawn", []), (ONCE, "deferred", ["due"])], ids=["daily", "once"]
)
async def test_what_has_not_left_when_they_leave_is_held_back_at_the_sending(
    home: Home, schedule: dict[str, Any], state: str, steps: list[str]
) -> None:
    reminder = await home.remind(schedule, methods=("email",))
    await cannot_leave(home, reminder)
    await away(home, since=DUE + timedelta(minutes=1))
    await home.deliver(reminder, DUE + MINUTES)
    (row,) = await home.rows("SELECT state, reason FROM deliveries WHERE reminder_id = :id", id=reminder)
    assert (row.state, row.reason) == (state, "away")
    await home.deliver(reminder, BACK)
    assert home.notifier.steps == steps


async def test_what_waits_for_a_return_is_no_alarm(home: Home) -> None:
    reminder = await home.remind(ONCE, methods=("email",))
    await cannot_leave(home, reminder)
    await away(home, since=DUE + timedelta(minutes=1))
    await home.execute(
        "UPDATE delivery_events SET created_at = now() - interval '1 h' WHERE delivery_id IN"
        " (SELECT id FROM deliveries WHERE reminder_id = :id)",
        id=reminder,
    )
    await home.deliver(reminder, DUE + MINUTES)
    assert (await overdue.oldest(home.db)).undelivered < 600


async def test_a_digest_announces_only_what_somebody_will_be_asked_for(home: Home) -> None:
    fed, dose = await home.remind(DAILY, category="feeding"), await home.remind(DAILY, category="medication")
    await away(home)
    async with home.db.sessions() as session:
        coming = await digests.coming(session, home.user_id, DUE + A_DAY)
    assert {row["reminder_id"] for row in coming} == {dose}
    await home.execute("UPDATE absences SET ended_at = :now WHERE household_id = :id", now=DUE, id=home.household_id)
    async with home.db.sessions() as session:
        coming = await digests.coming(session, home.user_id, DUE + A_DAY)
    assert {row["reminder_id"] for row in coming} == {fed, dose}


async def test_after_an_outage_an_absence_that_is_over_still_says_why(home: Home) -> None:
    """By the database's own clock: no worker lived while they were away."""
    hour = timedelta(hours=1)
    due = datetime.now(UTC).replace(second=0, microsecond=0) - 2 * hour
    reminder = await home.remind(DAILY | {"dtstart_local": f"2020-01-01T{due:%H:%M}"})
    await home.execute(
        "UPDATE occurrences SET instant = :at, nominal = :nominal, key = 'f:1:' || :nominal WHERE reminder_id = :id",
        id=reminder,
        at=due,
        nominal=f"{due:%Y-%m-%dT%H:%M}",
    )
    await away(home, since=due - hour, until=due + hour)
    await home.deliver(reminder, due)
    assert await outcomes(home, reminder) == [("skipped", "away"), ("scheduled", None)]


async def test_a_word_ahead_is_not_said_while_they_are_away_although_they_will_be_back_in_time(home: Home) -> None:
    """By the database's own clock: the absence is over before anything of the reminder is due."""
    now = datetime.now(UTC).replace(microsecond=0)
    hour = timedelta(hours=1)
    later = DAILY | {"dtstart_local": (now + 3 * hour).replace(tzinfo=None).isoformat()}
    reminder = await home.remind(later, lead_minutes=(120,))
    await home.execute("UPDATE occurrences SET lead_at = :now WHERE reminder_id = :id", now=now, id=reminder)
    await away(home, since=now - hour, until=now + hour)
    await home.deliver(reminder, now)
    assert await home.ledger(reminder) == []


async def test_owners_are_not_told_in_the_evening_of_what_nobody_was_asked_for(sitting: Sitting) -> None:
    home = sitting.home
    fed, dose = await home.remind(DAILY, category="feeding"), await home.remind(DAILY, category="medication")
    await away(home)
    grant_id = await sitting.grant(actions=[])
    for each in (fed, dose):
        await home.deliver(each, DUE)
    async with home.db.sessions() as session:
        grant = await session.get(Grant, grant_id)
        assert grant is not None
        happened = await sitter_summaries.happened(session, grant, Span(DUE - A_DAY, DUE + A_DAY))
    assert [row["reminder_id"] for row in happened.occurrences] == [dose]
