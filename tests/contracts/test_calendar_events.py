"""What an event is, every calendar provider holds: written and read it is the same, whoever wrote it."""

from dataclasses import replace

import pytest

from domain.calendar import Event
from domain.calendar_projection import project
from tests.contracts.calendar_backends import Backend, Can, everything, seen
from tests.contracts.calendar_samples import SAMPLES, VET, WEEKLY, at, moved, timed
from tests.contracts.test_calendar_providers import created, needs

samples = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)


@samples
async def test_an_event_comes_back_as_it_was_created(backend: Backend, sample: Event) -> None:
    made = await created(backend, sample)
    expected = project(sample, backend.provider.capabilities)
    assert made.event == expected
    assert (await seen(backend, made.remote_id)).event == expected


@samples
async def test_an_event_becomes_another_and_itself_again(backend: Backend, sample: Event) -> None:
    made = await created(backend)
    done = await backend.provider.update(backend.calendar_id, made, sample)
    expected = project(sample, backend.provider.capabilities)
    assert (await seen(backend, made.remote_id)).event == expected == done.event
    await backend.provider.update(backend.calendar_id, done, VET)
    assert {key: each.event for key, each in (await everything(backend)).items()} == {made.remote_id: VET}


@samples
async def test_an_event_of_a_person_is_read_as_it_was_meant(backend: Backend, sample: Event) -> None:
    expected = project(sample, backend.provider.capabilities)
    remote_id = await backend.add(sample)
    assert (await everything(backend))[remote_id].event == expected


@needs(Can.ALARMS)
async def test_several_alarms_are_kept(backend: Backend) -> None:
    made = await created(backend, replace(VET, alarms=(0, 15, 1440)))
    assert sorted((await seen(backend, made.remote_id)).event.alarms) == [0, 15, 1440]


@needs(Can.MANGLE)
async def test_texts_that_a_server_writes_differently_are_the_same_texts(backend: Backend) -> None:
    await backend.mangle()
    for event in (VET, WEEKLY):
        made = await created(backend, event)
        assert (await seen(backend, made.remote_id)).event == event


async def test_a_changed_occurrence_leaves_the_others_alone(backend: Backend) -> None:
    made = await created(backend, WEEKLY)
    one, other = WEEKLY.overrides
    changed = replace(WEEKLY, overrides=(one, replace(other, title="Training with Bo and Mo")))
    await backend.provider.update(backend.calendar_id, made, changed)
    assert (await seen(backend, made.remote_id)).event == changed


async def test_an_occurrence_that_a_person_changed_comes_with_its_series(backend: Backend) -> None:
    made = await created(backend, WEEKLY)
    theirs = replace(
        WEEKLY,
        exdates=(*WEEKLY.exdates[:1], at("2027-03-15T17:00"), *WEEKLY.exdates[1:]),
        overrides=(*WEEKLY.overrides, moved("2027-03-18T17:00", "2027-03-19T08:00", "Training, early")),
    )
    await backend.edit(made.remote_id, theirs)
    assert (await seen(backend, made.remote_id)).event == theirs


async def test_a_series_moves_with_its_exceptions(backend: Backend) -> None:
    made = await created(backend, WEEKLY)
    later = Event(
        WEEKLY.title,
        timed("2027-03-01T18:30", rrule="FREQ=WEEKLY;COUNT=20;BYDAY=MO,TH"),
        exdates=(at("2027-03-08T18:30"),),
        overrides=(moved("2027-03-04T18:30", "2027-03-05T18:00", "Training, later"),),
    )
    await backend.provider.update(backend.calendar_id, made, later)
    assert (await seen(backend, made.remote_id)).event == later


async def test_a_series_becomes_a_single_event(backend: Backend) -> None:
    made = await created(backend, WEEKLY)
    done = await backend.provider.update(backend.calendar_id, made, VET)
    assert done.event == VET
    assert (await everything(backend))[made.remote_id].event == VET
