"""One person's reminders on real Postgres under anything that happens, and the laws that hold after every step."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from activities.courier import Address
from activities.pusher import Pusher
from api.explain import present
from core.errors import PetfolioError
from domain.explanation import WITHHELD
from domain.notification import Channel
from domain.reminder_actions import Acknowledge, Complete, End, Pause, Reschedule, Resume, Skip, Snooze, Undo
from domain.schedule_json import Zones, parse_schedule
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable, Push, Receipt
from integrations.notify.words import ReminderWords
from models.notification import DeviceKind
from models.queries import explanations, reminders
from tests.activities.reminder_home import Home, MemoryNotifier, Taken

START: Final = datetime.fromisoformat("2036-06-01T06:30+00:00")
"""An hour and a half before anything is due, ten years ahead of the database's clock: the tests' clock decides."""
NEVER_BACK: Final = {"scheduled": 0, "due": 1, "done": 2, "skipped": 2, "missed": 2, "cancelled": 2, "coalesced": 2}
FINAL: Final = frozenset({"sent", "delivered", "failed", "withdrawn"})
CLOSED_MEANWHILE: Final = frozenset({"done", "skipped", "missed", "cancelled"})
PROVIDER: Final = (
    "takes", "away", "loses", "loses-one", "refuses", "poisoned", "killed-before", "killed-after", "meanwhile"
)  # fmt: skip
ATTEMPTS: Final = frozenset({"accepted", "refused", "unavailable"})
DAILY: Final = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}


class Killed(BaseException):
    """What SIGKILL looks like from inside: nothing after it runs."""


DEVICES: Final = ("phone", "tablet")


@dataclass
class Line:
    """One call to the push service of both devices, which goes as `what` says; `shows` is what each shows, by
    occurrence, with the delivery that it came with."""

    what: str
    shows: dict[tuple[str, str], tuple[UUID, Push]]
    taken: bool = False

    async def push(self, push: Push, target: str, *, idempotency_key: UUID) -> Receipt:
        """See `PushChannel`."""
        if self.what == "away":
            raise ProviderUnavailable("away")
        if self.what == "refuses":
            raise ProviderRefused("no")
        self.taken = True
        # Who is killed over the first has shown it on both: the second call is never seen to end.
        for device in DEVICES if self.what == "killed-after" else (target,):
            self.shows[device, push.collapse_key] = idempotency_key, push
        if self.what == "killed-after":
            raise Killed
        if self.what == "loses" or (self.what == "loses-one" and target == DEVICES[-1]):
            raise ProviderUnavailable("lost", ambiguous=True)
        return Receipt(str(idempotency_key))

    async def close(self) -> None:
        """See `PushChannel`."""


@dataclass
class Provider(MemoryNotifier):
    """One that honours keys and fails in every way there is, in the order it is told to; it looks at the occurrence in
    the moment in which it is asked. Push messages go on to the devices."""

    script: list[str] = field(default_factory=list)
    pusher: Callable[[Line], Pusher] | None = None
    shows: dict[tuple[str, str], tuple[UUID, Push]] = field(default_factory=dict)
    look: Callable[[UUID], Awaitable[str | None]] | None = None
    meanwhile: Callable[[], Awaitable[None]] | None = None
    outcomes: dict[UUID, list[str]] = field(default_factory=dict)
    intruded: list[str] = field(default_factory=list)

    async def send_reminder(self, notice: ReminderWords, address: Address, *, idempotency_key: UUID) -> Receipt:
        """See `Notifier`."""
        what = self.script.pop(0) if self.script else "takes"
        self.outcomes.setdefault(idempotency_key, []).append(what)
        assert self.look is not None
        if (intruded := await self.look(idempotency_key)) is not None:
            self.intruded.append(intruded)
        if what == "meanwhile" and self.meanwhile is not None:
            await self.meanwhile()
        if address.channel is Channel.PUSH and what not in ("poisoned", "killed-before"):
            return await self._pushed(what, notice, address, idempotency_key)
        before = {
            "away": ProviderUnavailable("away"),
            "refuses": ProviderRefused("no such mailbox"),
            "poisoned": ValueError("a template that cannot be rendered"),
            "killed-before": Killed(),
        }
        after = {"loses": ProviderUnavailable("lost", ambiguous=True), "killed-after": Killed()}
        self.faults = [before[what]] if what in before else []
        self.lost_answers = [after[what]] if what in after else []
        return await super().send_reminder(notice, address, idempotency_key=idempotency_key)

    async def _pushed(self, what: str, notice: ReminderWords, address: Address, key: UUID) -> Receipt:
        assert self.pusher is not None
        line = Line(what, self.shows)
        try:
            return await self.pusher(line).push(notice, key)
        finally:
            if line.taken:
                self.taken.setdefault(key, Taken(notice, address))


@dataclass
class World:
    """See the module. `clock` is the workflow's; every action of a person happens at it too."""

    home: Home
    provider: Provider
    reminders: list[UUID]
    clock: datetime = START
    gone: set[UUID] = field(default_factory=set)
    occurrences: dict[str, Any] = field(default_factory=dict)
    ledger: dict[UUID, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.provider.look = self.sent_for_nothing
        self.provider.pusher = lambda line: Pusher(self.home.db.sessions, self.home.cipher, {DeviceKind.WEBPUSH: line})

    async def do(self, what: str, which: int, minutes: int) -> None:
        """One thing that happens; refusals are part of life. The laws are looked at afterwards."""
        reminder = self.reminders[which % len(self.reminders)]
        if what == "wait":
            await self.live_until(self.clock + timedelta(minutes=minutes))
        elif what == "outage":
            self.clock += timedelta(minutes=minutes)
            await self.live_until(self.clock)
        elif what == "twice":
            self.clock += timedelta(minutes=minutes)
            await asyncio.gather(*(self.deliver(reminder) for _ in range(2)))
        elif what in PROVIDER:
            self.provider.script += [what] * (1 + which % 2)
            self.provider.meanwhile = lambda: self.person("complete", reminder, which, minutes)
        else:
            await self.person(what, reminder, which, minutes)
        await self.laws(undone=what == "undo")

    async def rest(self) -> None:
        """Nobody does anything any more, and every provider answers: what was left to do gets done."""
        self.provider.script = []
        await self.live_until(self.clock)
        await self.laws(undone=False)
        self._no_device_asks_for_what_is_closed(waiting=())

    async def person(self, what: str, reminder: UUID, which: int, minutes: int) -> None:
        """What somebody does in the app."""
        if reminder in self.gone:
            return
        rows = await self.home.rows("SELECT id, key FROM occurrences WHERE reminder_id = :id ORDER BY seq", id=reminder)
        row = rows[-1 - which // len(self.reminders) % len(rows)]
        by = self.home.user_id
        asked = {
            "complete": lambda _: Complete(row.key, by, overrides=True),
            "correct": lambda _: Complete(row.key, by, self.clock, overrides=True),
            "skip": lambda _: Skip(row.key, by),
            "undo": lambda _: Undo(row.key),
            "snooze": lambda _: Snooze(row.key, timedelta(minutes=minutes)),
            "acknowledge": lambda _: Acknowledge(row.key, by),
            "pause": lambda _: Pause(),
            "resume": lambda _: Resume(),
            "edit": lambda _: Reschedule(
                parse_schedule(DAILY | {"dtstart_local": f"2036-06-01T{8 + which:02}:15"}, zones=Zones("UTC", "UTC"))
            ),
            "delete": lambda _: End("deleted"),
        }
        with suppress(PetfolioError):
            await self.home.act(reminder, asked[what], occurrence_id=row.id, at=self.clock)
            if what == "delete":
                self.gone.add(reminder)
                async with self.home.db.sessions.begin() as session:
                    await reminders.remove(session, reminder)

    async def live_until(self, until: datetime) -> None:
        """The workflows as they run: each sleeps until its plan's time and delivers. What a worker died over is tried
        again later: things may happen before."""
        for reminder in self.reminders:
            at = self.clock
            for _ in range(100):
                plan = await self.home.plan(reminder, at)
                if plan.at is None or plan.at > until:
                    break
                at = max(at, plan.at)
                if not await self.deliver(reminder, at):
                    break
            else:
                raise AssertionError("a workflow that never comes to rest")
        self.clock = until

    async def deliver(self, reminder: UUID, at: datetime | None = None) -> bool:
        """An attempt of the delivery, and whether it lived. Leases whose holder died have run out by the next one."""
        try:
            await self.home.deliver(reminder, at or self.clock)
        except Killed:
            await self.home.execute(
                "UPDATE deliveries SET claimed_until = now() - interval '1 s' WHERE user_id = :id"
                " AND claimed_until IS NOT NULL",
                id=self.home.user_id,
            )
            return False
        return True

    async def sent_for_nothing(self, delivery_id: UUID) -> str | None:
        """Why this message should not have been handed over, judged by the row of its occurrence; None: it should."""
        (row,) = await self.home.rows(
            "SELECT d.step, d.channel, d.state, o.state AS occurrence, o.key FROM deliveries d"
            " JOIN occurrences o ON o.id = d.occurrence_id WHERE d.id = :id",
            id=delivery_id,
        )
        allowed = {"withdrawn:": CLOSED_MEANWHILE, "missed": {"missed"}, "lead-": {"scheduled"}}
        states = next((s for prefix, s in allowed.items() if row.step.startswith(prefix)), {"due"})
        return None if row.occurrence in states and row.state in ("planned", "deferred") else f"{row}"

    async def laws(self, *, undone: bool) -> None:
        """What must hold after every step."""
        was, self.occurrences = self.occurrences, await self._occurrences()
        rows, self.ledger = self.ledger, await self._ledger()
        self._nothing_goes_backwards(was, undone=undone)
        self._what_is_settled_stays(rows, undone=undone)
        self._one_message_each()
        self._nothing_is_silent()
        self._no_device_asks_for_what_is_closed(waiting=("planned", "deferred"))
        await self._doses_agree()
        await self._every_one_is_explained()

    def _nothing_goes_backwards(self, was: dict[str, Any], *, undone: bool) -> None:
        for key, old in was.items():
            new = self.occurrences.get(key)
            if undone:
                continue
            assert new is not None, f"{key} is gone"
            assert NEVER_BACK[new.state] >= NEVER_BACK[old.state], (old, new)
            corrected = (old.state, new.state) == ("missed", "done")
            assert NEVER_BACK[old.state] < 2 or corrected or new == old, (old, new)

    def _what_is_settled_stays(self, was: dict[UUID, Any], *, undone: bool) -> None:
        for row_id, old in was.items():
            again = old.step.startswith("withdrawn:") and old.state == "withdrawn"  # undone, and done once more
            if old.state in FINAL and not again and not (undone and row_id not in self.ledger):
                assert self.ledger.get(row_id) == old, (old, self.ledger.get(row_id))

    def _one_message_each(self) -> None:
        assert self.provider.intruded == []
        for key, outcomes in self.provider.outcomes.items():
            *earlier, _ = outcomes
            # What the provider took and said so, or refused for good, is asked for by nobody again.
            assert not {"takes", "meanwhile", "refuses", "poisoned"} & set(earlier), (key, outcomes)
        taken = [self.ledger[key] for key in self.provider.taken if key in self.ledger]
        told = Counter((row.occurrence_id, row.user_id, row.channel, row.step) for row in taken)
        assert all(times == 1 for times in told.values()), told
        for row in self.ledger.values():
            if row.state == "sent" and row.channel != "in_app":
                assert row.id in self.provider.taken, row

    def _nothing_is_silent(self) -> None:
        """An occurrence whose notice went out by the state machine has rows that say what became of it."""
        on_record = {row.occurrence_id for row in self.ledger.values()}
        for o in self.occurrences.values():
            if o.notified_at is not None:
                assert o.id in on_record, o

    def _no_device_asks_for_what_is_closed(self, *, waiting: tuple[str, ...]) -> None:
        """Unless something that waits will take it back, or the service never lets us."""
        closed = {str(o.id): o for o in self.occurrences.values() if o.state not in ("scheduled", "due")}
        for (device, about), (key, push) in self.provider.shows.items():
            if about not in closed or push.withdrawn or key not in self.ledger:
                continue
            rows = [r for r in self.ledger.values() if str(r.occurrence_id) == about and r.channel == "push"]
            says_so = self.ledger[key].step == closed[about].state == "missed"
            stuck = any(r.state == "failed" and r.step.startswith("withdrawn:") for r in rows)
            assert says_so or stuck or any(r.state in waiting for r in rows), (device, closed[about], rows)

    async def _doses_agree(self) -> None:
        doses = await self.home.rows(
            "SELECT d.occurrence_id, d.state FROM doses d JOIN reminders r ON r.id = d.reminder_id"
            " WHERE r.household_id = :id",
            id=self.home.household_id,
        )
        given = Counter(row.occurrence_id for row in doses if row.state == "given")
        done = {o.id for o in self.occurrences.values() if o.klass == "dose" and o.state == "done"}
        assert given == Counter(done), (given, done)

    async def _every_one_is_explained(self) -> None:
        for o in self.occurrences.values():
            record = await explanations.record(self.home.db, self.home.user_id, o.id)
            if o.reminder_id in self.gone:
                assert record is None
                continue
            assert record is not None
            told = await present(self.home.cipher, record, self.home.user_id)
            assert told["sentence"].endswith("."), told["sentence"]
            taken = [r for r in told["deliveries"] if r["id"] in self.provider.taken]
            assert not taken or not told["sentence"].startswith("Nothing was sent"), (told["sentence"], taken)
            assert not {"it ended as", "because it was"} & set(told["sentence"].split(": ")), told["sentence"]
            for row in told["deliveries"]:
                known = row["reason"] in WITHHELD or row["step"].startswith(("withdrawn:", "undelivered:"))
                assert row["state"] not in ("failed", "withdrawn", "folded") or known, row
                attempts = [e for e in row["events"] if e["kind"] in ATTEMPTS and e["device_id"] is None]
                assert len(attempts) <= max(row["attempts"], 1), row

    async def _occurrences(self) -> dict[str, Any]:
        rows = await self.home.rows(
            "SELECT o.reminder_id || o.key AS name, o.id, o.reminder_id, o.key, o.state, o.closed_at, o.closed_by,"
            " o.completed_at, o.notified_at, o.reason, r.class AS klass FROM occurrences o"
            " JOIN reminders r ON r.id = o.reminder_id WHERE r.household_id = :id",
            id=self.home.household_id,
        )
        return {row.name: row for row in rows}

    async def _ledger(self) -> dict[UUID, Any]:
        rows = await self.home.rows(
            "SELECT id, occurrence_id, user_id, channel, step, state, reason, provider_id, attempt, at, folded_into"
            " FROM deliveries WHERE user_id = :id",
            id=self.home.user_id,
        )
        return {row.id: row for row in rows}
