"""Lists of the local Google Calendar server, through the official client: one test per promise of calendar-sync.md
§7.2."""

import pytest

from tests.calendar_servers import ControlClient
from tests.contracts.calendar_kit import GoogleCalendar, google_refuses, google_service, hour


@pytest.fixture
def calendar(google_calendar_server: ControlClient) -> GoogleCalendar:
    service = google_service(google_calendar_server)
    made = service.calendars().insert(body={"summary": "Petfolio", "timeZone": "Europe/Berlin"}).execute()
    return GoogleCalendar(google_calendar_server, service, made["id"])


def titles(items: list[dict[str, str]]) -> list[str]:
    return [each["summary"] for each in items]


def test_the_sync_token_comes_with_the_last_page_only(calendar: GoogleCalendar) -> None:
    for number in range(5):
        calendar.add(summary=f"{number}")
    first = calendar.page(maxResults=2)
    second = calendar.page(maxResults=2, pageToken=first["nextPageToken"])
    last = calendar.page(maxResults=2, pageToken=second["nextPageToken"])
    assert [len(page["items"]) for page in (first, second, last)] == [2, 2, 1]
    assert ["nextSyncToken" in page for page in (first, second, last)] == [False, False, True]
    assert ["nextPageToken" in page for page in (first, second, last)] == [True, True, False]


def test_a_page_may_be_short_or_empty_while_more_follow(calendar: GoogleCalendar) -> None:
    for number in range(4):
        calendar.add(summary=f"{number}")
    calendar.control.shape("empty_page", calendar=calendar.id)
    empty = calendar.page(maxResults=4)
    assert (empty["items"], "nextPageToken" in empty) == ([], True)
    calendar.control.shape("short_page", calendar=calendar.id)
    short = calendar.page(maxResults=4, pageToken=empty["nextPageToken"])
    assert (len(short["items"]), "nextPageToken" in short) == (2, True)


def test_what_changes_between_two_pages_is_in_the_next_round_and_skips_nothing(calendar: GoogleCalendar) -> None:
    made = [calendar.add(summary=f"{number}")["id"] for number in range(6)]
    first = calendar.page(maxResults=2)
    calendar.patch(made[0], summary="changed, was on page 1")
    calendar.patch(made[4], summary="changed, was still to come")
    calendar.delete(made[5])
    new = calendar.add(summary="new")["id"]
    rest, token = calendar.round(maxResults=2, pageToken=first["nextPageToken"])
    assert titles(first["items"] + rest) == ["0", "1", "2", "3"]
    found = {each["id"]: each["status"] for each in calendar.round(syncToken=token)[0]}
    assert found == {made[0]: "confirmed", made[4]: "confirmed", made[5]: "cancelled", new: "confirmed"}


@pytest.mark.parametrize(
    "parameter",
    [
        {"iCalUID": "x@google.com"},
        {"orderBy": "updated"},
        {"privateExtendedProperty": "a=b"},
        {"q": "x"},
        {"sharedExtendedProperty": "a=b"},
        {"timeMin": "2026-01-01T00:00:00Z"},
        {"timeMax": "2027-01-01T00:00:00Z"},
        {"updatedMin": "2026-01-01T00:00:00Z"},
        {"showDeleted": False},
    ],
    ids=lambda parameter: next(iter(parameter)),
)
def test_what_cannot_stand_beside_a_sync_token_is_refused(
    calendar: GoogleCalendar, parameter: dict[str, str | bool]
) -> None:
    token = calendar.round()[1]
    with google_refuses(400, "invalid"):
        calendar.page(syncToken=token, **parameter)


def test_a_token_is_bound_to_its_parameters_and_its_calendar(calendar: GoogleCalendar) -> None:
    token = calendar.round(eventTypes="default")[1]
    assert calendar.page(syncToken=token, eventTypes="default")["items"] == []
    with google_refuses(400, "invalid"):
        calendar.page(syncToken=token)
    other = calendar.service.calendars().insert(body={"summary": "Other"}).execute()["id"]
    with google_refuses(400, "invalid"):
        calendar.events.list(calendarId=other, syncToken=token, eventTypes="default").execute()
    with google_refuses(400, "invalid"):
        calendar.page(syncToken="made-up", eventTypes="default")


def test_a_full_list_has_no_tombstones_and_an_incremental_one_has(calendar: GoogleCalendar) -> None:
    kept, gone = calendar.add(summary="kept"), calendar.add(summary="gone")
    token = calendar.round()[1]
    calendar.delete(gone["id"])
    assert [each["id"] for each in calendar.round()[0]] == [kept["id"]]
    (tombstone,), _ = calendar.round(syncToken=token)
    assert tombstone.keys() == {"kind", "id", "etag", "status"}
    assert (tombstone["id"], tombstone["status"]) == (gone["id"], "cancelled")


