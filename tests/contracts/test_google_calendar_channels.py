"""Push channels of the local Google Calendar server: one test per promise of calendar-sync.md §7.2."""

import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

import pytest

from tests.calendar_listener import Heard, Listener
from tests.calendar_servers import ControlClient
from tests.contracts.calendar_kit import GoogleCalendar, google_refuses, google_service


@pytest.fixture
def calendar(google_calendar_server: ControlClient) -> GoogleCalendar:
    service = google_service(google_calendar_server)
    made = service.calendars().insert(body={"summary": "Petfolio"}).execute()
    return GoogleCalendar(google_calendar_server, service, made["id"])


def watch(calendar: GoogleCalendar, listener: Listener, **more: Any) -> dict[str, Any]:
    body = {"id": uuid4().hex, "type": "web_hook", "address": f"{listener.url}/push", "token": "secret", **more}
    channel: dict[str, Any] = calendar.events.watch(calendarId=calendar.id, body=body).execute()
    return channel


def number(message: Heard) -> int:
    return int(message.headers["X-Goog-Message-Number"])


def test_a_channel_begins_with_a_sync_message_of_number_one(calendar: GoogleCalendar, listener: Listener) -> None:
    channel = watch(calendar, listener)
    message = listener.wait(1)[0]
    assert (message.path, message.body) == ("/push", b"")
    expires = parsedate_to_datetime(message.headers["X-Goog-Channel-Expiration"]).timestamp()
    assert abs(expires - int(channel["expiration"]) / 1_000) < 1
    assert {name: message.headers[name] for name in message.headers if name.startswith("X-Goog-")} == {
        "X-Goog-Channel-ID": channel["id"],
        "X-Goog-Channel-Token": "secret",
        "X-Goog-Channel-Expiration": message.headers["X-Goog-Channel-Expiration"],
        "X-Goog-Resource-ID": channel["resourceId"],
        "X-Goog-Resource-URI": channel["resourceUri"],
        "X-Goog-Resource-State": "sync",
        "X-Goog-Message-Number": "1",
    }


def test_each_change_is_one_message_and_the_numbers_rise_with_gaps(
    calendar: GoogleCalendar, listener: Listener
) -> None:
    watch(calendar, listener)
    event = calendar.add()["id"]
    for turn in range(20):
        calendar.patch(event, summary=f"{turn}")
    calendar.delete(event)
    messages = listener.wait(23)[1:]
    assert {each.headers["X-Goog-Resource-State"] for each in messages} == {"exists"}
    numbers = [number(each) for each in messages]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > len(messages) + 1, "there are gaps"
    assert len(listener.messages) == 23


def test_other_calendars_and_refused_writes_are_not_told(calendar: GoogleCalendar, listener: Listener) -> None:
    watch(calendar, listener)
    calendar.control.remote_create(title="elsewhere", start="2026-03-02T09:00", end="2026-03-02T10:00")
    with google_refuses(400, "invalid"):
        calendar.add(id="NOT-AN-ID")
    calendar.add()
    assert [each.headers["X-Goog-Resource-State"] for each in listener.wait(2)] == ["sync", "exists"]


def test_the_granted_end_is_capped_and_answered(calendar: GoogleCalendar, listener: Listener) -> None:
    now = time.time()
    week, hour = now + 604_800, 3_600
    assert abs(int(watch(calendar, listener)["expiration"]) / 1_000 - week) < 60
    assert (
        abs(int(watch(calendar, listener, expiration=int(now + 90 * 86_400) * 1_000)["expiration"]) / 1_000 - week) < 60
    )
    short = watch(calendar, listener, params={"ttl": str(hour)})
    assert abs(int(short["expiration"]) / 1_000 - now - hour) < 60


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_in_trouble_is_told_again(calendar: GoogleCalendar, listener: Listener, status: int) -> None:
    listener.statuses += [status]
    watch(calendar, listener)
    first, second = listener.wait(2)
    assert number(first) == number(second) == 1
    assert second.at > first.at


@pytest.mark.parametrize("status", [301, 400, 404, 429, 501])
def test_any_other_status_is_final(calendar: GoogleCalendar, listener: Listener, status: int) -> None:
    listener.statuses += [status]
    watch(calendar, listener)
    listener.wait(1)
    calendar.add()
    assert [each.headers["X-Goog-Resource-State"] for each in listener.wait(2)] == ["sync", "exists"]


