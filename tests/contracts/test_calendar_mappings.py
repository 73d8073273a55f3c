"""Google's and Graph's documents: what was written is what is read, and what others wrote is read as it was meant."""

import html
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendar import Event, Point
from domain.calendar_form import canonical, text
from domain.calendar_json import from_json
from domain.recurrence import resolve
from integrations.calendar import google_mapping, microsoft_mapping
from integrations.calendar.errors import UNSUPPORTED_RECURRENCE
from integrations.calendar.html_text import as_html, is_html, text_of
from integrations.calendar.protocol import EventRejected, Marker, RemoteEvent
from integrations.calendar.zones import iana, same_clock
from tests.contracts.calendar_samples import VET, WEEKLY, at, timed
from tests.contracts.calendar_strategies import events, notes

GOLDEN = Path(__file__).parent / "calendar_golden"
NAME, MARKER = UUID("d3a0b53e-c1f2-5c1b-a7f0-2f4be2f3c5a1"), Marker(uuid4(), "0800", 7)
READERS: dict[str, Callable[[str], RemoteEvent]] = {"google": google_mapping.read, "microsoft": microsoft_mapping.read}
DOCUMENTS = sorted(path for vendor in READERS for path in (GOLDEN / vendor).glob("*.json"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_document_is_read_as_it_was_meant(path: Path) -> None:
    golden = json.loads(path.read_text())
    found = READERS[path.parent.name](json.dumps(golden["document"]))
    assert found.event == from_json(golden["event"])
    assert canonical(found.event) == found.event
    marker = golden.get("marker")
    assert found.marker == (Marker(UUID(marker[0]), *marker[1:]) if marker else None)
    assert str(found.ident) == golden.get("ident", str(found.ident))
    assert found.updated_at is not None
    assert found.updated_at.replace(microsecond=0) == datetime(2027, 1, 3, 11, 12, 13, tzinfo=UTC)


@given(events())
@settings(max_examples=300, deadline=None)
def test_google_gives_back_what_was_written(event: Event) -> None:
    found = google_mapping.read(at_google(event))
    assert (found.event, found.marker, found.ident) == (event, MARKER, NAME)


@given(events(alarms=1))
@settings(max_examples=300, deadline=None)
def test_graph_gives_back_what_was_written(event: Event) -> None:
    found = microsoft_mapping.read(at_graph(event))
    assert (found.event, found.marker, found.ident) == (event, MARKER, NAME)


@given(events(), events())
@settings(max_examples=150, deadline=None)
def test_a_patch_at_google_says_what_differs_and_only_that(before: Event, after: Event) -> None:
    known = google_mapping.read(at_google(before))
    assert google_mapping.patch(known, before) == {}
    body = google_mapping.patch(known, replace(before, title=after.title))
    assert body == ({"summary": after.title} if after.title != before.title else {})
    moved = google_mapping.patch(known, replace(before, when=after.when, exdates=(), overrides=()))
    assert {"start", "end"} <= moved.keys() or after.when == before.when


@given(st.uuids())
def test_an_id_at_google_tells_the_name_it_was_made_of(name: UUID) -> None:
    made = google_mapping.event_id(name)
    assert len(made) == 26
    assert set(made) <= set("0123456789abcdefghijklmnopqrstuv")
    assert google_mapping.name_of(made) == name


@pytest.mark.parametrize("identifier", ["", "abc", "k" * 26 + "_20270304T160000Z", "z" * 26, "v" * 26, "é" * 26])
def test_an_id_of_other_origin_tells_no_name(identifier: str) -> None:
    assert google_mapping.name_of(identifier) is None


@given(st.builds(Marker, st.uuids(), st.text(max_size=200), st.integers(0, 10**9)))
def test_a_marker_fits_into_what_google_keeps_whole(marker: Marker) -> None:
    private = google_mapping.new(NAME, marker, VET)["extendedProperties"]["private"]
    assert all(len(key) <= 44 and len(value) <= 1_024 for key, value in private.items())


def test_mails_stay_mails_when_an_alarm_is_added() -> None:
    document = json.loads(at_google(replace(VET, alarms=(60,))))
    document["event"]["reminders"]["overrides"] = [{"method": "email", "minutes": 60}]
    known = google_mapping.read(json.dumps(document))
    body = google_mapping.patch(known, replace(VET, alarms=(10, 60)))
    assert body["reminders"]["overrides"] == [{"method": "email", "minutes": 60}, {"method": "popup", "minutes": 10}]


def test_from_times_to_whole_days_google_is_told_what_to_forget() -> None:
    known = google_mapping.read(at_google(VET))
    days = replace(WEEKLY.when, start=at("2027-03-01").date(), end=at("2027-03-02").date(), tzid=None, rrule=None)
    assert google_mapping.patch(known, replace(VET, when=days))["start"] == {
        "date": "2027-03-01",
        "dateTime": None,
        "timeZone": None,
    }


@pytest.mark.parametrize(
    "lines",
    [
        ["RDATE:20270301T160000Z"],
        ["RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"],
        ["RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"],
        ["EXDATE:20270301T160000Z"],
        ["RRULE:nonsense"],
    ],
)
def test_a_series_that_cannot_be_held_is_refused_and_not_rounded(lines: list[str]) -> None:
    document = json.loads(at_google(WEEKLY))
    document["event"]["recurrence"] = lines
    with pytest.raises(EventRejected) as refused:
        google_mapping.read(json.dumps(document))
    assert refused.value.problem_code == UNSUPPORTED_RECURRENCE


def test_a_series_on_a_clock_that_nobody_knows_is_refused() -> None:
    document = json.loads(at_graph(WEEKLY))
    document["recurrence"]["range"]["recurrenceTimeZone"] = "tzone://Microsoft/Custom"
    with pytest.raises(EventRejected):
        microsoft_mapping.read(json.dumps(document))


def test_a_zone_is_kept_under_our_name_until_another_clock_is_meant() -> None:
    event = replace(VET, when=timed("2027-03-02T09:30", "Europe/Vienna"))
    document = json.loads(at_graph(event))
    document["originalStartTimeZone"] = "W. Europe Standard Time"
    assert microsoft_mapping.read(json.dumps(document)).event == event
    document["originalStartTimeZone"] = "GMT Standard Time"
    assert microsoft_mapping.read(json.dumps(document)).event.when == timed("2027-03-02T08:30", "Europe/London")


def test_windows_names_are_zones_and_others_are_none() -> None:
    assert iana("Romance Standard Time") == "Europe/Paris"
    assert iana("Europe/Vienna") == "Europe/Vienna"
    assert iana("UTC") == iana("tzone://Microsoft/Utc") == "UTC"
    assert iana("tzone://Microsoft/Custom") is iana("Nowhere/Land") is iana(None) is iana("") is None
    assert same_clock("Europe/Vienna", "Europe/Berlin", 2027)
    assert not same_clock("Europe/London", "Europe/Berlin", 2027)


@given(notes)
@settings(max_examples=300)
def test_a_text_that_looks_like_html_is_read_as_it_was_written(said: str) -> None:
    for each in (said, f"<b>{said}</b> & {said}", f"&amp; {said}"):
        written = as_html(each)
        assert (text_of(written, preformatted=True) if is_html(written) else written) == each


@given(notes)
def test_a_body_that_exchange_made_html_of_is_the_text_it_was(said: str) -> None:
    lines = (
        html.escape(f"\n{said}", quote=False)
        .replace("  ", " &nbsp;")
        .replace("\n ", "\n&nbsp;")
        .replace("\n", "<br>\r\n")
    )
    page = f'<html><head><style>p {{}}</style></head>\r\n<body><div class="PlainText">{lines}</div></body></html>'
    assert text(text_of(page)) == said


def test_no_vendor_s_package_is_loaded_by_what_needs_none_of_them() -> None:
    ours = (
        "errors",
        "google_mapping",
        "microsoft_mapping",
        "graph_recurrence",
        "html_text",
        "oauth",
        "protocol",
        "zones",
    )
    loads = "; ".join(f"import integrations.calendar.{each}" for each in ours)
    check = "print([each for each in ('googleapiclient', 'httplib2', 'msgraph', 'kiota_http') if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"import sys; {loads}; {check}"], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


def at_google(event: Event) -> str:
    """The event as Google has it after it was written."""
    item = google_mapping.new(NAME, MARKER, event)
    about = {"etag": '"1"', "iCalUID": f"{item['id']}@google.com", "updated": "2027-01-03T11:12:13.000Z"}
    exceptions = [
        {
            **google_mapping.occurrence(each, event.when.tzid),
            "id": google_mapping.instance_id(item["id"], each.original, event.when.tzid),
            "recurringEventId": item["id"],
            "originalStartTime": original_time(each.original, event.when.tzid),
        }
        for each in event.overrides
    ]
    return google_mapping.document({**item, **about}, exceptions)


def original_time(point: Point, tzid: str | None) -> dict[str, Any]:
    """As Google says where the rule puts an occurrence."""
    if not isinstance(point, datetime):
        return {"date": point.isoformat()}
    return {"dateTime": resolve(point, tzid or "UTC").isoformat(), "timeZone": tzid}


def at_graph(event: Event) -> str:
    """The event as Graph has it after it was written: in UTC, with CRLF."""
    item = microsoft_mapping.new(NAME, MARKER, event, "attempt")
    zone = item["start"]["timeZone"]
    exceptions = []
    for each in event.overrides:
        plain = replace(each, title="", notes="-", location="-", start=each.start.replace(year=1999))
        body = {"location": {"displayName": ""}, **microsoft_mapping.occurrence(plain, each, event.when.tzid)}
        about = {"id": f"x{each.original}", "occurrenceId": f"OID.x.{each.original:%Y-%m-%d}"}
        if isinstance(each.original, datetime):
            about["originalStart"] = resolve(each.original, zone).isoformat()
        exceptions.append({**in_utc(body), **about, "isAllDay": event.when.all_day})
    about = {"@odata.etag": 'W/"1"', "id": "AAk", "originalStartTimeZone": zone, "exceptionOccurrences": exceptions}
    about["cancelledOccurrences"] = [f"OID.x.{each:%Y-%m-%d}" for each in event.exdates]
    return microsoft_mapping.document({**in_utc(item), **about})


def in_utc(item: dict[str, Any]) -> dict[str, Any]:
    """Times and lines as Graph writes them."""
    shown = dict(item)
    for name in ("start", "end"):
        moment = resolve(datetime.fromisoformat(item[name]["dateTime"]), item[name]["timeZone"])
        shown[name] = {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"}
    if "body" in item:
        shown["body"] = {"contentType": "text", "content": item["body"]["content"].replace("\n", "\r\n")}
    return shown
