"""The knobs of the local calendar servers do what calendar-sync.md §7.3 says, seen through the official clients."""

import time
from contextlib import suppress
from typing import Any

import httplib2
import httpx
import pytest
from googleapiclient.errors import HttpError

from tests.calendar_servers import ControlClient
from tests.contracts.calendar_kit import (
    GoogleCalendar,
    asking,
    etag_of,
    event,
    google_refuses,
    google_service,
    graph_client,
    graph_refuses,
    hour,
)


@pytest.fixture
def calendar(google_calendar_server: ControlClient) -> GoogleCalendar:
    control = google_calendar_server
    return GoogleCalendar(control, google_service(control), control.calendar())


def stored(calendar: GoogleCalendar) -> list[str]:
    return [each["body"]["summary"] for each in calendar.control.events(calendar.id)]


def test_a_fault_before_the_commit_changes_nothing_and_one_after_it_has_stored(calendar: GoogleCalendar) -> None:
    calendar.control.fault(method="POST", path="/events$", status=500)
    with pytest.raises(Exception, match="500"):
        calendar.add(summary="before")
    assert stored(calendar) == []
    calendar.control.fault(method="POST", path="/events$", when="after", status=500)
    with pytest.raises(Exception, match="500"):
        calendar.add(summary="after")
    assert stored(calendar) == ["after"]


