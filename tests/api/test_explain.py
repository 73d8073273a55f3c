"""`explain`: what happened to one occurrence, told from what was recorded."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from activities.reminder import ReminderActivities
from activities.wording import Links, ReminderWording
from api.schemas.explain import ExplanationOut
from core.crypto import FieldCipher
from core.db import Database
from integrations.notify import words
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable
from temporal.contracts.reminder import DeliverOccurrence
from tests.activities.reminder_home import MemoryNotifier, wording
from tests.api.signing_in import Api, Person
from tests.api.test_reminders import DAILY, DUE, diary, person, remind, settings

__all__ = ["person", "settings"]


@pytest.fixture
def notifier() -> MemoryNotifier:
    return MemoryNotifier()


@pytest.fixture
def activities(db: Database, cipher: FieldCipher, notifier: MemoryNotifier) -> ReminderActivities:
    return ReminderActivities(db.sessions, wording(cipher), notifier)


async def explained(person: Person, reminder_id: str, index: int = -1) -> dict[str, Any]:
    occurrence = (await diary(person, reminder_id))[index]
    answer = await person.request("GET", f"/occurrences/{occurrence['id']}/explain")
    assert answer.status_code == 200, answer.text
    ExplanationOut.model_validate(answer.json())
    return dict(answer.json())


async def test_before_it_is_due_the_steps_to_come_are_shown(person: Person) -> None:
    made = await remind(person, category="grooming")
    told = await explained(person, made["id"])
    assert told["sentence"] == "It is not due before 2036-06-01 08:00 (Europe/Berlin); nothing was sent to you yet."
    assert [(step["step"], step["at"]) for step in told["planned"]] == [
        ("lead-1440", "2036-05-31T06:00:00Z"),
        ("due", "2036-06-01T06:00:00Z"),
        ("due+1440", "2036-06-02T06:00:00Z"),
    ]


async def test_what_was_sent_names_channel_provider_and_attempts(
    person: Person, activities: ReminderActivities, notifier: MemoryNotifier
) -> None:
    made = await remind(person, notification_methods=["email", "in_app"])
    notifier.faults = [ProviderUnavailable("away", retry_after=0)]
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE))
    waiting = await explained(person, made["id"])
    assert waiting["sentence"].startswith("It reached you by a line in the app")
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE + timedelta(seconds=5)))
    told = await explained(person, made["id"])
    (mail,) = [row for row in told["deliveries"] if row["channel"] == "email"]
    assert (mail["state"], mail["attempts"]) == ("sent", 2)
    assert [(event["kind"], event["code"]) for event in mail["events"]] == [
        ("unavailable", "provider_unavailable"),
        ("accepted", None),
    ]
    assert mail["events"][-1]["provider_id"] == mail["provider_id"]


@pytest.mark.parametrize(
    ("channel", "switched_off", "sentence"),
    [
        ("email", True, "e-mail: this category is switched off on that channel in the preferences"),
        ("sms", False, "text message: there is no consent to text messages"),
    ],
)
async def test_what_the_person_did_not_allow_is_named_as_the_reason(
    person: Person, activities: ReminderActivities, channel: str, switched_off: bool, sentence: str
) -> None:
    if switched_off:
        cell = {"cells": [{"category": "feeding", "channel": channel, "enabled": False}]}
        answer = await person.request("PATCH", "/users/notification-preferences", cell)
        assert answer.status_code == 200, answer.text
    made = await remind(person, category="feeding", notification_methods=[channel], steps=[])
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE))
    assert (await explained(person, made["id"]))["sentence"] == f"Nothing was sent: {sentence}."


async def test_one_click_in_the_first_mail_withholds_the_next_and_explains_it(
    api: Api, app: FastAPI, person: Person, db: Database, cipher: FieldCipher, notifier: MemoryNotifier
) -> None:
    links = Links("http://test", app.state.services.unsubscriber)
    activities = ReminderActivities(db.sessions, ReminderWording(cipher, links), notifier)
    made = await remind(person, category="feeding", notification_methods=["email"], steps=[])
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE))
    (taken,) = notifier.taken.values()
    (address,) = re.findall("<(.+)>", words.email(taken.notice, person.email).headers["List-Unsubscribe"])
    assert (await api.http.post(address, data={"List-Unsubscribe": "One-Click"})).status_code == 200
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE + timedelta(days=1)))
    assert len(notifier.calls) == 1
    assert (await explained(person, made["id"], 1))["sentence"] == (
        "Nothing was sent: e-mail: this category is switched off on that channel in the preferences."
    )


async def test_a_refused_address_is_named_and_the_app_says_so_too(
    person: Person, activities: ReminderActivities, notifier: MemoryNotifier
) -> None:
    made = await remind(person, notification_methods=["email"])
    notifier.faults = [ProviderRefused("no such mailbox")]
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE))
    told = await explained(person, made["id"])
    assert told["sentence"] == "Nothing was sent: e-mail: the provider refused the message."
    assert [row["step"] for row in told["deliveries"]] == ["due", "undelivered:email:due"]


async def test_a_gap_of_the_clock_is_named(person: Person) -> None:
    made = await remind(person, schedule=DAILY | {"dtstart_local": "2027-03-28T02:30"})
    told = await explained(person, made["id"])
    assert [shift["kind"] for shift in told["shifts"]] == ["gap"]
    assert (told["nominal"], told["instant"]) == ("2027-03-28T02:30", "2027-03-28T01:30:00Z")


async def test_a_clamped_month_end_and_a_snooze_are_named(person: Person) -> None:
    monthly = {"mode": "fixed", "dtstart_local": "2027-01-31T09:00", "freq": "MONTHLY"}
    made = await remind(person, schedule=monthly)
    (occurrence,) = await diary(person, made["id"])
    await person.request("POST", f"/occurrences/{occurrence['id']}/skip")
    (february, _) = await diary(person, made["id"])
    await person.request("POST", f"/occurrences/{february['id']}/snooze", {"until": "2027-02-28T12:00:00Z"})
    told = await explained(person, made["id"], 0)
    assert [(shift["kind"], shift["at"]) for shift in told["shifts"]] == [
        ("clamped", "2027-02-28T08:00:00Z"),
        ("snoozed", "2027-02-28T12:00:00Z"),
    ]


async def test_a_dose_given_against_the_guard_shows_its_reason(person: Person) -> None:
    made = await remind(person, category="medication")
    (occurrence,) = await diary(person, made["id"])
    await person.request("POST", f"/occurrences/{occurrence['id']}/complete", {"override_reason": "the vet said so"})
    told = await explained(person, made["id"])
    assert [(dose["state"], dose["override_reason"]) for dose in told["doses"]] == [("given", "the vet said so")]
    assert told["sentence"] == "It was done before a notice was due, so none was sent."


async def test_strangers_learn_nothing(api: Api, person: Person) -> None:
    made = await remind(person)
    (occurrence,) = await diary(person, made["id"])
    stranger = await api.person()
    answer = await stranger.request("GET", f"/occurrences/{occurrence['id']}/explain")
    assert answer.status_code == 404


async def test_it_is_made_of_what_was_recorded_at_the_time(person: Person, activities: ReminderActivities) -> None:
    made = await remind(person)
    await activities.deliver_occurrence(DeliverOccurrence(UUID(made["id"]), DUE))
    before = await explained(person, made["id"])
    answer = await person.request(
        "PUT", f"/reminders/{made['id']}", {"schedule": DAILY | {"dtstart_local": "2036-06-01T07:00"}}
    )
    assert answer.status_code == 200
    after = (await person.request("GET", f"/occurrences/{before['occurrence_id']}/explain")).json()
    kept = ("instant", "nominal", "tzid", "tzdata", "deliveries")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert datetime.fromisoformat(after["instant"]) == DUE.astimezone(UTC)
