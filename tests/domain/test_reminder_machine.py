"""What people do to a reminder: complete, skip, undo, snooze, acknowledge, edit, pause, resume, delete."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.errors import Invalid
from domain.reminder_actions import (
    Acknowledge,
    AlreadyClosed,
    Complete,
    End,
    NotDue,
    Pause,
    Reschedule,
    Resume,
    SeriesEnded,
    SnoozeLimit,
    SnoozePastNext,
    UndoWindowClosed,
)
from domain.reminder_series import OccurrenceState, ReminderState
from domain.schedule_json import Zones, parse_schedule
from tests.domain.reminders import ANNA, BEN, BERLIN, Diary, after_done, blank, daily, once, utc

DONE, DUE, MISSED, SCHEDULED = (
    OccurrenceState.DONE,
    OccurrenceState.DUE,
    OccurrenceState.MISSED,
    OccurrenceState.SCHEDULED,
)
CANCELLED = OccurrenceState.CANCELLED


@pytest.fixture
def breakfast() -> Diary:
    """Daily at 08:00 in Berlin (07:00 UTC in winter), made on the first of March at midnight."""
    return Diary(blank(**daily()), utc("2026-03-01T00:00"))


def rule(**schedule: object) -> Reschedule:
    """An edit to this schedule."""
    return Reschedule(parse_schedule({"tz_mode": "follow_user", **schedule}, zones=Zones(BERLIN, BERLIN)))


def test_the_next_occurrence_has_a_row_from_the_start(breakfast: Diary) -> None:
    assert breakfast.states == [("2026-03-01T08:00", SCHEDULED)]
    assert breakfast.series.next_at == utc("2026-03-01T07:00")


def test_completing_what_is_due_leaves_the_next_as_it_was_planned(breakfast: Diary) -> None:
    breakfast.until(utc("2026-03-01T09:00"))
    before = breakfast.pending
    breakfast.complete(breakfast.due.key)
    assert breakfast.states == [("2026-03-01T08:00", DONE), ("2026-03-02T08:00", SCHEDULED)]
    assert breakfast.pending == before


def test_completing_early_plans_the_one_after_and_sends_nothing_for_today(breakfast: Diary) -> None:
    breakfast.complete(breakfast.pending.key)
    breakfast.until(utc("2026-03-02T07:00"))
    assert breakfast.sent_at == [utc("2026-03-02T07:00")]


def test_the_second_of_two_members_learns_who_was_quicker(breakfast: Diary) -> None:
    breakfast.until(utc("2026-03-01T09:00"))
    key = breakfast.due.key
    breakfast.complete(key)
    with pytest.raises(AlreadyClosed) as refused:
        breakfast.act(Complete(key, BEN))
    assert refused.value.extra == {"state": "done", "closed_at": "2026-03-01T09:00:00Z", "closed_by": str(ANNA)}


def test_complete_undo_complete_leaves_one_closed_occurrence_and_the_same_next(breakfast: Diary) -> None:
    key = breakfast.pending.key
    breakfast.complete(key)
    once_done = breakfast.states
    breakfast.undo(key)
    assert breakfast.states == [("2026-03-01T08:00", SCHEDULED)]
    breakfast.complete(key)
    assert breakfast.states == once_done


def test_undo_is_refused_when_the_next_has_been_announced(breakfast: Diary) -> None:
    breakfast.until(utc("2026-03-01T09:00"))
    key = breakfast.due.key
    breakfast.complete(key)
    breakfast.until(utc("2026-03-02T09:00"))
    with pytest.raises(UndoWindowClosed):
        breakfast.undo(key)


def test_undo_brings_a_single_reminder_back_to_life() -> None:
    vet = Diary(blank(**once("2026-03-05T10:00")), utc("2026-03-01T00:00"))
    vet.complete(vet.pending.key)
    assert (vet.series.state, vet.series.ended_reason) == (ReminderState.ENDED, "completed")
    vet.undo("f:1:2026-03-05T10:00")
    assert vet.series.state is ReminderState.ACTIVE
    vet.until(utc("2026-03-06T00:00"))
    assert vet.sent_at == [utc("2026-03-05T09:00")]


def test_after_completion_counts_from_the_day_it_was_done() -> None:
    """C1a: done on 31 January, due on the last day of February, with no memory of the 31st afterwards."""
    flea = Diary(blank(**after_done("2026-01-20T09:00")), utc("2026-01-10T00:00"))
    flea.until(utc("2026-01-31T09:00"))
    flea.complete(flea.due.key)
    assert (flea.pending.key, flea.pending.instant) == ("c:2", utc("2026-02-28T08:00"))


def test_a_back_dated_completion_is_overdue_at_once_with_one_notice() -> None:
    """C6: noted in June that it was done in January."""
    flea = Diary(blank(**after_done("2026-01-10T09:00")), utc("2026-01-01T00:00"))
    flea.until(utc("2026-06-02T07:00"))
    flea.sent.clear()
    flea.complete(flea.due.key, at=utc("2026-01-10T07:00"))
    assert flea.pending.instant == utc("2026-02-10T08:00")
    flea.until(utc("2026-06-02T07:01"))
    assert flea.sent_at == [utc("2026-06-02T07:00")]


def test_the_same_nominal_done_early_gets_a_key_of_its_own() -> None:
    """C3b: due on the 20th, done on the 17th, every three days: due on the 20th again."""
    filter_change = Diary(blank(**after_done("2022-05-20T09:00", 3, "day")), utc("2022-05-17T00:00"))
    filter_change.until(utc("2022-05-17T10:00"))
    filter_change.complete(filter_change.pending.key)
    assert (filter_change.pending.key, filter_change.pending.instant) == ("c:2", utc("2022-05-20T07:00"))


def test_a_counted_course_ends_with_its_last_completion() -> None:
    course = Diary(blank(**after_done("2026-03-01T09:00", 1, "day", count=2)), utc("2026-03-01T00:00"))
    course.complete(course.pending.key)
    course.complete(course.pending.key)
    assert course.series.state is ReminderState.ENDED


def test_a_course_keeps_counting_its_keys_after_an_edit() -> None:
    course = Diary(blank(**after_done("2026-03-01T09:00", 1, "day")), utc("2026-03-01T00:00"))
    course.complete(course.pending.key)
    course.act(rule(**after_done("2026-03-10T09:00", 2, "day", count=1)))
    assert course.pending.key == "c:3"
    course.complete(course.pending.key)
    assert course.series.state is ReminderState.ENDED


def test_skipping_moves_on_without_recording_it_as_done(breakfast: Diary) -> None:
    breakfast.skip(breakfast.pending.key)
    assert breakfast.states == [("2026-03-01T08:00", OccurrenceState.SKIPPED), ("2026-03-02T08:00", SCHEDULED)]


def test_a_missed_one_can_be_corrected_with_the_time_it_was_done(breakfast: Diary) -> None:
    breakfast.until(utc("2026-03-02T09:00"))
    missed = "f:1:2026-03-01T08:00"
    with pytest.raises(AlreadyClosed):
        breakfast.complete(missed)
    breakfast.complete(missed, at=utc("2026-03-01T09:00"))
    assert (breakfast.rows[missed].state, breakfast.rows[missed].late) == (DONE, True)


def test_a_completion_in_the_future_is_refused_and_a_phone_ahead_of_us_is_not(breakfast: Diary) -> None:
    key = breakfast.pending.key
    with pytest.raises(Invalid):
        breakfast.complete(key, at=breakfast.now + timedelta(hours=1))
    breakfast.complete(key, at=breakfast.now + timedelta(seconds=30))
    assert breakfast.rows[key].completed_at == breakfast.now


def test_snooze_counts_elapsed_time_through_a_clock_change() -> None:
    """S1: one hour from 01:45 on the night when 02:00 becomes 03:00."""
    night = Diary(blank(**daily("01:30")), utc("2026-03-28T12:00"))
    night.until(utc("2026-03-29T00:45"))
    night.snooze(night.due.key, timedelta(hours=1))
    assert night.due.notice_at == utc("2026-03-29T01:45")


def test_a_snooze_before_the_due_time_counts_from_it(breakfast: Diary) -> None:
    breakfast.snooze(breakfast.pending.key, timedelta(minutes=10))
    assert breakfast.pending.notice_at == utc("2026-03-01T07:10")


def test_a_snooze_beyond_the_next_occurrence_names_the_latest_time(breakfast: Diary) -> None:
    breakfast.until(utc("2026-03-01T09:00"))
    with pytest.raises(SnoozePastNext) as refused:
        breakfast.snooze(breakfast.due.key, timedelta(days=1))
    assert refused.value.extra == {"max_until": "2026-03-02T07:00:00Z"}


@pytest.mark.parametrize(
    ("until", "code"), [("2026-03-01T08:59", "snooze_in_past"), ("2200-01-01T00:00", "snooze_too_far")]
)
def test_a_snooze_into_the_past_or_past_all_calendars_is_refused_and_counts_nothing(
    breakfast: Diary, until: str, code: str
) -> None:
    breakfast.until(utc("2026-03-01T09:00"))
    with pytest.raises(Invalid) as refused:
        breakfast.snooze(breakfast.due.key, utc(until))
    assert refused.value.errors[0].code == code
    assert breakfast.due.snooze_count == 0


def test_the_eleventh_snooze_is_refused(breakfast: Diary) -> None:
    breakfast.until(utc("2026-03-01T09:00"))
    for _ in range(10):
        breakfast.snooze(breakfast.due.key, timedelta(minutes=5))
    with pytest.raises(SnoozeLimit):
        breakfast.snooze(breakfast.due.key, timedelta(minutes=5))


def test_acknowledging_leaves_it_open_and_remembers_the_first(breakfast: Diary) -> None:
    with pytest.raises(NotDue):
        breakfast.act(Acknowledge(breakfast.pending.key, ANNA))
    breakfast.until(utc("2026-03-01T09:00"))
    key = breakfast.due.key
    breakfast.act(Acknowledge(key, ANNA))
    breakfast.act(Acknowledge(key, BEN))
    assert (breakfast.due.state, breakfast.due.acknowledged_by) == (DUE, ANNA)


def test_an_edit_to_an_earlier_time_that_has_passed_drops_today_and_says_so(breakfast: Diary) -> None:
    """Edit 08:00 to 07:00 at 07:30 on the day: today's is cancelled, the next is tomorrow 07:00."""
    breakfast.until(utc("2026-03-01T06:30"))
    change = breakfast.act(rule(**daily("07:00")))
    assert breakfast.states == [("2026-03-01T08:00", CANCELLED), ("2026-03-02T07:00", SCHEDULED)]
    assert [warning.code for warning in change.warnings] == ["occurrence_dropped"]


