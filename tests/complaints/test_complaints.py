"""What users of such software complain about (product.md §7), row by row, each test named after what they saw."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
import yaml
from prometheus_client import REGISTRY
from temporalio.testing import ActivityEnvironment

from activities.digest import DigestActivities
from activities.mail import MailActivities
from activities.reconcile import ReconcileActivities
from activities.reminder import ReminderActivities
from activities.wording import Links
from api.reminders import document_of
from core.crypto import FieldCipher
from core.db import Database
from core.settings import Settings
from core.unsubscribe import Unsubscriber
from integrations.keys.store import KeyStore
from integrations.notify.memory import MemoryChannel
from integrations.notify.protocol import ProviderRefused
from temporal.client import connect, plugin
from temporal.contracts.digest import EnqueueDigests
from temporal.contracts.mail import SendMail
from temporal.contracts.reconcile import RingMissing
from temporal.contracts.reminder import DeliverOccurrence
from temporal.gateway import open_gateway
from tests.activities.reminder_home import MemoryNotifier, courier, wording
from tests.activities.test_reconcile import temporal_server
from tests.api.conftest import api, app
from tests.api.signing_in import Person
from tests.api.test_reminders import DAILY, DUE, bells, diary, heard, person, remind, settings
from workers.watch import UNCLAIMED, Watch

__all__ = ["api", "app", "person", "settings"]

ELSEWHERE: Final = {
    17: "comes with care plans",
    20: "comes with households and sitters",
    21: "comes with calendar sync",
    22: "comes with shared links",
    24: "comes with the pet's passport",
    25: "comes with care plans; records are edited in tests/api/test_health_records.py",
}
"""Rows whose test comes with the feature they are about."""
LACKING: Final = {
    12: "a planned visit quiets the reminder once it says what it is for, which comes with care plans; quieted by a"
    " guess, a vaccination would be forgotten over a claw",
}
"""What rows with a test still lack, and why."""
ALARMS: Final = Path(__file__).resolve().parents[2] / "infra/observability/alerts.yml"
LINKS: Final = Links("https://petfolio.test", Unsubscriber(b"u" * 32))
STEP = [{"after_minutes": 10, "channels": ["email"]}, {"after_minutes": 20, "channels": ["email"]}]


class Killed(BaseException):
    """The process is no more."""


class Worker:
    """What a worker does, at the times the test says, with a mailbox that can be asked."""

    def __init__(self, db: Database, cipher: FieldCipher) -> None:
        self.mailbox = MemoryNotifier()
        self._activities = ReminderActivities(db.sessions, wording(cipher), self.mailbox)

    async def deliver(self, made: dict[str, Any], at: datetime = DUE) -> Any:
        return await self._activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), at))


@pytest.fixture
async def worker(db: Database, cipher: FieldCipher) -> Worker:
    return Worker(db, cipher)


async def act(person: Person, occurrence: dict[str, Any], what: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = await person.request("POST", f"/occurrences/{occurrence['id']}/{what}", body or None)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def explained(person: Person, occurrence: dict[str, Any]) -> dict[str, Any]:
    return dict((await person.request("GET", f"/occurrences/{occurrence['id']}/explain")).json())


async def lines(person: Person) -> list[str]:
    return [line["step"] for line in (await person.request("GET", "/notifications")).json()["items"]]


def rings(name: str) -> bool:
    """Whether this alarm would ring now, of a rule that compares a gauge with a number."""
    rules = (rule for group in yaml.safe_load(ALARMS.read_text())["groups"] for rule in group["rules"])
    expression = next(rule["expr"] for rule in rules if rule["alert"] == name)
    metric, limit = re.fullmatch(r"max\((\w+)\) > (\d+)", expression).groups()
    return (REGISTRY.get_sample_value(metric) or 0.0) > float(limit)


async def oldest(person: Person, made: dict[str, Any]) -> dict[str, Any]:
    return (await diary(person, made["id"]))[-1]


def test_every_row_has_its_test_or_the_reason_it_has_not() -> None:
    here = {int(found[1]) for name in globals() if (found := re.match(r"test_(\d+)_", name))}
    assert here.isdisjoint(ELSEWHERE)
    assert here | set(ELSEWHERE) == set(range(1, 26))
    assert set(LACKING) <= here


async def test_1_it_never_mailed_and_never_said_so(
    person: Person, worker: Worker, db: Database, settings: Settings, keys: KeyStore
) -> None:
    made = await remind(person, notification_methods=["email"])
    worker.mailbox.faults = [ProviderRefused("no such mailbox")]
    await worker.deliver(made)
    assert await lines(person) == ["undelivered:email:due"]
    assert "refused" in (await explained(person, await oldest(person, made)))["sentence"]
    forgotten = await oldest(person, await remind(person))
    await db.reads.execute(
        "UPDATE occurrences SET instant = now() - interval '2 min' WHERE id = $1", UUID(forgotten["id"])
    )
    UNCLAIMED.set(0)
    watch = Watch(db, await open_gateway(settings, keys))
    watching = asyncio.create_task(watch.run())
    async with asyncio.timeout(10):
        while not rings("RemindersNotClaimed"):
            await asyncio.sleep(0.01)
    watch.stop()
    await watching


async def test_2_the_list_of_the_day_vanished(person: Person, worker: Worker) -> None:
    made = await remind(person, schedule={"mode": "once", "dtstart_local": "2036-06-01T08:00", "tzid": "Europe/Berlin"})
    await worker.deliver(made)
    day = "from=2036-06-01T00:00:00Z&to=2036-06-02T00:00:00Z"
    (item,) = (await person.request("GET", f"/agenda?{day}")).json()["items"]
    assert item["state"] == "due"
    await person.request("POST", "/notifications/read-all")
    assert await lines(person) == ["due"]
    await act(person, await oldest(person, made), "complete")
    assert await lines(person) == []


async def test_3_stopped_by_force_it_forgot_what_it_was_about_to_say(
    person: Person, worker: Worker, db: Database
) -> None:
    """Whole processes die in tests/faults; here one dies between claim and send."""
    made = await remind(person, notification_methods=["email"])
    worker.mailbox.faults = [Killed()]
    with pytest.raises(Killed):
        await worker.deliver(made)
    await db.reads.execute(
        "UPDATE deliveries SET claimed_until = now() WHERE reminder_id = $1", UUID(made["id"])
    )  # its lease has run out
    for _ in range(2):
        await worker.deliver(made)
    assert worker.mailbox.steps == ["due"]


async def test_4_all_of_them_fell_silent_at_once(
    person: Person, db: Database, settings: Settings, keys: KeyStore, tmp_path: Path
) -> None:
    """Temporal's database is lost, and with it every workflow: the nightly comparison rings them all again."""
    made = [await remind(person) for _ in range(3)]
    for each in made:
        await heard(db, each["id"])
    async with temporal_server(tmp_path / "temporal") as server:
        empty = await connect(
            settings.model_copy(update={"temporal_address": server.address}), plugin(keys), lazy=True, runtime=None
        )
        reconcile = ReconcileActivities(db.sessions, empty, keys)
        await ActivityEnvironment().run(reconcile.ring_missing, RingMissing(page_size=50))
    assert [await bells(db, each["id"]) for each in made] == [1, 1, 1]


