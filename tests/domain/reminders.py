"""Builders for series, and a clock to walk them along: what the tests of the reminder rules share."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain import reminder_delivery, reminder_machine
from domain.reminder_actions import Action, Complete, Move, Skip, Snooze, Undo
from domain.reminder_series import (
    Change,
    Notice,
    Occurrence,
    OccurrenceState,
    ReminderClass,
    ReminderState,
    Series,
)
from domain.schedule_json import Zones, parse_schedule

ANNA = UUID("0190a000-0000-7000-8000-00000000000a")
BEN = UUID("0190a000-0000-7000-8000-00000000000b")
BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    """An instant from `2026-03-01T08:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def blank(zone: str = BERLIN, klass: ReminderClass = ReminderClass.ROUTINE, **schedule: object) -> Series:
    """A series that has no occurrence yet. Its zone follows the user."""
    raw = {"tz_mode": "follow_user", **schedule} if schedule["mode"] != "elapsed" else schedule
    return Series(
        reminder_id=UUID("0190a000-0000-7000-8000-000000000001"),
        household_id=UUID("0190a000-0000-7000-8000-000000000002"),
        user_id=ANNA,
        pet_id=None,
        klass=klass,
        state=ReminderState.ACTIVE,
        schedule=parse_schedule(raw, zones=Zones(zone, zone)),
        zone=zone,
    )


def daily(at: str = "08:00", start: str = "2026-03-01", **options: object) -> dict[str, object]:
    """The schedule object of a daily reminder."""
    return {"mode": "fixed", "dtstart_local": f"{start}T{at}", "freq": "DAILY", **options}


def once(at: str) -> dict[str, object]:
    """The schedule object of a single date."""
    return {"mode": "once", "dtstart_local": at}


def after_done(first: str, n: int = 1, unit: str = "month", **options: object) -> dict[str, object]:
    """The schedule object of a task that is due again some time after it was done."""
    return {"mode": "after_completion", "dtstart_local": first, "every": {"n": n, "unit": unit}, **options}


class Diary:
    """A series with its clock and everything that was ever written or sent: what Postgres and the channels see."""

    def __init__(self, series: Series, now: datetime) -> None:
        self.now = now
        self.rows: dict[str, Occurrence] = {}
        self.sent: list[tuple[datetime, Notice]] = []
        self.series = series
        self._take(reminder_machine.create(series, now))

    def _take(self, change: Change) -> Change:
        gone = {o.key for o in self.series.occurrences} - {o.key for o in change.series.occurrences}
        self.rows = {k: o for k, o in self.rows.items() if k not in gone} | {
            o.key: o for o in change.series.occurrences
        }
        self.sent += [(self.now, notice) for notice in change.notices]
        self.series = change.series
        return change

    def load(self, *keys: str) -> Series:
        """The series as a loader brings it: the open occurrences and those named, the keys handled lately."""
        rows = [o for o in self.rows.values() if o.is_open or o.key in keys]
        handled = {o.key for o in self.rows.values() if not o.is_open and o.instant > self.now - timedelta(days=3)}
        return replace(
            self.series,
            occurrences=tuple(sorted(rows, key=lambda o: o.seq)),
            handled=frozenset(key for key in handled if self.series.repeats),
        )

    def until(self, now: datetime, *, awake: bool = True) -> None:
        """Time passes. Awake, every plan is carried out when it is due; asleep (an outage), nothing is."""
        while awake:
            self.series = self.load()
            plan = reminder_delivery.plan(self.series)
            if plan.at is None or plan.at > now:
                break
            self.now = max(self.now, plan.at)
            self._take(reminder_delivery.deliver(self.series, self.now))
        self.now = now

    def deliver(self) -> Change:
        """One run of the delivery at this moment."""
        return self._take(reminder_delivery.deliver(self.load(), self.now))

    def act(self, action: Action) -> Change:
        """Somebody does something. Refusals are raised and change nothing."""
        key = getattr(action, "key", "")
        self.series = self.load(key)
        return self._take(reminder_machine.apply(self.series, action, self.now))

    def complete(self, key: str, at: datetime | None = None) -> Change:
        """Anna says it is done."""
        return self.act(Complete(key, ANNA, at))

    def skip(self, key: str) -> Change:
        """Anna skips it."""
        return self.act(Skip(key, ANNA))

    def snooze(self, key: str, until: datetime | timedelta) -> Change:
        """Remind me again then."""
        return self.act(Snooze(key, until))

    def undo(self, key: str) -> Change:
        """It was not done after all."""
        return self.act(Undo(key))

    def travel(self, zone: str) -> Change:
        """The user's zone changes; the row is asked to obey."""
        self.series = replace(self.series, zone=zone)
        return self.act(Move())

    @property
    def states(self) -> list[tuple[str, OccurrenceState]]:
        """Nominal and state of everything there is, in order."""
        return [(o.nominal, o.state) for o in sorted(self.rows.values(), key=lambda o: o.seq)]

    @property
    def sent_at(self) -> list[datetime]:
        """When notices went out."""
        return [at for at, _ in self.sent]

    @property
    def due(self) -> Occurrence:
        """The occurrence that is due."""
        due = self.load().due
        assert due is not None
        return due

    @property
    def pending(self) -> Occurrence:
        """The occurrence that comes next."""
        pending = self.load().pending
        assert pending is not None
        return pending