def test_an_edit_that_changes_nothing_bumps_nothing(breakfast: Diary) -> None:
    before = breakfast.series
    assert breakfast.act(rule(**daily())).series == before


def test_an_edit_keeps_what_is_due_until_the_next_overtakes_it(breakfast: Diary) -> None:
    breakfast.until(utc("2026-03-01T09:00"))
    breakfast.act(rule(**daily("20:00")))
    assert breakfast.states == [
        ("2026-03-01T08:00", DUE),
        ("2026-03-02T08:00", CANCELLED),
        ("2026-03-01T20:00", SCHEDULED),
    ]
    breakfast.until(utc("2026-03-01T19:00"))
    assert breakfast.rows["f:1:2026-03-01T08:00"].state is MISSED


def test_a_single_date_moved_while_it_is_due_is_announced_at_the_new_time_only() -> None:
    vet = Diary(blank(**once("2026-03-05T10:00")), utc("2026-03-01T00:00"))
    vet.until(utc("2026-03-05T12:00"))
    vet.act(rule(**once("2026-03-09T10:00")))
    assert vet.states == [("2026-03-05T10:00", CANCELLED), ("2026-03-09T10:00", SCHEDULED)]


def test_a_finished_reminder_comes_back_with_a_new_date() -> None:
    vet = Diary(blank(**once("2026-03-05T10:00")), utc("2026-03-01T00:00"))
    vet.complete(vet.pending.key)
    vet.act(rule(**once("2026-06-05T10:00")))
    assert vet.series.state is ReminderState.ACTIVE
    assert vet.pending.key == "f:2:2026-06-05T10:00"


