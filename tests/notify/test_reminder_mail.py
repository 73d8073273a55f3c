"""What a reminder's mail says about its time: zones, days on which the clocks change, all-day, late and overdue."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.recurrence import resolve
from integrations.notify import words
from integrations.notify.protocol import Message
from integrations.notify.words import ReminderWords

PLAIN = ReminderWords(
    locale="en",
    title="Tablet",
    description=None,
    pet_name="Milo",
    due=datetime(2026, 11, 23, 18, 5, tzinfo=ZoneInfo("Europe/Berlin")),
    nominal="2026-11-23T18:05",
    tzid="Europe/Berlin",
    timezone="Europe/Berlin",
    late=False,
    missed=0,
    step="due",
    now=datetime(2026, 11, 23, 17, 5, 1, tzinfo=UTC),
    public_url="https://petfolio.test",
    link="https://petfolio.test",
)


def at(nominal: str, tzid: str, **fields: Any) -> ReminderWords:
    """A mail about the nominal of a schedule in that zone, read there unless said otherwise."""
    due = resolve(datetime.fromisoformat(nominal), tzid).astimezone(ZoneInfo(tzid))
    return replace(PLAIN, **({"due": due, "nominal": nominal, "tzid": tzid, "timezone": tzid} | fields))


def sent(mail: ReminderWords) -> Message:
    return words.email(mail, "ada@example.test")


def text(mail: ReminderWords) -> str:
    return " ".join(sent(mail).text.split())


def test_a_reader_in_the_reminder_s_zone_reads_one_time() -> None:
    said = text(PLAIN)
    assert "Tablet for Milo is due: Monday, 23 November 2026, 18:05 (Europe/Berlin)" in said
    assert "Where you are" not in said
    assert "Open Petfolio: https://petfolio.test" in said


def test_a_reader_elsewhere_reads_their_own_time_too() -> None:
    said = text(replace(PLAIN, timezone="America/New_York"))
    assert "18:05 (Europe/Berlin)" in said
    assert "Where you are, that is Monday, 23 November 2026, 12:05 (America/New_York)." in said


def test_another_zone_with_the_same_time_is_not_mentioned() -> None:
    assert "Where you are" not in text(replace(PLAIN, timezone="Europe/Paris"))


@pytest.mark.parametrize(
    ("nominal", "tzid", "explained"),
    [
        ("2027-03-28T02:30", "Europe/Berlin", "planned for 02:30. The clocks skip that time"),
        ("2027-10-31T02:30", "Europe/Berlin", "02:30 comes twice on this day because the clocks go back"),
        ("2027-04-04T01:45", "Australia/Lord_Howe", "01:45 comes twice"),
        ("2027-10-03T02:15", "Australia/Lord_Howe", "skip that time on this day, so it counts as 02:45"),
    ],
)
def test_a_day_on_which_the_clocks_change_is_explained(nominal: str, tzid: str, explained: str) -> None:
    assert explained in text(at(nominal, tzid))


def test_a_day_like_any_other_explains_nothing() -> None:
    said = text(at("2027-03-29T02:30", "Europe/Berlin"))
    assert "clocks" not in said


def test_an_interval_without_a_zone_is_told_on_the_reader_s_clock() -> None:
    mail = replace(PLAIN, nominal="2026-11-23T17:05:00Z", tzid=None, timezone="Asia/Tokyo")
    said = text(replace(mail, due=datetime(2026, 11, 23, 17, 5, tzinfo=UTC).astimezone(ZoneInfo("Asia/Tokyo"))))
    assert "Tuesday, 24 November 2026, 02:05 (Asia/Tokyo)" in said


def test_an_all_day_reminder_names_the_day_alone() -> None:
    said = text(replace(PLAIN, nominal="2026-11-23", timezone="America/New_York"))
    assert "is due: Monday, 23 November 2026 Mark it" in said


def test_what_was_open_for_a_week_is_not_announced_as_new() -> None:
    mail = sent(replace(PLAIN, step="overdue-1", late=True))
    assert mail.subject == "Still open: Tablet – Milo"
    assert "Tablet for Milo is still open. It was due:" in " ".join(mail.text.split())


def test_german_says_the_same() -> None:
    said = text(at("2027-03-28T02:30", "Europe/Berlin", locale="de", timezone="America/New_York"))
    assert "Tablet für Milo ist fällig: Sonntag, 28. März 2027, 03:30 (Europe/Berlin)" in said
    assert "Bei dir ist das Samstag, 27. März 2027, 21:30 (America/New_York)." in said
    assert "es gilt 03:30 Uhr" in said
