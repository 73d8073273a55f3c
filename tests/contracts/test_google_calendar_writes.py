"""Writes at the local Google Calendar server, through the official client: one test per promise of calendar-sync.md
§7.2."""

from typing import Any

import pytest

from tests.calendar_servers import ControlClient
from tests.contracts.calendar_kit import GoogleCalendar, google_refuses, google_service, hour


@pytest.fixture
def calendar(google_calendar_server: ControlClient) -> GoogleCalendar:
    service = google_service(google_calendar_server)
    made = service.calendars().insert(body={"summary": "Petfolio", "timeZone": "Europe/Berlin"}).execute()
    return GoogleCalendar(google_calendar_server, service, made["id"])


@pytest.mark.parametrize("wrong", ["abcd", "Capital", "with-dash", "xyz12", "a" * 1_025])
def test_an_id_has_the_letters_of_base32hex(calendar: GoogleCalendar, wrong: str) -> None:
    with google_refuses(400, "invalid"):
        calendar.add(id=wrong)
    assert calendar.add(id="av019")["id"] == "av019"


def test_an_id_is_given_once_and_a_tombstone_holds_it(calendar: GoogleCalendar) -> None:
    calendar.add(id="abcde")
    with google_refuses(409, "duplicate"):
        calendar.add(id="abcde")
    calendar.delete("abcde")
    with google_refuses(409, "duplicate"):
        calendar.add(id="abcde")


def test_a_stale_condition_is_412_on_every_kind_of_write(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    fresh = calendar.patch(made["id"], made["etag"], summary="Second")
    with google_refuses(412, "conditionNotMet"):
        calendar.patch(made["id"], made["etag"], summary="Third")
    request = calendar.events.update(calendarId=calendar.id, eventId=made["id"], body=hour())
    request.headers["If-Match"] = made["etag"]
    with google_refuses(412, "conditionNotMet"):
        request.execute()
    with google_refuses(412, "conditionNotMet"):
        calendar.delete(made["id"], made["etag"])
    assert calendar.get(made["id"])["summary"] == "Second"
    calendar.delete(made["id"], fresh["etag"])


def test_an_unchanged_event_is_not_sent_again(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    request = calendar.events.get(calendarId=calendar.id, eventId=made["id"])
    request.headers["If-None-Match"] = made["etag"]
    with pytest.raises(Exception, match="304"):
        request.execute()


def test_a_second_delete_is_410_and_a_deleted_event_is_told_as_cancelled(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    calendar.delete(made["id"])
    with google_refuses(410, "deleted"):
        calendar.delete(made["id"])
    assert calendar.get(made["id"])["status"] == "cancelled"
    with google_refuses(404, "notFound"):
        calendar.get("neverseen")


def test_a_patch_merges_and_null_takes_a_private_property_away(calendar: GoogleCalendar) -> None:
    made = calendar.add(location="Practice", extendedProperties={"private": {"a": "1", "b": "2"}})
    done = calendar.patch(made["id"], summary="New", extendedProperties={"private": {"a": None, "c": "3"}})
    assert (done["summary"], done["location"]) == ("New", "Practice")
    assert done["extendedProperties"]["private"] == {"b": "2", "c": "3"}


def test_a_put_without_private_properties_drops_them(calendar: GoogleCalendar) -> None:
    made = calendar.add(description="words", extendedProperties={"private": {"a": "1"}})
    done = calendar.events.update(calendarId=calendar.id, eventId=made["id"], body=hour()).execute()
    assert "extendedProperties" not in done
    assert "description" not in done
    assert (done["id"], done["iCalUID"], done["created"]) == (made["id"], made["iCalUID"], made["created"])


def test_too_long_a_key_is_dropped_and_too_long_a_value_cut(calendar: GoogleCalendar) -> None:
    private = {"k" * 44: "kept", "k" * 45: "dropped", "value": "v" * 1_030}
    made = calendar.add(extendedProperties={"private": private})
    assert made["extendedProperties"]["private"] == {"k" * 44: "kept", "value": "v" * 1_024}


@pytest.mark.parametrize("line", ["DTSTART:20260302T090000Z", "RRULE:FREQ=SOMETIMES", "WORDS"])
def test_a_line_that_is_no_recurrence_is_refused(calendar: GoogleCalendar, line: str) -> None:
    with google_refuses(400, "invalid"):
        calendar.add(recurrence=["RRULE:FREQ=DAILY", line])


def test_a_series_needs_a_time_zone(calendar: GoogleCalendar) -> None:
    times = {"start": {"dateTime": "2026-03-02T09:00:00+01:00"}, "end": {"dateTime": "2026-03-02T10:00:00+01:00"}}
    assert calendar.add(**times)["start"]["timeZone"] == "Europe/Berlin"
    with google_refuses(400, "required"):
        calendar.add(**times, recurrence=["RRULE:FREQ=DAILY"])


def test_a_change_of_the_reminders_moves_the_etag_and_not_the_time_of_the_update(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    calendar.control.advance(60)
    reminded = calendar.patch(
        made["id"], reminders={"useDefault": False, "overrides": [{"method": "popup", "minutes": 10}]}
    )
    assert reminded["etag"] != made["etag"]
    assert reminded["updated"] == made["updated"]
    assert calendar.patch(made["id"], summary="New")["updated"] != made["updated"]


@pytest.mark.parametrize(
    "overrides",
    [
        [{"method": "popup", "minutes": number} for number in range(6)],
        [{"method": "popup", "minutes": 40_321}],
        [{"method": "sms", "minutes": 5}],
    ],
    ids=["six", "too early", "unknown method"],
)
def test_reminders_have_their_limits(calendar: GoogleCalendar, overrides: list[dict[str, Any]]) -> None:
    with google_refuses(400, "invalid"):
        calendar.add(reminders={"useDefault": False, "overrides": overrides})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"start": {"date": "2026-03-02"}}, "required"),
        ({"end": {"date": "2026-03-02"}}, "required"),
        ({"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-01"}}, "timeRangeEmpty"),
        ({"start": {"dateTime": "2026-03-02T09:00:00"}, "end": {"dateTime": "2026-03-02T10:00:00"}}, "required"),
        ({"start": {"dateTime": "yesterday"}, "end": {"dateTime": "2026-03-02T10:00:00Z"}}, "invalid"),
    ],
    ids=["no end", "no start", "ends before it starts", "no zone", "no time"],
)
def test_what_has_no_proper_times_is_no_event(calendar: GoogleCalendar, body: dict[str, Any], reason: str) -> None:
    with google_refuses(400, reason):
        calendar.events.insert(calendarId=calendar.id, body=body).execute()


