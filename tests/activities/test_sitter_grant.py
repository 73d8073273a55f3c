"""A sitter's grant on real Postgres: who is reminded while it is in force, what is handed over and back, and what the
owners are told in the evening."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.mail import MailActivities
from activities.sitter_grant import SitterGrantActivities
from activities.strangers import StrangerMail
from activities.wording import Links
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from core.unsubscribe import Unsubscriber
from domain.access import Role
from domain.escalation import Step as Ladder
from domain.escalation import Who
from domain.grant import Step, Todo
from domain.reminder_actions import Complete
from integrations.keys.factory import open_keys
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import ProviderUnavailable
from models.household import Grant, GrantKind, Membership
from models.queries import reconcile, reminders
from models.queries.keys import KeyTable
from temporal.contracts.mail import SendMail
from temporal.contracts.sitter_grant import EndGrant, MailGrant, ReviewGrant, StartGrant, SummariseGrant
from tests.activities.reminder_home import Home, courier, move_in

DAILY = {"mode": "fixed", "dtstart_local": "2036-06-01T08:00", "freq": "DAILY", "tzid": "UTC"}
DUE = datetime.fromisoformat("2036-06-01T08:00+00:00")
"""Ten years ahead: the tests' clock says what is due, the database's who looks after whom."""
NEXT = DUE + timedelta(days=1)
MAIL = "https://petfolio.test"


def due_now() -> tuple[dict[str, Any], datetime]:
    """A daily schedule whose first time is a second away, and a moment after that: what is handed over is due by the
    database's clock."""
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    schedule = DAILY | {"dtstart_local": first.replace(tzinfo=None).isoformat()}
    return schedule, first + timedelta(minutes=1)


@dataclass
class Sitting:
    """A household, somebody who may look after its pet, and the worker's side of it."""

    home: Home
    sitter_id: UUID
    channel: MemoryChannel = field(default_factory=MemoryChannel)

    @property
    def activities(self) -> SitterGrantActivities:
        return SitterGrantActivities(self.home.db.sessions, StrangerMail(self.home.cipher, self.channel, MAIL))

    async def grant(self, begins: timedelta = timedelta(), ends: timedelta = timedelta(days=7), **fields: Any) -> UUID:
        """Begins and ends that far from now; accepted and told of, unless said otherwise."""
        now, grant_id = datetime.now(UTC), new_id()
        values: dict[str, Any] = {"user_id": self.sitter_id, "mailed": True, "actions": ["act"]} | fields
        async with self.home.db.sessions.begin() as session:
            session.add(
                Grant(
                    id=grant_id,
                    household_id=self.home.household_id,
                    kind=GrantKind.SITTER,
                    granted_by=self.home.user_id,
                    pet_ids=[self.home.pet_id],
                    valid_from=now + begins,
                    valid_until=now + ends,
                    **values,
                )
            )
        return grant_id

    async def over(self, grant_id: UUID) -> None:
        """Its time has just passed."""
        await self.home.execute("UPDATE grants SET valid_until = clock_timestamp() WHERE id = :id", id=grant_id)

    async def review(self, grant_id: UUID) -> Todo:
        return await self.activities.review_grant(ReviewGrant(grant_id))

    async def told(self, reminder: UUID, step: str = "due") -> set[UUID]:
        """Who has a row of the ledger that was not called back."""
        found = await self.home.rows(
            "SELECT DISTINCT user_id FROM deliveries WHERE reminder_id = :id AND step = :step AND state <> 'withdrawn'",
            id=reminder,
            step=step,
        )
        return {row.user_id for row in found}

    async def mails(self, user_id: UUID, template: str) -> list[str]:
        """The texts of what a person is mailed."""
        rows = await self.home.rows(
            "SELECT id FROM deliveries WHERE user_id = :id AND template = :template AND channel = 'email' ORDER BY id",
            id=user_id,
            template=template,
        )
        links = Links(MAIL, Unsubscriber(b"u" * 32))
        db, cipher = self.home.db, self.home.cipher
        by_mail = courier(db, cipher, self.channel)
        post = MailActivities(db.sessions, cipher, by_mail, links=links, grace=timedelta(days=14))
        for row in rows:
            await ActivityEnvironment().run(post.send_mail, SendMail(row.id))
        return [self.channel.sent[row.id].text for row in rows if row.id in self.channel.sent]


