"""Two edits of one event: what each field becomes, and what is lost."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import Event, Field, Override, Status, When
from domain.calendar_merge import RULE_LINE, Side, follow, merge
from domain.line_merge import merge_lines

NOW = datetime(2026, 11, 1, 12)
START = datetime(2026, 12, 3, 9)
WEEK = timedelta(weeks=1)
BASE = Event("Vet", When(START, START + timedelta(hours=1), "Europe/Berlin"), notes="one\ntwo\nthree", alarms=(60,))
SERIES = replace(BASE, when=replace(BASE.when, rrule="FREQ=WEEKLY;COUNT=10"))


def later(week: int, title: str = "Late", hours: int = 2) -> Override:
    original = START + week * WEEK
    return Override(original, original + timedelta(hours=hours), original + timedelta(hours=hours + 1), title)


def merged(local: Event, remote: Event, base: Event | None = BASE, side: Side = Side.LOCAL) -> tuple[Event, list[Any]]:
    found = merge(base, local, remote, later=side, now=NOW)
    return found.event, [(each.field, each.winner) for each in found.conflicts]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Groomer"},
        {"notes": "one"},
        {"location": "Main Street 1"},
        {"alarms": (10, 60)},
        {"status": Status.TENTATIVE},
        {"when": replace(BASE.when, tzid="America/New_York")},
    ],
)
def test_what_one_side_changed_is_taken_from_it(change: dict[str, Any]) -> None:
    edited = replace(BASE, **change)
    assert merged(edited, BASE) == (edited, [])
    assert merged(BASE, edited) == (edited, [])
    assert merged(edited, edited) == (edited, [])


@pytest.mark.parametrize(("side", "title"), [(Side.LOCAL, "Ours"), (Side.REMOTE, "Theirs")])
def test_of_two_values_the_later_one_stands(side: Side, title: str) -> None:
    event, conflicts = merged(replace(BASE, title="Ours"), replace(BASE, title="Theirs"), side=side)
    assert (event.title, conflicts) == (title, [(Field.TITLE, side)])


def test_without_a_base_every_field_that_differs_is_a_conflict() -> None:
    event, conflicts = merged(BASE, replace(BASE, title="Theirs", alarms=(5,)), base=None, side=Side.REMOTE)
    assert (event.title, event.alarms) == ("Theirs", (5,))
    assert conflicts == [(Field.TITLE, Side.REMOTE), (Field.ALARMS, Side.REMOTE)]


def test_start_and_end_come_from_one_side() -> None:
    ours = replace(BASE, when=replace(BASE.when, start=START + timedelta(hours=5), end=START + timedelta(hours=6)))
    theirs = replace(BASE, when=replace(BASE.when, end=START + timedelta(minutes=5)))
    event, conflicts = merged(ours, theirs)
    assert (event.when, conflicts) == (ours.when, [(Field.WHEN, Side.LOCAL)])


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ("zero\none\ntwo\nthree", "one\ntwo\nthree\nfour", "zero\none\ntwo\nthree\nfour"),
        ("ONE\ntwo\nthree", "one\ntwo\nTHREE", "ONE\ntwo\nTHREE"),
        ("two\nthree", "one\ntwo", "two"),
        ("one\n2\nthree", "one\n2\nthree", "one\n2\nthree"),
    ],
)
def test_lines_that_do_not_touch_are_merged(ours: str, theirs: str, both: str) -> None:
    assert merged(replace(BASE, notes=ours), replace(BASE, notes=theirs)) == (replace(BASE, notes=both), [])


def test_of_notes_that_cannot_be_merged_both_are_kept_once() -> None:
    ours, theirs = replace(BASE, notes="ours"), replace(BASE, notes="theirs")
    event, conflicts = merged(ours, theirs)
    assert (event.notes, conflicts) == (f"ours{RULE_LINE}theirs", [(Field.NOTES, Side.BOTH)])
    assert merged(ours, event) == (event, [])


@given(st.text("ab\n", max_size=12), st.text("ab\n", max_size=12), st.text("ab\n", max_size=12))
def test_a_merge_of_lines_keeps_the_edit_of_one_side_and_does_not_depend_on_the_order(
    base: str, ours: str, theirs: str
) -> None:
    assert merge_lines(base, ours, base) == ours == merge_lines(base, base, ours)
    assert merge_lines(base, ours, ours) == ours
    assert merge_lines(base, ours, theirs) == merge_lines(base, theirs, ours)


def test_alarms_are_a_set_whose_first_one_counts() -> None:
    base = replace(BASE, alarms=(60, 1440))
    event, conflicts = merged(replace(base, alarms=(60, 1440, 5)), replace(base, alarms=(30, 1440)), base)
    assert (event.alarms, conflicts) == ((30, 1440, 5), [])
    assert merged(replace(base, alarms=(10, 60, 1440)), replace(base, alarms=(60,)), base)[0].alarms == (10, 60)


@pytest.mark.parametrize(("hours", "status"), [(24, Status.CONFIRMED), (-24 * 365, Status.CANCELLED)])
def test_what_is_cancelled_stays_so_unless_it_was_moved_to_the_future(hours: int, status: Status) -> None:
    moved = replace(BASE.when, start=START + timedelta(hours=hours), end=START + timedelta(hours=hours + 1))
    cancelled, moved_event = replace(BASE, status=Status.CANCELLED), replace(BASE, when=moved)
    for local, remote in ((cancelled, moved_event), (moved_event, cancelled)):
        event, _ = merged(local, remote)
        assert (event.status, event.when) == (status, moved)


def test_exceptions_are_merged_one_by_one() -> None:
    base = replace(SERIES, overrides=(later(1), later(2), later(3)), exdates=(START + 5 * WEEK,))
    local = replace(
        base, overrides=(later(1, "Ours"), later(2), later(3)), exdates=(START + 5 * WEEK, START + 6 * WEEK)
    )
    remote = replace(base, overrides=(later(1), later(3, "Theirs")), exdates=())
    event, conflicts = merged(local, remote, base)
    assert event.overrides == (later(1, "Ours"), later(3, "Theirs"))
    assert (event.exdates, conflicts) == ((START + 6 * WEEK,), [])


def test_of_two_edits_of_one_exception_the_later_one_stands() -> None:
    base = replace(SERIES, overrides=(later(1),))
    ours, theirs = (replace(base, overrides=(later(1, title),)) for title in ("Ours", "Theirs"))
    found = merge(base, ours, theirs, later=Side.REMOTE, now=NOW)
    assert found.event.overrides == (later(1, "Theirs"),)
    (conflict,) = found.conflicts
    assert (conflict.field, conflict.original, conflict.base, conflict.local, conflict.remote) == (
        *(Field.OVERRIDES, START + WEEK),
        *(later(1), later(1, "Ours"), later(1, "Theirs")),
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_an_edited_occurrence_that_the_other_side_left_out_stays(swapped: bool) -> None:
    left_out, edited = replace(SERIES, exdates=(START + WEEK,)), replace(SERIES, overrides=(later(1),))
    event, _ = merged(edited, left_out, SERIES) if swapped else merged(left_out, edited, SERIES)
    assert (event.overrides, event.exdates) == ((later(1),), ())


@pytest.mark.parametrize("swapped", [False, True])
def test_an_old_exception_that_one_side_leaves_out_goes(swapped: bool) -> None:
    base = replace(SERIES, overrides=(later(1),))
    left_out = replace(SERIES, exdates=(START + WEEK,))
    event, _ = merged(base, left_out, base) if swapped else merged(left_out, base, base)
    assert (event.overrides, event.exdates) == ((), (START + WEEK,))


@pytest.mark.parametrize("swapped", [False, True])
def test_a_series_that_one_side_moved_takes_the_exceptions_of_the_other_along(swapped: bool) -> None:
    by = timedelta(days=1, hours=2)
    base = replace(SERIES, exdates=(START + 4 * WEEK,))
    moved = follow(replace(base, when=replace(base.when, start=START + by, end=base.when.end + by)), base.when)
    moved = replace(moved, exdates=(START + 4 * WEEK + by,))
    edited = replace(base, overrides=(later(1),), exdates=(START + 4 * WEEK, START + 5 * WEEK))
    event, conflicts = merged(edited, moved, base) if swapped else merged(moved, edited, base)
    assert event.when == moved.when
    assert [each.original for each in event.overrides] == [START + WEEK + by]
    assert event.overrides[0].start == later(1).start
    assert (event.exdates, conflicts) == ((START + 4 * WEEK + by, START + 5 * WEEK + by), [])


def test_an_occurrence_that_differs_in_words_alone_stays_with_its_series() -> None:
    reworded, moved = later(1, hours=0), later(2)
    event = replace(SERIES, overrides=(reworded, moved))
    by = timedelta(hours=3)
    found = follow(event, replace(event.when, start=START + by, end=event.when.end + by)).overrides
    assert [(each.original, each.start) for each in found] == [
        (reworded.original + by, reworded.start + by),
        (moved.original + by, moved.start),
    ]


def test_exceptions_do_not_follow_to_another_rule() -> None:
    event = replace(SERIES, overrides=(later(1),), exdates=(START + 2 * WEEK,))
    assert follow(event, event.when) == event
    for rrule in ("FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2", None):
        other = follow(event, replace(event.when, rrule=rrule))
        assert (other.overrides, other.exdates) == ((), ())


@pytest.mark.parametrize("swapped", [False, True])
def test_an_edited_occurrence_that_the_other_side_s_rule_has_no_more_is_dropped(swapped: bool) -> None:
    """A ghost would stay on the side whose server keeps what no rule names."""
    base = replace(SERIES, when=replace(SERIES.when, rrule="FREQ=WEEKLY;COUNT=10;BYDAY=MO,TH"))
    monday = Override(START + timedelta(days=4), START + timedelta(days=4), START + timedelta(days=5), "Monday")
    edited = replace(base, overrides=(later(1), monday), exdates=(START + timedelta(days=11),))
    thursdays = replace(base, when=replace(base.when, rrule="FREQ=WEEKLY;COUNT=10"))
    event, _ = merged(edited, thursdays, base) if swapped else merged(thursdays, edited, base)
    assert (event.when, event.overrides, event.exdates) == (thursdays.when, (later(1),), ())


def test_exceptions_stay_where_only_the_end_of_the_series_changed() -> None:
    event = replace(SERIES, overrides=(later(1),))
    assert follow(event, replace(event.when, rrule="FREQ=WEEKLY;COUNT=4")) == event


@given(st.lists(st.sampled_from(["title", "notes", "location"]), unique=True), st.booleans())
def test_disjoint_edits_all_survive(fields: list[str], swapped: bool) -> None:
    ours = replace(BASE, **{name: f"{name} here" for name in fields})
    theirs = replace(BASE, **{name: f"{name} there" for name in ("title", "notes", "location") if name not in fields})
    event, conflicts = merged(theirs, ours) if swapped else merged(ours, theirs)
    assert conflicts == []
    assert {name: getattr(event, name).split()[-1] for name in ("title", "notes", "location")} == {
        name: "here" if name in fields else "there" for name in ("title", "notes", "location")
    }