def test_an_event_may_become_one_of_whole_days_and_back(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    days = {"start": {"date": "2026-03-02", "dateTime": None, "timeZone": None}, "end": {"date": "2026-03-03"}}
    assert calendar.patch(made["id"], **days)["start"] == {"date": "2026-03-02"}
    back = calendar.patch(made["id"], **{k: v for k, v in hour().items() if k != "summary"})
    assert back["start"] == {"dateTime": "2026-03-02T09:00:00+01:00", "timeZone": "Europe/Berlin"}


def test_an_occurrence_can_be_changed_and_cancelled_by_its_own_id(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=WEEKLY"])["id"]
    untouched = calendar.get(f"{master}_20260309T080000Z")
    assert (untouched["recurringEventId"], untouched["summary"]) == (master, "Vaccination")
    times = {key: value for key, value in hour("2026-03-10").items() if key != "summary"}
    moved = calendar.patch(untouched["id"], untouched["etag"], **times)
    assert moved["id"] == untouched["id"]
    assert moved["originalStartTime"]["dateTime"] == "2026-03-09T09:00:00+01:00"
    assert moved["start"]["dateTime"] == "2026-03-10T09:00:00+01:00"
    calendar.delete(f"{master}_20260316T080000Z")
    assert calendar.get(f"{master}_20260316T080000Z")["status"] == "cancelled"
    with google_refuses(410, "deleted"):
        calendar.delete(f"{master}_20260316T080000Z")
    with google_refuses(404, "notFound"):
        calendar.get(f"{master}_20260310T080000Z")


def test_occurrences_of_whole_days_are_named_by_their_day(calendar: GoogleCalendar) -> None:
    days = {"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-03"}}
    master = calendar.add(**days, recurrence=["RRULE:FREQ=DAILY"])["id"]
    changed = calendar.patch(f"{master}_20260304", summary="Other words")
    assert changed["originalStartTime"] == {"date": "2026-03-04"}


def test_exceptions_go_with_the_occurrences_that_a_changed_series_has_no_more(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=DAILY"])["id"]
    calendar.patch(f"{master}_20260304T080000Z", summary="kept")
    calendar.patch(f"{master}_20260305T080000Z", summary="lost")
    token = calendar.round()[1]
    calendar.patch(master, recurrence=["RRULE:FREQ=DAILY;INTERVAL=2"])
    changed = {each["id"].partition("_")[2]: each["status"] for each in calendar.round(syncToken=token)[0]}
    assert changed == {"": "confirmed", "20260305T080000Z": "cancelled"}


def test_a_deleted_event_comes_back_when_it_is_confirmed_again(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    calendar.delete(made["id"])
    with google_refuses(404, "notFound"):
        calendar.patch(made["id"], summary="New")
    assert calendar.patch(made["id"], status="confirmed")["status"] == "confirmed"


def test_a_moved_event_keeps_its_id_and_leaves_a_tombstone(calendar: GoogleCalendar) -> None:
    made, token = calendar.add(), calendar.round()[1]
    to = calendar.service.calendars().insert(body={"summary": "Other"}).execute()["id"]
    calendar.events.move(calendarId=calendar.id, eventId=made["id"], destination=to).execute()
    assert calendar.round(syncToken=token)[0][0]["status"] == "cancelled"
    there = calendar.events.get(calendarId=to, eventId=made["id"]).execute()
    assert (there["id"], there["status"]) == (made["id"], "confirmed")


def test_the_calendar_goes_with_everything_in_it_but_the_own_one_stays(calendar: GoogleCalendar) -> None:
    calendar.add()
    calendar.service.calendars().delete(calendarId=calendar.id).execute()
    with google_refuses(404, "notFound"):
        calendar.page()
    with google_refuses(400, "cannotDeletePrimaryCalendar"):
        calendar.service.calendars().delete(calendarId="primary").execute()


def test_a_parameter_that_the_discovery_document_does_not_know_is_refused(calendar: GoogleCalendar) -> None:
    request = calendar.events.list(calendarId=calendar.id)
    request.uri += "&invented=1"
    with google_refuses(400, "invalidParameter"):
        request.execute()