@pytest.fixture
async def sitting(db: Database, keys: KeyStore, cipher: FieldCipher) -> Sitting:
    home, elsewhere = await move_in(db, keys, cipher), await move_in(db, keys, cipher)
    name = await cipher.seal(Subject.user(elsewhere.user_id), "users.first_name_ct", elsewhere.user_id, "Sam")
    await home.execute("UPDATE users SET first_name_ct = :name WHERE id = :id", name=name, id=elsewhere.user_id)
    return Sitting(home, elsewhere.user_id)


async def test_what_is_due_is_told_to_the_sitter_first_and_to_the_owner_when_nobody_answers(sitting: Sitting) -> None:
    home = sitting.home
    ladder = (Ladder(timedelta(minutes=30), ("email",), Who.OTHERS),)
    reminder = await home.remind(DAILY, methods=("email",), steps=ladder)
    await sitting.grant()
    await home.deliver(reminder, DUE)
    assert await sitting.told(reminder) == {sitting.sitter_id}
    await home.deliver(reminder, DUE + timedelta(minutes=31))
    assert await sitting.told(reminder, "due+30") == {home.user_id}


@pytest.mark.parametrize(
    "fields",
    [
        {"begins": timedelta(days=1)},
        {"begins": timedelta(days=-2), "ends": timedelta(seconds=-1)},
        {"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"user_id": None, "email_bidx": b"sam"},
        {"actions": []},
    ],
    ids=["coming", "over", "revoked", "not accepted", "may not act"],
)
async def test_it_is_told_as_always_while_nobody_who_may_act_has_accepted(
    sitting: Sitting, fields: dict[str, Any]
) -> None:
    reminder = await sitting.home.remind(DAILY)
    await sitting.grant(**fields)
    await sitting.home.deliver(reminder, DUE)
    assert await sitting.told(reminder) == {sitting.home.user_id}


@pytest.mark.parametrize("state", ["blocked", "erasing"])
async def test_nothing_is_left_to_a_sitter_whose_account_is_closed(sitting: Sitting, state: str) -> None:
    reminder = await sitting.home.remind(DAILY)
    await sitting.grant()
    await sitting.home.execute("UPDATE users SET state = :state WHERE id = :id", state=state, id=sitting.sitter_id)
    await sitting.home.deliver(reminder, DUE)
    assert await sitting.told(reminder) == {sitting.home.user_id}


async def test_reminders_of_other_pets_and_of_none_stay_where_they_are(sitting: Sitting) -> None:
    home = sitting.home
    reminder = await home.remind(DAILY)
    await home.execute("UPDATE reminders SET pet_id = NULL WHERE id = :id", id=reminder)
    await sitting.grant()
    await home.deliver(reminder, DUE)
    assert await sitting.told(reminder) == {home.user_id}


async def test_routing_returns_by_the_clock_alone_while_no_worker_runs_the_grant(sitting: Sitting) -> None:
    home = sitting.home
    reminder = await home.remind(DAILY)
    grant = await sitting.grant()
    await home.deliver(reminder, DUE)
    assert await sitting.told(reminder) == {sitting.sitter_id}
    await sitting.over(grant)
    await home.deliver(reminder, NEXT)
    (second,) = await home.rows(
        "SELECT DISTINCT user_id FROM deliveries WHERE event_key LIKE '%2036-06-02%' AND reminder_id = :id", id=reminder
    )
    assert second.user_id == home.user_id


async def test_a_message_that_was_planned_for_the_sitter_does_not_leave_after_the_end(sitting: Sitting) -> None:
    home = sitting.home
    reminder = await home.remind(DAILY, methods=("email",))
    grant = await sitting.grant()
    home.notifier.faults = [ProviderUnavailable("away", retry_after=1)]
    await home.deliver(reminder, DUE)
    await sitting.over(grant)
    await home.execute(
        "UPDATE deliveries SET not_before = NULL, claimed_until = NULL WHERE reminder_id = :i", i=reminder
    )
    await home.deliver(reminder, DUE + timedelta(minutes=5))
    assert home.notifier.addresses == []
    (row,) = await home.rows(
        "SELECT state, reason FROM deliveries WHERE user_id = :id AND channel = 'email'", id=sitting.sitter_id
    )
    assert (row.state, row.reason) == ("withdrawn", "not_a_member")


async def test_the_sitter_s_own_preferences_hold(sitting: Sitting) -> None:
    home = sitting.home
    reminder = await home.remind(DAILY, methods=("email",))
    await sitting.grant()
    await home.execute(
        "INSERT INTO notification_preferences (user_id, category, channel, enabled)"
        " VALUES (:id, 'other', 'email', false)",
        id=sitting.sitter_id,
    )
    await home.deliver(reminder, DUE)
    assert home.notifier.addresses == []
    (row,) = await home.rows("SELECT state, reason FROM deliveries WHERE reminder_id = :id", id=reminder)
    assert (row.state, row.reason) == ("withdrawn", "preference")


async def test_the_sitter_s_quiet_hours_hold(sitting: Sitting) -> None:
    home = sitting.home
    reminder = await home.remind(DAILY, methods=("email",))
    await sitting.grant()
    await home.execute(
        "INSERT INTO quiet_hours (user_id, starts, ends) VALUES (:id, '09:00', '12:00')", id=sitting.sitter_id
    )
    await home.deliver(reminder, DUE)  # 10:00 in Berlin
    (row,) = await home.rows("SELECT state, reason, user_id FROM deliveries WHERE reminder_id = :id", id=reminder)
    assert (row.state, row.reason, row.user_id) == ("deferred", "quiet_hours", sitting.sitter_id)


async def test_at_the_start_the_sitter_hears_of_what_is_due_and_at_the_end_the_owner_again(sitting: Sitting) -> None:
    home = sitting.home
    schedule, due = due_now()
    reminder = await home.remind(schedule)
    await home.deliver(reminder, due)
    assert await sitting.told(reminder) == {home.user_id}
    grant = await sitting.grant(begins=timedelta(seconds=-1))
    assert await sitting.review(grant) == Todo(Step.START)
    for _ in range(2):
        await sitting.activities.start_grant(StartGrant(grant))
    await home.deliver(reminder, due + timedelta(minutes=5))
    assert await sitting.told(reminder) == {home.user_id, sitting.sitter_id}
    assert len(home.notifier.addresses) == 2
    await sitting.over(grant)
    assert await sitting.review(grant) == Todo(Step.END)
    for _ in range(2):
        await sitting.activities.end_grant(EndGrant(grant))
    assert await sitting.review(grant) == Todo()
    await home.deliver(reminder, due + timedelta(minutes=10))
    assert len(home.notifier.addresses) == 2


async def test_a_grant_that_was_revoked_just_before_its_start_is_not_announced(sitting: Sitting) -> None:
    grant = await sitting.grant(begins=timedelta(seconds=-1), revoked_at=datetime.now(UTC))
    await sitting.activities.start_grant(StartGrant(grant))
    assert await sitting.mails(sitting.sitter_id, "grant_started") == []
    assert await sitting.review(grant) == Todo(Step.END)


async def test_a_sitter_who_was_forgotten_meanwhile_holds_up_nothing(sitting: Sitting, settings: Settings) -> None:
    grant = await sitting.grant(begins=timedelta(seconds=-1))
    await sitting.home.execute(
        "UPDATE user_keys SET destroyed_at = now(), wrapped_dek = NULL WHERE owner_id = :id", id=sitting.sitter_id
    )
    provider, _ = open_keys(settings)
    sitting.home.cipher = FieldCipher(KeyStore(provider, KeyTable(sitting.home.db.reads)))  # knows no key yet
    await sitting.activities.start_grant(StartGrant(grant))
    await sitting.over(grant)
    await sitting.activities.end_grant(EndGrant(grant))
    assert await sitting.review(grant) == Todo()


async def test_what_fell_due_in_the_sitter_s_time_is_told_to_the_owner_once_it_is_over(sitting: Sitting) -> None:
    home = sitting.home
    schedule, due = due_now()
    reminder = await home.remind(schedule)
    grant = await sitting.grant(begins=timedelta(seconds=-1))
    await sitting.activities.start_grant(StartGrant(grant))
    await home.deliver(reminder, due)
    await sitting.over(grant)
    await sitting.activities.end_grant(EndGrant(grant))
    await home.deliver(reminder, due + timedelta(minutes=5))
    assert await sitting.told(reminder) == {sitting.sitter_id, home.user_id}


async def test_what_fell_due_is_told_to_the_owner_also_when_the_grant_was_ended_while_it_began(
    sitting: Sitting,
) -> None:
    """The sitter was told, and it was revoked before it was noted as begun."""
    home = sitting.home
    schedule, due = due_now()
    reminder = await home.remind(schedule)
    grant = await sitting.grant(begins=timedelta(seconds=-1))
    await home.deliver(reminder, due)
    await home.execute("UPDATE grants SET revoked_at = clock_timestamp() WHERE id = :id", id=grant)
    await sitting.activities.end_grant(EndGrant(grant))
    await home.deliver(reminder, due + timedelta(minutes=5))
    assert await sitting.told(reminder) == {sitting.sitter_id, home.user_id}


async def test_a_grant_that_was_extended_when_its_end_was_seen_ends_later(sitting: Sitting) -> None:
    grant = await sitting.grant(begins=timedelta(seconds=-1))
    await sitting.activities.start_grant(StartGrant(grant))
    await sitting.activities.end_grant(EndGrant(grant))
    assert (await sitting.review(grant)).step is None
    await sitting.over(grant)
    assert await sitting.review(grant) == Todo(Step.END)


async def test_start_and_end_ring_every_reminder_in_scope_once_more(sitting: Sitting) -> None:
    home = sitting.home
    reminders = [await home.remind(DAILY), await home.remind(DAILY)]
    grant = await sitting.grant(begins=timedelta(seconds=-1))
    await home.execute("UPDATE outbox SET done_at = now()")
    await sitting.activities.start_grant(StartGrant(grant))
    rung = await home.rows("SELECT aggregate FROM outbox WHERE done_at IS NULL AND kind = 'reminder'")
    assert {row.aggregate for row in rung} == {f"reminder/{reminder}" for reminder in reminders}


async def test_the_sitter_hears_live_what_happens_to_the_granted_pet_during_the_grant_only(
    sitting: Sitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = sitting.home
    said: list[UUID] = []
    monkeypatch.setattr("core.live.say", lambda _, people, name, **data: said.extend(people))
    reminder = await home.remind(DAILY)
    grant = await sitting.grant(actions=[])
    await home.deliver(reminder, DUE)
    assert sitting.sitter_id in said
    await sitting.over(grant)
    said.clear()
    await home.deliver(reminder, NEXT)
    assert home.user_id in said
    assert sitting.sitter_id not in said


async def test_an_address_without_an_account_is_mailed_once_and_told_nothing_it_could_be_fooled_with(
    sitting: Sitting,
) -> None:
    home, grant = sitting.home, new_id()
    giver = await home.cipher.seal(Subject.user(home.user_id), "users.first_name_ct", home.user_id, "evil.example/win")
    await home.execute("UPDATE users SET first_name_ct = :name WHERE id = :id", name=giver, id=home.user_id)
    sealed = await home.cipher.seal(Subject.household(home.household_id), "grants.email_ct", grant, "sam@example.test")
    made = await sitting.grant(user_id=None, mailed=False, email_bidx=b"nobody")
    await home.execute(
        "UPDATE grants SET id = :new, email_ct = :sealed WHERE id = :id", new=grant, sealed=sealed, id=made
    )
    assert await sitting.review(grant) == Todo(Step.MAIL)
    sitting.channel.drop_next = 1
    with pytest.raises(ProviderUnavailable):
        await sitting.activities.mail_grant(MailGrant(grant))
    await sitting.activities.mail_grant(MailGrant(grant))
    await sitting.activities.mail_grant(MailGrant(grant))
    (mail,) = sitting.channel.sent.values()
    assert mail.to == "sam@example.test"
    assert "Milo" in mail.subject
    assert "evil.example" not in mail.subject + mail.text + mail.html
    todo = await sitting.review(grant)
    assert todo.step is None
    assert todo.until is not None


async def test_the_mail_of_a_grant_that_was_ended_meanwhile_is_not_sent(sitting: Sitting) -> None:
    grant = await sitting.grant(user_id=None, mailed=False, email_bidx=b"x", revoked_at=datetime.now(UTC))
    await sitting.activities.mail_grant(MailGrant(grant))
    assert sitting.channel.calls == []
    assert await sitting.review(grant) == Todo(Step.END)
    await sitting.activities.end_grant(EndGrant(grant))
    assert await sitting.review(grant) == Todo()


async def test_whoever_is_named_by_id_is_told_by_mail_and_in_the_app(sitting: Sitting) -> None:
    grant = await sitting.grant(mailed=False)
    for _ in range(2):
        await sitting.activities.mail_grant(MailGrant(grant))
    (mail,) = await sitting.mails(sitting.sitter_id, "grant_given")
    assert "Milo" in mail
    lines = await sitting.home.rows("SELECT id FROM notifications WHERE user_id = :id", id=sitting.sitter_id)
    assert len(lines) == 1


async def evening(sitting: Sitting, **fields: Any) -> UUID:
    """A grant that began two days ago and whose owners have not been told anything."""
    grant = await sitting.grant(begins=timedelta(days=-2), **fields)
    await sitting.home.execute("UPDATE grants SET started_at = valid_from WHERE id = :id", id=grant)
    return grant


async def happened(sitting: Sitting, title: str, state: str, hours_ago: float) -> None:
    """An occurrence that the sitter closed, or that fell due, that long ago."""
    home = sitting.home
    reminder = await home.remind(DAILY, title=title)
    await home.execute(
        "UPDATE occurrences SET state = :state, instant = now() - make_interval(hours => :h),"
        " closed_at = CASE WHEN :state = 'due' THEN NULL ELSE now() - make_interval(hours => :h) END,"
        " completed_at = CASE WHEN :state = 'done' THEN now() - make_interval(hours => :h) END,"
        " closed_by = CASE WHEN :state = 'done' THEN CAST(:by AS uuid) END WHERE reminder_id = :id",
        state=state,
        h=int(hours_ago),
        by=sitting.sitter_id,
        id=reminder,
    )


async def test_in_the_evening_the_owners_are_told_once_what_was_done_missed_and_is_open(sitting: Sitting) -> None:
    home = sitting.home
    for title, state in (("Tablet", "done"), ("Brush", "missed"), ("Walk", "skipped"), ("Feed", "due")):
        await happened(sitting, title, state, 30)
    await happened(sitting, "Before", "done", 60)
    grant = await evening(sitting)
    assert await sitting.review(grant) == Todo(Step.SUMMARISE)
    for _ in range(2):
        await sitting.activities.summarise_grant(SummariseGrant(grant))
    (mail,) = await sitting.mails(home.user_id, "sitter_summary")
    for said in ("Done", "Tablet (Milo), by Sam", "Missed", "Brush", "Skipped", "Walk", "Still to be done", "Feed"):
        assert said in mail
    assert "Before" not in mail
    todo = await sitting.review(grant)
    assert todo.step is None
    assert todo.until is not None
    assert datetime.now(UTC) < todo.until <= datetime.now(UTC) + timedelta(days=1)


async def test_a_day_on_which_nothing_was_due_or_done_makes_no_mail(sitting: Sitting) -> None:
    await sitting.home.remind(DAILY)
    grant = await evening(sitting)
    await sitting.activities.summarise_grant(SummariseGrant(grant))
    assert await sitting.mails(sitting.home.user_id, "sitter_summary") == []


async def test_a_day_on_which_something_was_due_and_nothing_was_done_says_so(sitting: Sitting) -> None:
    await happened(sitting, "Tablet", "due", 30)
    grant = await evening(sitting)
    await sitting.activities.summarise_grant(SummariseGrant(grant))
    (mail,) = await sitting.mails(sitting.home.user_id, "sitter_summary")
    assert "Nothing was marked as done, although something was due." in mail


async def test_every_owner_is_told_on_their_own_clock_and_caretakers_are_not(
    sitting: Sitting, db: Database, keys: KeyStore, cipher: FieldCipher
) -> None:
    others = [(await move_in(db, keys, cipher, zone)).user_id for zone in ("Asia/Tokyo", "America/Vancouver")]
    async with db.sessions.begin() as session:
        for user_id, role in zip(others, (Role.OWNER, Role.CARETAKER), strict=True):
            session.add(Membership(household_id=sitting.home.household_id, user_id=user_id, role=role))
    await happened(sitting, "Tablet", "done", 30)
    grant = await evening(sitting)
    await sitting.activities.summarise_grant(SummariseGrant(grant))
    keys_told = await sitting.home.rows(
        "SELECT user_id, event_key FROM deliveries WHERE template = 'sitter_summary' AND event_key LIKE :grant",
        grant=f"grant/{grant}/%",
    )
    assert {row.user_id for row in keys_told} == {sitting.home.user_id, others[0]}
    assert len({row.event_key for row in keys_told}) == 2


async def test_the_end_tells_what_was_done_since_the_last_evening(sitting: Sitting) -> None:
    grant = await evening(sitting)
    await sitting.activities.summarise_grant(SummariseGrant(grant))
    await happened(sitting, "Goodbye", "done", 0)
    await sitting.home.execute(
        "UPDATE grants SET revoked_at = clock_timestamp() + interval '1 ms' WHERE id = :id", id=grant
    )
    await sitting.activities.end_grant(EndGrant(grant))
    (mail,) = await sitting.mails(sitting.home.user_id, "sitter_summary")
    assert "Goodbye" in mail


async def test_after_days_without_a_worker_one_summary_tells_of_all_of_them(sitting: Sitting) -> None:
    await happened(sitting, "First", "done", 90)
    await happened(sitting, "Last", "done", 30)
    grant = await sitting.grant(begins=timedelta(days=-5))
    await sitting.home.execute("UPDATE grants SET started_at = valid_from WHERE id = :id", id=grant)
    await sitting.activities.summarise_grant(SummariseGrant(grant))
    (mail,) = await sitting.mails(sitting.home.user_id, "sitter_summary")
    assert "First" in mail
    assert "Last" in mail


async def test_a_grant_that_passed_while_no_worker_lived_is_still_told_of(sitting: Sitting) -> None:
    await happened(sitting, "Tablet", "done", 30)
    grant = await sitting.grant(begins=timedelta(days=-2), ends=timedelta(seconds=-1))
    assert await sitting.review(grant) == Todo(Step.END)
    await sitting.activities.end_grant(EndGrant(grant))
    (mail,) = await sitting.mails(sitting.home.user_id, "sitter_summary")
    assert "Tablet" in mail


async def test_a_lost_temporal_finds_the_grants_that_are_not_finished(sitting: Sitting) -> None:
    grant, finished = await sitting.grant(), await sitting.grant(ends=timedelta(seconds=-1), begins=timedelta(days=-1))
    await sitting.activities.end_grant(EndGrant(finished))
    async with sitting.home.db.sessions() as session:
        page = await reconcile.unfinished_after(session, reconcile.GRANTS, None, 10_000)
    found = {grant_id for grant_id, _ in page}
    assert grant in found
    assert finished not in found


async def test_what_the_sitter_does_is_on_record_as_theirs(sitting: Sitting) -> None:
    home = sitting.home
    reminder = await home.remind(DAILY)
    await sitting.grant()
    await home.deliver(reminder, DUE)
    owner, home.user_id = home.user_id, sitting.sitter_id
    await home.act(reminder, lambda series: Complete(series.due.key, sitting.sitter_id), at=DUE)
    home.user_id = owner
    (row,) = await home.rows(
        "SELECT closed_by FROM occurrences WHERE reminder_id = :id AND state = 'done'", id=reminder
    )
    assert row.closed_by == sitting.sitter_id


async def test_whoever_waits_for_the_lock_is_judged_by_what_holds_once_they_have_it(sitting: Sitting) -> None:
    sessions, reminder = sitting.home.db.sessions, await sitting.home.remind(DAILY)
    grant = await sitting.grant()

    async def locked_by_sitter() -> reminders.Locked | None:
        async with sessions.begin() as session:
            return await reminders.lock_for(session, sitting.sitter_id, reminder)

    assert await locked_by_sitter() is not None
    async with sessions.begin() as holder:
        await reminders.lock(holder, reminder)
        waiting = asyncio.create_task(locked_by_sitter())
        while not await sitting.home.rows("SELECT pid FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        await sitting.over(grant)
    assert await waiting is None