def test_a_cancelled_exception_says_which_occurrence_it_was_in_full_lists_too(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=WEEKLY"])["id"]
    token = calendar.round()[1]
    calendar.delete(f"{master}_20260309T080000Z")
    for items in (calendar.round(syncToken=token)[0], calendar.round()[0]):
        exception = next(each for each in items if each["id"] != master)
        assert exception["status"] == "cancelled"
        assert exception["recurringEventId"] == master
        assert exception["originalStartTime"] == {
            "dateTime": "2026-03-09T09:00:00+01:00",
            "timeZone": "Europe/Berlin",
        }


def test_an_expired_token_is_410_and_the_next_full_list_has_a_good_one(calendar: GoogleCalendar) -> None:
    token = calendar.round()[1]
    calendar.control.expire_cursors(calendar.id)
    with google_refuses(410, "fullSyncRequired"):
        calendar.page(syncToken=token)
    assert calendar.round(syncToken=calendar.round()[1])[0] == []


def test_a_page_token_expires_as_well_and_the_reason_can_be_chosen(calendar: GoogleCalendar) -> None:
    for _ in range(3):
        calendar.add()
    token = calendar.page(maxResults=1)["nextPageToken"]
    calendar.control.expire_cursors(calendar.id, form="updatedMinTooLongAgo")
    with google_refuses(410, "updatedMinTooLongAgo"):
        calendar.page(maxResults=1, pageToken=token)


def test_a_series_is_listed_as_its_master_and_its_exceptions(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=DAILY"])["id"]
    calendar.patch(f"{master}_20260303T080000Z", summary="Other words")
    assert {each["id"] for each in calendar.round()[0]} == {master, f"{master}_20260303T080000Z"}


def test_the_uid_finds_a_series_with_its_exceptions_cancelled_ones_included(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=DAILY"])
    calendar.add(summary="somebody else")
    calendar.patch(f"{master['id']}_20260303T080000Z", summary="Other words")
    calendar.delete(f"{master['id']}_20260304T080000Z")
    found = calendar.page(iCalUID=master["iCalUID"], showDeleted=True)["items"]
    assert {each["id"].partition("_")[2]: each["status"] for each in found} == {
        "": "confirmed",
        "20260303T080000Z": "confirmed",
        "20260304T080000Z": "cancelled",
    }


def test_instances_are_the_occurrences_with_their_exceptions_in_place(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=DAILY;COUNT=4", "EXDATE;TZID=Europe/Berlin:20260305T090000"])["id"]
    calendar.patch(f"{master}_20260303T080000Z", summary="Other words")
    calendar.delete(f"{master}_20260304T080000Z")
    found = calendar.events.instances(calendarId=calendar.id, eventId=master).execute()["items"]
    assert titles(found) == ["Vaccination", "Other words"]
    window = {"timeMin": "2026-03-03T00:00:00Z", "timeMax": "2026-03-05T00:00:00Z", "showDeleted": True}
    found = calendar.events.instances(calendarId=calendar.id, eventId=master, **window).execute()["items"]
    assert [each["status"] for each in found] == ["confirmed", "cancelled"]


def test_times_are_shown_on_the_clock_of_the_calendar_with_the_zone_of_the_event(calendar: GoogleCalendar) -> None:
    made = calendar.add(**hour("2026-07-01", "America/New_York"))
    assert made["start"] == {"dateTime": "2026-07-01T15:00:00+02:00", "timeZone": "America/New_York"}


def test_a_series_keeps_its_wall_time_across_the_change_of_clocks(calendar: GoogleCalendar) -> None:
    master = calendar.add(**hour("2026-03-28"), recurrence=["RRULE:FREQ=DAILY;COUNT=3"])["id"]
    found = calendar.events.instances(calendarId=calendar.id, eventId=master).execute()["items"]
    assert [each["start"]["dateTime"] for each in found] == [
        "2026-03-28T09:00:00+01:00",
        "2026-03-29T09:00:00+02:00",
        "2026-03-30T09:00:00+02:00",
    ]
    assert [each["id"].partition("_")[2] for each in found] == [
        "20260328T080000Z",
        "20260329T070000Z",
        "20260330T070000Z",
    ]


def test_other_types_than_those_asked_for_are_left_out(calendar: GoogleCalendar) -> None:
    calendar.add(eventType="focusTime")
    plain = calendar.add()["id"]
    assert [each["id"] for each in calendar.round(eventTypes="default")[0]] == [plain]


def test_different_accounts_see_different_calendars(calendar: GoogleCalendar) -> None:
    stranger = google_service(calendar.control.another())
    with google_refuses(404, "notFound"):
        stranger.events().list(calendarId=calendar.id).execute()
    mine = calendar.service.calendarList().list().execute()["items"]
    assert [each["id"] for each in mine] == [calendar.control.account, calendar.id]
    own = calendar.service.calendars().get(calendarId="primary").execute()
    assert own["id"] == calendar.control.account