def test_pausing_across_a_due_time_fires_nothing_back_and_loses_nothing_later(breakfast: Diary) -> None:
    breakfast.act(Pause())
    breakfast.until(utc("2026-03-03T12:00"))
    assert breakfast.sent == []
    breakfast.act(Resume())
    breakfast.until(utc("2026-03-05T07:00"))
    assert breakfast.sent_at == [utc("2026-03-04T07:00"), utc("2026-03-05T07:00")]
    assert breakfast.states[0] == ("2026-03-01T08:00", CANCELLED)


def test_resuming_before_the_due_time_keeps_it(breakfast: Diary) -> None:
    breakfast.act(Pause())
    breakfast.act(Resume())
    breakfast.until(utc("2026-03-01T07:00"))
    assert breakfast.sent_at == [utc("2026-03-01T07:00")]


def test_a_single_date_that_passed_in_a_pause_is_still_to_be_done() -> None:
    vet = Diary(blank(**once("2026-03-05T10:00")), utc("2026-03-01T00:00"))
    vet.act(Pause())
    vet.until(utc("2026-03-06T00:00"))
    vet.act(Resume())
    assert vet.due.nominal == "2026-03-05T10:00"
    vet.until(utc("2026-03-06T12:00"))
    assert vet.sent == []


def test_resuming_does_not_bring_back_what_was_done_early(breakfast: Diary) -> None:
    breakfast.complete(breakfast.pending.key)
    breakfast.act(Pause())
    breakfast.act(Resume())
    breakfast.until(utc("2026-03-01T12:00"))
    assert breakfast.sent == []