def test_nothing_follows_the_end_of_a_channel(calendar: GoogleCalendar, listener: Listener) -> None:
    stopped, expired = watch(calendar, listener), watch(calendar, listener, params={"ttl": "600"})
    lasting = watch(calendar, listener)
    listener.wait(3)
    calendar.service.channels().stop(body={"id": stopped["id"], "resourceId": stopped["resourceId"]}).execute()
    calendar.control.advance(601)
    calendar.add()
    calendar.add()
    listener.wait(5)
    told = {each.headers["X-Goog-Channel-ID"] for each in listener.messages[3:]}
    assert told == {lasting["id"]}
    assert expired["id"] not in calendar.control.state()["channels"]


def test_what_was_on_its_way_when_a_channel_was_stopped_is_not_sent(
    calendar: GoogleCalendar, listener: Listener
) -> None:
    calendar.control.push("delay", seconds=0.2)
    stopped = watch(calendar, listener)
    calendar.service.channels().stop(body={"id": stopped["id"], "resourceId": stopped["resourceId"]}).execute()
    calendar.control.push("delay", seconds=0.3)
    lasting = watch(calendar, listener)
    assert [each.headers["X-Goog-Channel-ID"] for each in listener.wait(1)] == [lasting["id"]]


def test_what_was_refused_halfway_has_changed_and_told_nothing(calendar: GoogleCalendar, listener: Listener) -> None:
    master = calendar.add(recurrence=["RRULE:FREQ=WEEKLY"])
    channel = watch(calendar, listener)["id"]
    with pytest.raises(HTTPError, match="400"):
        calendar.control.remote_split(master["id"], "20260316T080000Z", calendar.id, {"end": {"date": "2026-01-01"}})
    assert calendar.get(master["id"])["etag"] == master["etag"]
    assert calendar.control.state()["channels"][channel]["number"] == 1


def test_an_unknown_channel_cannot_be_stopped(calendar: GoogleCalendar, listener: Listener) -> None:
    channel = watch(calendar, listener)
    for body in ({"id": "unknown", "resourceId": "x"}, {"id": channel["id"], "resourceId": "another"}):
        with google_refuses(404, "notFound"):
            calendar.service.channels().stop(body=body).execute()


def test_a_channel_id_is_used_once(calendar: GoogleCalendar, listener: Listener) -> None:
    channel = watch(calendar, listener)
    with google_refuses(400, "channelIdNotUnique"):
        watch(calendar, listener, id=channel["id"])
    with google_refuses(400, "required"):
        watch(calendar, listener, id="x" * 65)


def test_nothing_is_posted_to_other_machines(calendar: GoogleCalendar, listener: Listener) -> None:
    with google_refuses(400, "push.webhookUrlNotHttps"):
        watch(calendar, listener, address="http://127.0.0.1.example.com/push")


def test_messages_can_be_lost_doubled_late_and_in_another_order(calendar: GoogleCalendar, listener: Listener) -> None:
    control = calendar.control
    watch(calendar, listener)
    listener.wait(1)
    control.push("drop")
    calendar.add()
    control.push("duplicate")
    calendar.add()
    numbers = [number(each) for each in listener.wait(3)]
    assert numbers[1] == numbers[2]
    control.push("reorder")
    calendar.add()
    calendar.add()
    numbers = [number(each) for each in listener.wait(5)]
    assert numbers[3] > numbers[4]
    control.push("delay", seconds=0.3)
    began = time.monotonic()
    calendar.add()
    assert listener.wait(6)[5].at - began >= 0.3


def test_false_messages_can_be_sent(calendar: GoogleCalendar, listener: Listener) -> None:
    channel = watch(calendar, listener)["id"]
    listener.wait(1)
    calendar.control.forge(channel=channel, token="wrong", bytes=100_000)
    calendar.control.forge(channel=channel, channel_id="unknown")
    forged, unknown = listener.wait(3)[1:]
    assert (forged.headers["X-Goog-Channel-Token"], len(forged.body)) == ("wrong", 100_000)
    assert unknown.headers["X-Goog-Channel-ID"] == "unknown"


def test_a_channel_may_end_without_a_word(calendar: GoogleCalendar, listener: Listener) -> None:
    channel, other = watch(calendar, listener)["id"], watch(calendar, listener)["id"]
    listener.wait(2)
    calendar.control.end(channel=channel)
    calendar.add()
    assert [each.headers["X-Goog-Channel-ID"] for each in listener.wait(3)[2:]] == [other]
