"""iCalendar as programs write it, read as it was meant, and written back with nothing changed but what differs."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendar import Capabilities, Event, Override, Point, Status, When
from domain.calendar_form import canonical
from domain.calendar_json import from_json, to_json
from domain.calendar_projection import project
from integrations.calendar.caldav_mapping import read_marker, read_resource, write_marker
from integrations.calendar.caldav_writing import changed_resource, new_resource
from integrations.calendar.ical_lines import Component, Line, Unreadable, parse, written_text
from integrations.calendar.protocol import EventRejected, Marker
from tests.contracts.calendar_samples import VET, at

FOLDER = Path(__file__).parent / "calendar_golden" / "caldav"
FILES = sorted(FOLDER.glob("*.ics"))
KEPT = [file for file in FILES if not file.stem.startswith("refused-")]
REFUSED = [file for file in FILES if file.stem.startswith("refused-")]
ZONE = "Europe/Stockholm"
NOW = datetime(2027, 1, 20, 12, tzinfo=UTC)
MARKER = Marker(UUID("6f1c1a52-0000-4000-8000-000000000001"), "0800", 3)
STAMPS = {"DTSTAMP", "LAST-MODIFIED", "SEQUENCE"}

files = pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)


def expected(file: Path) -> Any:
    return json.loads(file.with_suffix(".json").read_text())


def unfolded(stream: str) -> list[str]:
    return re.sub(r"\r?\n[ \t]", "", stream).splitlines()


@files
def test_a_program_is_understood(file: Path) -> None:
    assert to_json(read_resource(file.read_text(), ZONE).event) == expected(file)


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_what_we_cannot_hold_is_refused_and_not_guessed(file: Path) -> None:
    with pytest.raises(EventRejected) as refused:
        read_resource(file.read_text(), ZONE)
    assert refused.value.problem_code == expected(file)["refused"]


@files
@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_the_ends_of_lines_and_a_byte_order_mark_say_nothing(file: Path, ends: str) -> None:
    stream = "\ufeff" + file.read_text().replace("\n", ends)
    assert read_resource(stream, ZONE).event == from_json(expected(file))


@files
def test_another_title_changes_the_lines_of_the_title_alone(file: Path) -> None:
    resource = read_resource(file.read_text(), ZONE)
    stream = changed_resource(resource, replace(resource.event, title="Something else"), NOW, marker=True)
    before, after = unfolded(file.read_text()), unfolded(stream)
    ours = STAMPS | {"SUMMARY"}
    assert kept(after, ours) == [line for line in kept(before, ours) if line != "METHOD:PUBLISH"]
    assert read_resource(stream, ZONE).event.title == "Something else"


@files
def test_every_field_of_a_program_can_be_changed(file: Path) -> None:
    event = Event(
        "Other",
        When(at("2028-02-01T09:00"), at("2028-02-01T10:00"), "America/New_York", "FREQ=DAILY;COUNT=9"),
        notes="Other",
        location="Other",
        alarms=(5, 60),
        exdates=(at("2028-02-03T09:00"),),
        overrides=(Override(at("2028-02-04T09:00"), at("2028-02-04T11:00"), at("2028-02-04T12:00"), "Late"),),
        status=Status.CANCELLED,
    )
    stream = changed_resource(read_resource(file.read_text(), ZONE), event, NOW, marker=True)
    assert read_resource(stream, ZONE).event == event
    assert "TZID:America/New_York" in unfolded(stream)


def kept(lines: list[str], without: set[str]) -> list[str]:
    """The lines of other properties, but for their order within an event."""
    return sorted(line for line in lines if re.split("[:;]", line)[0] not in without)


def test_an_alarm_that_is_not_ours_rings_on() -> None:
    file = FOLDER / "icloud-series.ics"
    resource = read_resource(file.read_text(), ZONE)
    stream = changed_resource(resource, replace(resource.event, alarms=(45,)), NOW, marker=True)
    lines = unfolded(stream)
    assert {"ACTION:AUDIO", "TRIGGER;VALUE=DATE-TIME:19760401T005545Z", "TRIGGER:-PT45M"} <= set(lines)
    assert "TRIGGER:-PT15M" not in lines
    assert read_resource(stream, ZONE).event.alarms == (45,)


def test_a_new_exception_has_the_guests_and_the_alarms_of_its_series() -> None:
    resource = read_resource((FOLDER / "google-meeting.ics").read_text(), ZONE)
    original = at("2027-05-06T14:00")
    later = Override(original, original + timedelta(hours=1), original + timedelta(hours=2), "Check-up, later")
    stream = changed_resource(resource, replace(resource.event, overrides=(later,)), NOW, marker=True)
    exception = parse(stream).parts("VEVENT")[-1]
    assert len(exception.lines("ATTENDEE")) == 2
    assert len(exception.parts("VALARM")) == 2
    assert not exception.lines("RRULE")
    assert read_resource(stream, ZONE).event.overrides == (later,)


def test_a_changed_exception_leaves_the_others_and_the_rule_as_they_are() -> None:
    """S27."""
    first = at("2027-03-01T17:00")
    half = timedelta(minutes=30)
    one, other = (
        Override(day, day + half, day + 2 * half, f"On day {day.day}") for day in (first, first + timedelta(days=1))
    )
    event = Event(
        "Walk",
        When(first, first + half, "Europe/Berlin", "FREQ=DAILY;COUNT=9"),
        exdates=(first + timedelta(days=2),),
        overrides=(one, other),
    )
    before = new_resource(uuid4(), MARKER, event, NOW)
    changed = replace(event, overrides=(one, replace(other, title="Changed")))
    after = changed_resource(read_resource(before, ZONE), changed, NOW, marker=True)
    old, new = parse(before).parts("VEVENT"), parse(after).parts("VEVENT")
    assert new[1] == old[1]
    assert new[0].lines("EXDATE") == old[0].lines("EXDATE")
    assert new[0].lines("RRULE") == old[0].lines("RRULE")
    assert read_resource(after, ZONE).event == changed


def test_a_taken_off_marker_is_on_no_exception_either() -> None:
    start = at("2027-03-01T17:00")
    override = Override(start, start, start + timedelta(hours=2), "Long")
    event = Event("Walk", When(start, start + timedelta(hours=1), "Europe/Berlin", "FREQ=DAILY"), overrides=(override,))
    stream = new_resource(uuid4(), MARKER, event, NOW)
    assert stream.count("X-PETFOLIO-ID") == 2
    assert "X-PETFOLIO-ID" not in changed_resource(read_resource(stream, ZONE), event, NOW, marker=False)


@pytest.mark.parametrize("part", ["", "0800", "a|b", "ü;,\\"])
def test_a_marker_is_read_as_it_was_written(part: str) -> None:
    marker = replace(MARKER, part=part)
    assert read_marker(write_marker(marker)) == marker


@pytest.mark.parametrize("text", ["", "x", "||", "6f1c1a52-0000-4000-8000-000000000001", "nobody|0800|3", "|0800|x"])
def test_what_is_no_marker_is_not_ours(text: str) -> None:
    assert read_marker(text) is None


@pytest.mark.parametrize(
    "stream",
    [
        "",
        "BEGIN:VCALENDAR",
        "END:VCALENDAR",
        "BEGIN:VCALENDAR\nEND:VEVENT\n",
        "BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VCALENDAR\nEND:VCALENDAR\n",
        "BEGIN:A\n" * 5_000,
        "<html></html>",
        ":" * 100_000,
        "\n" * 200_000,
        "BEGIN:VCALENDAR\n" + "x" * 500_000 + "\nEND:VCALENDAR\n",
    ],
    ids=range(10),
)
def test_no_stream_is_more_than_unreadable(stream: str) -> None:
    with pytest.raises(EventRejected):
        read_resource(stream, ZONE)


def test_a_refusal_says_nothing_of_what_is_written() -> None:
    stream = (
        (FOLDER / "icloud-series.ics").read_text().replace("DTSTART;TZID=Europe/Berlin:2", "DTSTART;TZID=Secret:x2")
    )
    with pytest.raises(EventRejected) as refused:
        read_resource(stream, ZONE)
    shown = [str(refused.value), str(refused.value.__cause__), str(refused.value.detail)]
    assert refused.value.__suppress_context__
    assert not any("Secret" in each for each in shown)


def lines_of_a_stream() -> st.SearchStrategy[list[tuple[str, str, str]]]:
    known = "BEGIN END DTSTART DTEND DURATION RRULE EXDATE RECURRENCE-ID SUMMARY TRIGGER STATUS UID SEQUENCE ACTION"
    names = st.sampled_from([*known.split(), "X-PETFOLIO-ID"])
    values = st.sampled_from("VCALENDAR VEVENT VALARM 20270310T080000Z 20270310 -PT5M FREQ=DAILY P1D DISPLAY".split())
    parameters = st.sampled_from(["", ";VALUE=DATE", ";TZID=Europe/Berlin", ';X="', ";X"])
    return st.lists(st.tuples(names, parameters, values | st.text()))


@settings(max_examples=400)
@given(lines_of_a_stream())
def test_any_lines_are_an_event_or_refused(lines: list[tuple[str, str, str]]) -> None:
    body = "".join(f"{name}{parameter}:{value}\r\n" for name, parameter, value in lines)
    stream = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20270310T080000Z\r\n{body}END:VEVENT\r\nEND:VCALENDAR\r\n"
    after = replace(VET, title="Other")
    try:
        resource = read_resource(stream, ZONE)
        assert (resource.marker, resource.ident) == (None, None)
        stream = changed_resource(resource, after, NOW, marker=False)
    except EventRejected:
        return
    assert read_resource(stream, ZONE).event == after


words = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=200)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
moments = st.datetimes(at("2026-01-01T00:00"), at("2036-01-01T00:00")).map(lambda each: each.replace(microsecond=0))
rules = st.sampled_from(
    "FREQ=DAILY|FREQ=DAILY;COUNT=5|FREQ=WEEKLY;BYDAY=MO,SU|FREQ=MONTHLY;BYDAY=-1FR|FREQ=YEARLY;UNTIL=20400101".split(
        "|"
    )
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    whole_days, tzid = draw(st.booleans()), draw(zones)
    moment = draw(moments)
    start: Point = moment.date() if whole_days else moment

    def after(point: Point) -> Point:
        return (
            point + timedelta(days=draw(st.integers(1, 5)))
            if whole_days
            else point + timedelta(minutes=draw(st.integers(0, 3_000)))
        )

    def an_override(days: int) -> Override:
        original = start + timedelta(days=days)
        moved = original + timedelta(days=draw(st.integers(-3, 3)))
        return Override(original, moved, after(moved), draw(words), draw(words), draw(words))

    days = draw(st.sets(st.integers(0, 20), max_size=4))
    rrule = draw(st.none() | rules)
    return canonical(
        Event(
            draw(words),
            When(start, after(start), None if whole_days else tzid, rrule),
            draw(words),
            draw(words),
            tuple(draw(st.sets(st.integers(0, 40_320), max_size=3))),
            tuple(start + timedelta(days=day) for day in days if day % 2),
            tuple(an_override(day) for day in days if not day % 2),
            draw(st.sampled_from(Status)),
        )
    )


EVERYTHING = Capabilities()


@settings(max_examples=300)
@given(events())
def test_reading_gives_back_what_was_written(event: Event) -> None:
    name = uuid4()
    resource = read_resource(new_resource(name, MARKER, project(event, EVERYTHING), NOW), "UTC")
    assert (resource.event, resource.marker, resource.ident) == (project(event, EVERYTHING), MARKER, name)
    assert resource.updated_at == NOW


@settings(max_examples=300)
@given(events(), events())
def test_any_event_can_become_any_other(before: Event, after: Event) -> None:
    resource = read_resource(new_resource(uuid4(), MARKER, project(before, EVERYTHING), NOW), "UTC")
    changed = changed_resource(resource, project(after, EVERYTHING), NOW, marker=True)
    assert read_resource(changed, "UTC").event == project(after, EVERYTHING)


@settings(max_examples=100)
@given(events(), st.sampled_from(KEPT))
def test_any_event_can_become_of_a_programs(event: Event, file: Path) -> None:
    resource = read_resource(file.read_text(), ZONE)
    changed = changed_resource(resource, project(event, EVERYTHING), NOW, marker=True)
    assert read_resource(changed, ZONE).event == project(event, EVERYTHING)


def test_a_line_is_put_where_its_like_was() -> None:
    event = parse("BEGIN:A\nX:1\nY:2\nX:3\nBEGIN:B\nEND:B\nEND:A\n")
    event.put("X", Line("X:4"), Line("X:5"))
    event.put("Z", Line("Z:6"))
    event.put("Y")
    assert [each.written if isinstance(each, Line) else each.name for each in event.content] == [
        "X:4",
        "X:5",
        "Z:6",
        "B",
    ]


@pytest.mark.parametrize("text", ["", "a;b,c\\d", "line\nline", "ß" * 200, "\\n", "a\x00\x0bb"])
def test_text_comes_back(text: str) -> None:
    stream = Component("A", [written_text("X", text)]).to_ical()
    assert all(len(line.encode()) <= 75 for line in stream.split("\r\n"))
    line = parse(stream).first("X")
    assert line is not None
    assert line.text == re.sub(r"[\x00\x0b]", "", text)


def test_a_line_without_a_name_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        parse("BEGIN:A\n;x\nEND:A\n")


def test_the_end_of_time_is_no_accident() -> None:
    stream = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:99991231T235959Z\nDURATION:P9W\nEND:VEVENT\nEND:VCALENDAR\n"
    with pytest.raises(EventRejected):
        read_resource(stream, ZONE)
    days = stream.replace("DTSTART:99991231T235959Z", "DTSTART;VALUE=DATE:99991231").replace("DURATION:P9W\n", "")
    with pytest.raises(EventRejected):
        read_resource(days, ZONE)