@pytest.mark.parametrize("reason", ["deleted", "pet_archived"])
def test_an_ended_series_says_nothing_any_more_and_cannot_be_resumed(breakfast: Diary, reason: str) -> None:
    breakfast.act(End(reason))
    breakfast.until(utc("2026-04-01T00:00"))
    assert breakfast.sent == []
    assert breakfast.rows["f:1:2026-03-01T08:00"].reason == reason
    with pytest.raises(SeriesEnded):
        breakfast.act(Resume())
    with pytest.raises(SeriesEnded):
        breakfast.act(rule(**daily("09:00")))


def test_a_single_date_in_the_past_is_listed_as_due_and_fires_nothing_back() -> None:
    series = blank(**once("2026-02-01T10:00"))
    past = Diary(series, utc("2026-03-10T00:00"))
    past.until(utc("2026-04-01T00:00"))
    assert past.states == [("2026-02-01T10:00", DUE)]
    assert past.sent == []


def test_a_date_seconds_ago_still_fires() -> None:
    """Made for "now" by a client whose request took a moment."""
    now = Diary(blank(**once("2026-03-01T10:00")), utc("2026-03-01T09:00:20"))
    now.until(utc("2026-03-01T09:01"))
    assert now.sent_at == [utc("2026-03-01T09:00:20")]


def test_moving_abroad_moves_what_is_pending_and_not_what_was_announced(breakfast: Diary) -> None:
    """T1: after breakfast in Berlin, no second 08:00 in New York that day."""
    breakfast.until(utc("2026-03-01T10:00"))
    breakfast.travel("America/New_York")
    breakfast.until(utc("2026-03-03T13:00"))
    assert breakfast.sent_at == [utc("2026-03-01T07:00"), utc("2026-03-02T13:00"), utc("2026-03-03T13:00")]


def test_moving_east_past_a_due_time_announces_it_late() -> None:
    """08:00 in New York is pending when the user arrives in Berlin, where 08:00 passed an hour ago."""
    breakfast = Diary(blank("America/New_York", **daily()), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-01T08:00"))
    breakfast.travel(BERLIN)
    breakfast.until(utc("2026-03-01T08:00"))
    assert breakfast.sent_at == [utc("2026-03-01T08:00")]
    assert breakfast.due.late


def test_a_fixed_zone_stays_where_it_is() -> None:
    schedule = parse_schedule({**daily(), "tzid": "America/New_York"}, zones=Zones(BERLIN, BERLIN))
    series = replace(blank(**daily()), schedule=schedule, zone="America/New_York")
    fixed = Diary(series, utc("2026-03-01T00:00"))
    fixed.until(utc("2026-03-01T13:00"))
    assert fixed.sent_at == [utc("2026-03-01T13:00")]