async def test_5_it_rang_once_and_was_never_heard_again(person: Person, worker: Worker) -> None:
    made = await remind(person, notification_methods=["email"], steps=STEP)
    for minute in (0, 10, 20):
        await worker.deliver(made, DUE + timedelta(minutes=minute))
    assert worker.mailbox.steps == ["due", "due+10", "due+20"]


async def test_6_the_time_moved_with_the_phone(person: Person) -> None:
    made = await remind(person, schedule=DAILY | {"tz_mode": "pet_home"})
    await person.request("PUT", "/users/profile", {"timezone": "America/New_York"})
    assert (await oldest(person, made))["instant"] == DUE.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("mode", "instant"),
    [("pet_home", "2036-06-01T06:00:00Z"), ("fixed", "2036-06-01T06:00:00Z"), ("follow_user", "2036-06-01T12:00:00Z")],
)
async def test_7_on_a_journey_it_rang_at_home_time_or_did_not(person: Person, mode: str, instant: str) -> None:
    schedule = DAILY | {"tz_mode": mode} | ({"tzid": "Europe/Berlin"} if mode == "fixed" else {})
    made = await remind(person, schedule=schedule)
    await person.request("PUT", "/users/profile", {"timezone": "America/New_York"})
    assert (await oldest(person, made))["instant"] == instant


