"""What a side can hold, and how what it says is read over what it cannot."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendar import ALL_FIELDS, Capabilities, Event, Field, Override, Status, When
from domain.calendar_json import from_json, to_json, value_from_json, value_to_json
from domain.calendar_projection import changed, lift, project, shows
from domain.reminder_event import MOVABLE, UNMOVABLE
from integrations.calendar.google_mapping import GOOGLE
from integrations.calendar.microsoft_mapping import MICROSOFT
from tests.conftest import EXPLORE
from tests.contracts.calendar_strategies import events

START = datetime(2026, 12, 3, 9)
VET = Event("Vet: Milo", When(START, START + timedelta(hours=1), "Europe/Vienna"), alarms=(60, 10, 1440))
SIDES = {
    "everything": Capabilities(),
    "google": GOOGLE,
    "microsoft": MICROSOFT,
    "movable": MOVABLE,
    "unmovable": UNMOVABLE,
    "short": Capabilities(title_length=3, notes_length=5, location_length=2, alarms=2),
    "no-exceptions": Capabilities(fields=ALL_FIELDS - {Field.EXDATES, Field.OVERRIDES}),
}
few = settings(max_examples=2_000 if EXPLORE else 40, deadline=None)
each_side = pytest.mark.parametrize("side", SIDES.values(), ids=SIDES)


@each_side
@few
@given(base=events(), other=events())
def test_the_laws_of_every_side(side: Capabilities, base: Event, other: Event) -> None:
    """calendar-sync.md §4.1."""
    assert lift(project(base, side), base, side) == base
    said = project(other, side)
    assert project(said, side) == said
    assert project(lift(said, base, side), side) == said


@each_side
@few
@given(base=events(), other=events())
def test_a_server_s_own_way_with_what_it_was_given_is_no_change(side: Capabilities, base: Event, other: Event) -> None:
    """Whatever it has made of it: as long as it says the same, nothing has changed."""
    seen = project(other, side)
    assert lift(seen, base, side, seen) == base


def test_alarms_for_which_there_is_no_room_stay_behind() -> None:
    side = Capabilities(alarms=1)
    assert project(VET, side).alarms == (60,)
    assert lift(replace(project(VET, side), alarms=(30,)), VET, side).alarms == (30, 10, 1440)
    assert lift(replace(project(VET, side), alarms=()), VET, side).alarms == ()


def test_a_zone_that_is_given_back_by_another_name_keeps_its_own() -> None:
    side = Capabilities(zones={"Europe/Vienna": "Europe/Berlin"})
    shown = project(VET, side)
    assert shown.when.tzid == "Europe/Berlin"
    later = replace(shown, when=replace(shown.when, start=START + timedelta(minutes=5)))
    assert lift(later, VET, side).when.tzid == "Europe/Vienna"
    elsewhere = replace(shown, when=replace(shown.when, tzid="America/New_York"))
    assert lift(elsewhere, VET, side).when.tzid == "America/New_York"


def test_an_exception_whose_words_were_cut_keeps_them_beside_one_that_was_edited() -> None:
    side = Capabilities(title_length=3)
    points = [START + timedelta(weeks=week) for week in (1, 2)]
    overrides = tuple(Override(each, each, each + timedelta(hours=2), "A long title") for each in points)
    series = replace(VET, when=replace(VET.when, rrule="FREQ=WEEKLY"), overrides=overrides)
    shown = project(series, side)
    assert {each.title for each in shown.overrides} == {"A l"}
    edited = replace(shown.overrides[1], title="New")
    found = lift(replace(shown, overrides=(shown.overrides[0], edited)), series, side)
    assert [each.title for each in found.overrides] == ["A long title", "New"]


def test_what_does_not_take_place_is_not_there_where_that_cannot_be_said() -> None:
    cancelled = replace(VET, status=Status.CANCELLED)
    assert shows(cancelled, Capabilities())
    assert not shows(cancelled, Capabilities(statuses=frozenset({Status.CONFIRMED})))
    assert shows(VET, Capabilities(statuses=frozenset({Status.CONFIRMED})))


def test_a_change_that_a_side_cannot_see_is_none_to_it() -> None:
    side = Capabilities(title_length=3)
    assert changed(VET, replace(VET, title="Veterinary")) == {Field.TITLE}
    assert changed(replace(VET, title="Vet"), replace(VET, title="Veterinary"), side) == frozenset()


@given(events())
def test_events_come_back_from_json_as_they_were(event: Event) -> None:
    assert from_json(to_json(event)) == event


@given(events(), st.sampled_from(Field))
def test_values_of_fields_come_back_from_json_as_they_were(event: Event, name: Field) -> None:
    value = getattr(event, name)
    for each in value if name is Field.OVERRIDES else (value,):
        assert value_from_json(name, value_to_json(each)) == each
    assert value_from_json(name, None) is None
