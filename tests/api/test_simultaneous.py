"""Two caregivers, fifty taps: one dose is given, and everybody else learns by whom and when (product.md §8.1)."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from httpx import Response

from activities.reminder import ReminderActivities
from core.crypto import FieldCipher
from core.db import Database
from integrations.notify.protocol import Receipt
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier, wording
from tests.api.signing_in import Api, Person
from tests.api.test_reminders import diary, person, remind, settings

__all__ = ["person", "settings"]
TAPS = 50


def today() -> dict[str, Any]:
    """A series whose first occurrence is due in a few minutes: a dose may be given."""
    soon = datetime.now(UTC) + timedelta(minutes=5)
    return {
        "mode": "fixed",
        "dtstart_local": f"{soon:%Y-%m-%dT%H:%M}",
        "freq": "DAILY",
        "tzid": "UTC",
        "tz_mode": "fixed",
    }


async def household_of_two(api: Api, db: Database, person: Person) -> Person:
    """Somebody else who cares for the same pets."""
    other = await api.person(first_name="Bert")
    await db.reads.execute(
        """UPDATE memberships SET role = 'caretaker', household_id =
           (SELECT household_id FROM memberships WHERE user_id = $1) WHERE user_id = $2""",
        person.user_id,
        other.user_id,
    )
    return other


async def tap(hand: Person, dose: dict[str, Any]) -> Response:
    """A server that has too much to do says when to ask again (`Retry-After`), as it does to apps."""
    while (answer := await hand.request("POST", f"/occurrences/{dose['id']}/complete")).status_code == 503:
        await asyncio.sleep(int(answer.headers["retry-after"]))
    return answer


async def test_fifty_taps_of_two_people_give_one_dose(api: Api, db: Database, person: Person) -> None:
    other = await household_of_two(api, db, person)
    made = await remind(person, category="medication", schedule=today())
    (dose, *_) = await diary(person, made["id"])
    hands = [person, other] * (TAPS // 2)
    answers = await asyncio.gather(*(tap(hand, dose) for hand in hands))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: TAPS - 1}
    winner = next(hand for hand, answer in zip(hands, answers, strict=True) if answer.status_code == 200)
    for answer in answers:
        if answer.status_code == 409:
            told = answer.json()
            assert (told["code"], told["given_by"]) == ("already_given", str(winner.user_id))
            assert told["given_by_name"] in ("Anna", "Bert")
            assert told["given_at"]
    rows = await db.reads.fetch("SELECT state, by_user_id FROM doses WHERE reminder_id = $1", UUID(made["id"]))
    assert [(row["state"], row["by_user_id"]) for row in rows] == [("given", winner.user_id)]
    assert Counter(each["state"] for each in await diary(person, made["id"])) == {"done": 1, "scheduled": 1}


async def test_while_it_is_given_the_worker_sends_and_afterwards_nothing_more(
    api: Api, db: Database, person: Person, cipher: FieldCipher
) -> None:
    notifier = MemoryNotifier()
    activities = ReminderActivities(db.sessions, wording(cipher), notifier)
    made = await remind(person, category="medication", schedule=today(), notification_methods=["email"])
    (dose, *_) = await diary(person, made["id"])
    request = DeliverOccurrence(UUID(made["id"]), datetime.fromisoformat(dose["instant"]))
    given = asyncio.gather(*(person.request("POST", f"/occurrences/{dose['id']}/complete") for _ in range(10)))
    await asyncio.gather(given, *(activities.deliver_occurrence(request) for _ in range(10)))
    assert Counter(answer.status_code for answer in given.result()) == {200: 1, 409: 9}
    sent = len(notifier.taken)
    assert sent <= 1
    await activities.deliver_occurrence(request)
    assert len(notifier.taken) == sent
    states = await db.reads.fetch(
        "SELECT state FROM deliveries WHERE reminder_id = $1 AND channel = 'email'", UUID(made["id"])
    )
    assert [row["state"] for row in states] == (["sent"] if sent else ["withdrawn"] * len(states))


async def test_done_in_the_moment_a_step_is_being_sent_is_the_last_step(
    db: Database, person: Person, cipher: FieldCipher
) -> None:
    made = await remind(
        person,
        schedule=today(),
        notification_methods=["email"],
        steps=[{"after_minutes": 1, "channels": ["email"]}, {"after_minutes": 2, "channels": ["email"]}],
    )
    (dose, *_) = await diary(person, made["id"])

    class Slow(MemoryNotifier):
        async def send_reminder(self, notice: Any, address: Any, *, idempotency_key: UUID) -> Receipt:
            if notice.step == "due+1":  # while the provider is being asked
                answer = await person.request("POST", f"/occurrences/{dose['id']}/complete")
                assert answer.status_code == 200, answer.text
            return await super().send_reminder(notice, address, idempotency_key=idempotency_key)

    notifier = Slow()
    activities = ReminderActivities(db.sessions, wording(cipher), notifier)
    due = datetime.fromisoformat(dose["instant"])
    for minute in range(5):
        await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), due + timedelta(minutes=minute)))
    assert notifier.steps == ["due", "due+1"]
    assert (await diary(person, made["id"]))[-1]["state"] in ("done", "scheduled")
    assert Counter(each["state"] for each in await diary(person, made["id"])) == {"done": 1, "scheduled": 1}


async def test_a_snooze_in_the_middle_of_an_escalation_begins_it_anew_later(
    db: Database, person: Person, cipher: FieldCipher
) -> None:
    steps = [{"after_minutes": 10, "channels": ["email"]}]
    made = await remind(person, schedule=today(), notification_methods=["email"], steps=steps)
    (dose, *_) = await diary(person, made["id"])
    notifier, due = MemoryNotifier(), datetime.fromisoformat(dose["instant"])
    activities = ReminderActivities(db.sessions, wording(cipher), notifier)
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), due))
    until = (due + timedelta(minutes=30)).isoformat()
    answer = await person.request("POST", f"/occurrences/{dose['id']}/snooze", {"until": until})
    assert answer.status_code == 200, answer.text
    for minute in (10, 30, 40):
        await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), due + timedelta(minutes=minute)))
    assert notifier.steps == ["due", "snooze-1", "snooze-1+10"]


async def test_deleted_while_it_is_due_nothing_more_is_said(db: Database, person: Person, cipher: FieldCipher) -> None:
    steps = [{"after_minutes": 10, "channels": ["email"]}]
    made = await remind(person, schedule=today(), notification_methods=["email"], steps=steps)
    (dose, *_) = await diary(person, made["id"])
    notifier, due = MemoryNotifier(), datetime.fromisoformat(dose["instant"])
    activities = ReminderActivities(db.sessions, wording(cipher), notifier)
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), due))
    assert (await person.request("DELETE", f"/reminders/{made['id']}")).status_code == 204
    plan = await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), due + timedelta(minutes=10)))
    assert plan.ended
    assert notifier.steps == ["due"]
    assert (await person.request("GET", "/notifications")).json()["items"] == []