async def test_7_away_for_a_week_it_asked_to_feed_the_fish(person: Person, worker: Worker) -> None:
    """One word for all of them, and nobody has to remember to switch anything on again."""
    told = {"notification_methods": ["email"], "steps": []}
    breakfast = await remind(person, title="Breakfast", category="feeding", **told)
    at_six = DAILY | {"dtstart_local": "2036-06-01T18:00"}
    dinner = await remind(person, title="Dinner", category="feeding", schedule=at_six, **told)
    drops = await remind(person, title="Drops", category="medication", **told)
    (home,) = (await person.request("GET", "/households")).json()["items"]
    away = {"starts_at": "2036-06-01T00:00:00Z", "ends_at": "2036-06-08T00:00:00Z"}
    assert (await person.request("POST", f"/households/{home['id']}/absences", away)).status_code == 201

    async def passes(day: int) -> list[str]:
        before = len(worker.mailbox.titles)
        for made, hour in ((breakfast, 0), (drops, 0), (dinner, 10)):
            await worker.deliver(made, DUE + timedelta(days=day, hours=hour))
        return worker.mailbox.titles[before:]

    assert [await passes(day) for day in range(7)] == [["Drops"]] * 7
    assert [item["state"] for item in await diary(person, dinner["id"])] == ["scheduled"] + ["skipped"] * 7
    assert "was away until 2036-06-08" in (await explained(person, await oldest(person, dinner)))["sentence"]
    assert await passes(7) == ["Breakfast", "Drops", "Dinner"]


async def test_8_the_browser_said_utc_and_every_time_was_wrong(person: Person) -> None:
    """Nothing but the person's own confirmation changes a zone: not a header, not an offset in a time."""
    headers = {"X-Timezone": "UTC", "Time-Zone": "UTC"}
    await person.request("GET", "/users/profile", headers=headers)
    assert (await person.request("GET", "/users/profile")).json()["timezone"] == "Europe/Berlin"
    made = await remind(person)
    assert (await oldest(person, made))["tzid"] == "Europe/Berlin"


async def test_9_one_gap_of_the_clock_moved_every_later_one(person: Person) -> None:
    await remind(person, schedule=DAILY | {"dtstart_local": "2037-03-28T02:30"})
    query = "from=2037-03-28T00:00:00Z&to=2037-03-31T00:00:00Z"
    items = (await person.request("GET", f"/agenda?{query}")).json()["items"]
    assert [item["local"][11:16] for item in items] == ["02:30", "03:30", "02:30"]


async def test_10_two_mails_for_one_reminder(person: Person, worker: Worker) -> None:
    made = await remind(person, notification_methods=["email"])
    await asyncio.gather(*(worker.deliver(made) for _ in range(10)))
    assert worker.mailbox.steps == ["due"]


@pytest.mark.parametrize("end", ["done", "deleted"])
async def test_11_reminded_after_it_was_done_or_deleted(person: Person, worker: Worker, end: str) -> None:
    made = await remind(person, notification_methods=["email", "in_app"], steps=STEP)
    await worker.deliver(made)
    if end == "done":
        await act(person, await oldest(person, made), "complete")
    else:
        await person.request("DELETE", f"/reminders/{made['id']}")
    for minute in (10, 20):
        await worker.deliver(made, DUE + timedelta(minutes=minute))
    assert worker.mailbox.steps == ["due"]
    assert await lines(person) == []


async def test_12_nobody_could_say_why_it_reminded(person: Person, worker: Worker) -> None:
    made = await remind(person, notification_methods=["email"])
    await worker.deliver(made)
    told = await explained(person, await oldest(person, made))
    assert told["tzid"] == "Europe/Berlin"
    assert told["deliveries"][0]["events"][0]["kind"] == "accepted"
    assert told["sentence"]


async def test_12_the_visit_was_booked_and_it_went_on_asking(person: Person, worker: Worker) -> None:
    """Seen, still to be done: nothing more is said, and it stays on the list until the vet has seen the cat."""
    now = datetime.now(UTC)
    once = {"mode": "once", "dtstart_local": f"{now:%Y-%m-%dT%H:%M:%S}", "tzid": "UTC"}
    made = await remind(person, schedule=once, category="vaccination", notification_methods=["email"])
    await worker.deliver(made, now)
    seen = await act(person, await oldest(person, made), "acknowledge")
    for days in (7, 30):
        await worker.deliver(made, now + timedelta(days=days))
    assert seen["state"] == "due"
    assert worker.mailbox.steps == ["due"]