def test_a_reset_after_the_commit_has_stored(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    calendar.control.fault(method="PATCH", when="after", effect="reset")
    with pytest.raises(ConnectionResetError):
        calendar.patch(made["id"], made["etag"], summary="stored")
    assert stored(calendar) == ["stored"]


def test_httplib2_asks_again_when_a_connection_was_closed_without_an_answer(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    calendar.control.fault(method="PATCH", when="after", effect="close")
    with google_refuses(412, "conditionNotMet"):
        calendar.patch(made["id"], made["etag"], summary="stored")
    assert stored(calendar) == ["stored"]
    assert [each["status"] for each in calendar.control.log(method="PATCH")] == ["no answer", 412]


def test_silence_after_the_commit_has_stored(calendar: GoogleCalendar) -> None:
    calendar.control.fault(method="POST", path="/events$", when="after", effect="hang", seconds=30)
    request = calendar.events.insert(calendarId=calendar.id, body=hour())
    request.http.http = httplib2.Http(timeout=0.3)
    with pytest.raises(TimeoutError):
        request.execute(num_retries=0)
    assert stored(calendar) == ["Vaccination"]


def test_a_fault_waits_for_its_turn_and_holds_for_so_many(calendar: GoogleCalendar) -> None:
    calendar.control.fault(path="/events$", status=503, skip=1, times=2)
    seen = []
    for _ in range(4):
        try:
            calendar.page()
            seen.append(200)
        except Exception as error:
            seen.append(error.status_code)  # type: ignore[attr-defined]
    assert seen == [200, 503, 503, 200]


def test_a_fault_of_one_account_is_not_that_of_another(calendar: GoogleCalendar) -> None:
    other = google_service(calendar.control.another())
    calendar.control.fault(path="/calendars/primary", status=500)
    assert other.calendars().get(calendarId="primary").execute()["id"]
    assert len(calendar.control.state()["rules"]) == 1


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_throttle_says_when_to_come_back(calendar: GoogleCalendar, status: int) -> None:
    calendar.control.throttle(status=status, retry_after=7, times=1, calendar=calendar.id)
    calendar.service.calendars().get(calendarId="primary").execute()
    with google_refuses(status, "rateLimitExceeded") as caught:
        calendar.page()
    assert caught.value.resp["retry-after"] == "7"  # type: ignore[attr-defined]
    assert calendar.page()["items"] == []


def test_a_throttle_may_last_for_seconds(calendar: GoogleCalendar) -> None:
    calendar.control.throttle(seconds=0.3, retry_after=None)
    began = time.monotonic()
    with google_refuses(429, "rateLimitExceeded") as caught:
        calendar.page()
    assert "retry-after" not in caught.value.resp  # type: ignore[attr-defined]
    while calendar.control.log()[-1]["status"] == 429:
        with suppress(HttpError):
            calendar.page()
    assert time.monotonic() - began >= 0.29


async def test_graph_is_throttled_in_its_own_words(graph_server: ControlClient) -> None:
    client = graph_client(graph_server)
    for status, code in {429: "ApplicationThrottled", 503: "ServiceUnavailable"}.items():
        graph_server.throttle(status=status, retry_after=7)
        with graph_refuses(status, code) as caught:
            await client.me.calendars.get()
        assert dict(caught.value.response_headers)["retry-after"] == "7"
    assert [each["status"] for each in graph_server.log()] == [429, 503]


def test_a_race_is_an_edit_between_the_read_and_the_write(calendar: GoogleCalendar) -> None:
    made = calendar.add()
    body = {"summary": "theirs"}
    calendar.control.race("edit", path=made["id"], event=made["id"], calendar=calendar.id, body=body)
    read = calendar.get(made["id"])
    with google_refuses(412, "conditionNotMet"):
        calendar.delete(made["id"], read["etag"])
    assert stored(calendar) == ["theirs"]


def test_a_list_may_be_empty_once_and_repeat_itself(calendar: GoogleCalendar) -> None:
    made = calendar.add(summary="old")["id"]
    calendar.patch(made, summary="new")
    calendar.control.shape("empty_list", calendar=calendar.id)
    assert calendar.round()[0] == []
    calendar.control.shape("twice", calendar=calendar.id)
    items, token = calendar.round()
    assert [each["summary"] for each in items] == ["old", "new"]
    calendar.control.shape("replay", calendar=calendar.id)
    assert [each["id"] for each in calendar.round(syncToken=token)[0]] == [made]
    assert calendar.round(syncToken=token)[0] == []


def test_texts_may_be_normalised(calendar: GoogleCalendar) -> None:
    calendar.control.shape("normalise", calendar=calendar.id)
    assert calendar.add(description="a\nb")["description"] == "a \r\nb "
    calendar.control.shape("normalise", calendar=calendar.id, form="html")
    assert calendar.add(description="a\nb")["description"] == "a<br>b"


async def test_the_texts_of_graph_may_be_normalised_too(graph_server: ControlClient) -> None:
    client = graph_client(graph_server)
    graph_server.shape("normalise")
    made = await client.me.events.post(event("Vaccination"), request_configuration=asking())
    assert made is not None
    assert made.subject == "Vaccination "


async def test_an_etag_may_be_another_at_every_look(calendar: GoogleCalendar, graph_server: ControlClient) -> None:
    made = calendar.add()
    calendar.control.shape("etag_on_get", calendar=calendar.id, times=None)
    seen = {calendar.get(made["id"])["etag"] for _ in range(3)} | {made["etag"]}
    assert len(seen) == 4
    client = graph_client(graph_server)
    own = graph_server.remote_create(title="x", start="2026-03-02T09:00", end="2026-03-02T10:00")
    graph_server.shape("etag_on_get", event=own, times=None)
    looks = [await client.me.events.by_event_id(own).get(asking()) for _ in range(3)]
    assert len({etag_of(each) for each in looks}) == 3


async def test_one_event_may_be_refused(calendar: GoogleCalendar, graph_server: ControlClient) -> None:
    calendar.control.shape("reject", event="Poison", times=None)
    with google_refuses(400, "invalid"):
        calendar.add(summary="Poison")
    assert calendar.add(summary="Vaccination")["id"]
    with graph_refuses(400, "ErrorInvalidRequest"):
        await graph_client(graph_server).me.events.post(event("Poison"))


def test_a_copy_keeps_private_properties_under_another_id(calendar: GoogleCalendar) -> None:
    made = calendar.add(extendedProperties={"private": {"petfolio": "marker"}})
    copy = calendar.get(calendar.control.remote_copy(made["id"], calendar.id))
    assert copy["id"] != made["id"]
    assert copy["iCalUID"] != made["iCalUID"]
    assert copy["extendedProperties"] == made["extendedProperties"]


def test_a_split_series_is_two(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=WEEKLY;COUNT=10"])["id"]
    rest = calendar.control.remote_split(master, "20260316T080000Z", calendar.id, {"summary": "From now on"})
    assert calendar.get(master)["recurrence"] == ["RRULE:FREQ=WEEKLY;UNTIL=20260316T075959Z"]
    assert calendar.get(rest)["summary"] == "From now on"
    assert calendar.get(rest)["start"]["dateTime"].startswith("2026-03-16T08:00")


async def test_a_split_series_of_graph_is_two(graph_server: ControlClient) -> None:
    times = {"start": "2026-03-02T09:00", "end": "2026-03-02T10:00", "zone": "Europe/Berlin"}
    master = graph_server.remote_create(title="x", repeats="weekly", **times)
    rest = graph_server.remote_split(master, "20260316T080000Z")
    found: dict[str, Any] = {each["id"]: each["body"] for each in graph_server.events()}
    assert found[master]["recurrence"]["range"]["endDate"] == "2026-03-15"
    assert found[rest]["recurrence"]["range"]["startDate"] == "2026-03-16"
    assert found[rest]["start"] == {"dateTime": "2026-03-16T09:00:00.0000000", "timeZone": "Europe/Berlin"}


async def test_a_person_moves_an_event_and_deletes_a_calendar(
    calendar: GoogleCalendar, graph_server: ControlClient
) -> None:
    made, to = calendar.add(), calendar.control.calendar("Other", app=False)
    calendar.control.remote_move(made["id"], to, calendar.id)
    assert calendar.get(made["id"])["status"] == "cancelled"
    assert [each["id"] for each in calendar.control.events(to)] == [made["id"]]
    calendar.control.drop_calendar(to)
    with google_refuses(404, "notFound"):
        calendar.events.list(calendarId=to).execute()
    own = graph_server.calendar()
    graph_server.drop_calendar(own)
    with graph_refuses(404, "ErrorItemNotFound"):
        await graph_client(graph_server).me.calendars.by_calendar_id(own).get()


def test_a_person_deletes_and_changes_single_occurrences(calendar: GoogleCalendar) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=WEEKLY"])["id"]
    calendar.control.remote_delete(master, calendar.id, occurrence="20260309T080000Z")
    calendar.control.remote_edit(master, calendar.id, occurrence="20260316T080000Z", title="Other words")
    assert calendar.get(f"{master}_20260309T080000Z")["status"] == "cancelled"
    assert calendar.get(f"{master}_20260316T080000Z")["summary"] == "Other words"


def test_the_clock_can_be_set(calendar: GoogleCalendar) -> None:
    httpx.post(f"{calendar.control.url}/_control/clock", json={"set": "2031-05-06T07:08:09+00:00"})
    later = google_service(calendar.control)
    assert (
        later.events().insert(calendarId=calendar.id, body=hour()).execute()["created"].startswith("2031-05-06T07:08")
    )


def test_every_request_is_in_the_log_without_its_token(calendar: GoogleCalendar) -> None:
    token = calendar.control.tokens().access
    headers = {"Authorization": f"Bearer {token}", "If-Match": '"1"', "Prefer": "x"}
    path = f"/calendar/v3/calendars/{calendar.id}/events/unknown"
    httpx.delete(f"{calendar.control.url}{path}?sendUpdates=none", headers=headers)
    (entry,) = calendar.control.log(method="DELETE")
    assert (entry["path"], entry["query"], entry["status"]) == (path, {"sendUpdates": "none"}, 404)
    assert entry["headers"]["If-Match"] == '"1"'
    assert token not in str(calendar.control.log())


def test_what_is_not_there_is_404_and_noted(google_calendar_server: ControlClient) -> None:
    headers = {"Authorization": f"Bearer {google_calendar_server.tokens().access}"}
    for path in ("/calendar/v3/colors", "/v1.0/me/messages", "/nowhere"):
        assert httpx.get(f"{google_calendar_server.url}{path}", headers=headers).status_code == 404
    account = google_calendar_server.account
    found = [each["path"] for each in google_calendar_server.unhandled() if each["account"] == account]
    assert found == ["/calendar/v3/colors", "/v1.0/me/messages", "/nowhere"]
    google_calendar_server.clear_log()


def test_a_knob_that_does_not_exist_is_refused(google_calendar_server: ControlClient) -> None:
    for what, body in {"shape": {"what": "strange"}, "fault": {"status": 200}, "push": {"what": "explode"}}.items():
        answer = httpx.post(f"{google_calendar_server.url}/_control/{what}", json=body)
        assert answer.status_code == 400