async def test_13_done_twice_moved_it_by_two_months(person: Person) -> None:
    schedule = {"mode": "after_completion", "dtstart_local": "2026-01-31T08:00", "every": {"n": 1, "unit": "month"}}
    made = await remind(person, schedule=schedule)
    first = await oldest(person, made)
    taps = [person.request("POST", f"/occurrences/{first['id']}/complete") for _ in range(4)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*taps)) == [200, 409, 409, 409]
    assert len(await diary(person, made["id"])) == 2


async def test_14_days_after_it_was_done_counted_from_the_plan(person: Person) -> None:
    schedule = {"mode": "after_completion", "dtstart_local": "2026-01-31T08:00", "every": {"n": 10, "unit": "day"}}
    made = await remind(person, schedule=schedule)
    at = datetime.now(UTC).replace(microsecond=0)
    done = await act(person, await oldest(person, made), "complete", completed_at=at.isoformat())
    following, before = await diary(person, made["id"])
    assert before["instant"] == "2026-01-31T07:00:00Z"  # both are kept: when it was planned, and when it was done
    assert datetime.fromisoformat(done["completed_at"]) == at
    assert 9 < (datetime.fromisoformat(following["instant"]) - at).total_seconds() / 86_400 < 11


async def test_15_done_early_gave_the_same_day_again(person: Person) -> None:
    made = await remind(person)
    await act(person, await oldest(person, made), "complete")
    following, done = await diary(person, made["id"])
    assert (done["state"], following["state"]) == ("done", "scheduled")
    assert following["nominal"] == "2036-06-02T08:00"


async def test_16_the_31st_was_skipped_or_stuck_at_28(person: Person) -> None:
    rule = {"mode": "fixed", "dtstart_local": "2037-01-31T08:00", "freq": "MONTHLY", "tzid": "Europe/Berlin"}
    answer = await person.request(
        "POST", "/reminders/preview", {"schedule": rule, "after": "2037-01-01T00:00:00Z", "limit": 4}
    )
    days = [item["local"][:10] for item in answer.json()["occurrences"]]
    assert days == ["2037-01-31", "2037-02-28", "2037-03-31", "2037-04-30"]


async def test_18_the_escalation_rang_through_do_not_disturb(person: Person, worker: Worker) -> None:
    window = {"windows": [{"start": "08:05", "end": "12:00"}]}
    assert (await person.request("PUT", "/users/quiet-hours", window)).status_code == 200
    made = await remind(person, notification_methods=["email"], steps=STEP)
    for minute in (0, 10, 20):
        await worker.deliver(made, DUE + timedelta(minutes=minute))
    assert worker.mailbox.steps == ["due"]


async def test_19_thirty_five_mails_in_one_morning(
    person: Person, worker: Worker, db: Database, cipher: FieldCipher
) -> None:
    for number in range(35):
        made = await remind(
            person,
            title=f"Chore {number}",
            notification_methods=["in_app"],
            steps=[{"after_minutes": 10, "channels": ["digest"]}],
        )
        await worker.deliver(made)
        await worker.deliver(made, DUE + timedelta(minutes=10))
    assert worker.mailbox.steps == []
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await ActivityEnvironment().run(DigestActivities(db.sessions).enqueue_digests, EnqueueDigests(tomorrow, 200))
    mailbox = MemoryChannel()
    mails = MailActivities(db.sessions, cipher, courier(db, cipher, mailbox), links=LINKS, grace=timedelta(days=14))
    for row in await db.reads.fetch("SELECT args FROM outbox WHERE user_id = $1 AND kind = 'mail'", person.user_id):
        await ActivityEnvironment().run(mails.send_mail, SendMail(UUID(document_of(row["args"])["delivery_id"])))
    (mail,) = [mail for mail in mailbox.sent.values() if "Chore" in mail.text]
    assert mail.subject == "Your day with Petfolio: 35 still open"
    assert mail.text.count("Chore") + 5 == 35  # and says how many more there are


async def test_23_what_was_tapped_on_the_road_was_lost_or_counted_twice(person: Person) -> None:
    """A queue on the phone sends each tap again until it is answered."""
    body, key = {"title": "Walk", "schedule": DAILY}, {"Idempotency-Key": uuid4().hex}
    answers = [await person.request("POST", "/reminders", body, key) for _ in range(3)]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await person.request("GET", "/reminders")).json()["items"]) == 1
