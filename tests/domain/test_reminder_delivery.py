"""What falls due: notices, misses, grace, overdue steps, catch-up after an outage, and the plan in between."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain import reminder_delivery
from domain.reminder import PlanState
from domain.reminder_actions import Pause
from domain.reminder_delivery import unwanted
from domain.reminder_series import OccurrenceState, ReminderClass, ReminderState
from tests.domain.reminders import Diary, after_done, blank, daily, once, utc

MISSED, DUE, SCHEDULED = OccurrenceState.MISSED, OccurrenceState.DUE, OccurrenceState.SCHEDULED


def test_a_due_occurrence_is_announced_once_and_the_next_is_planned() -> None:
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-01T07:00"))
    assert [notice.step for _, notice in breakfast.sent] == ["due"]
    assert breakfast.deliver().notices == ()
    assert breakfast.states == [("2026-03-01T08:00", DUE), ("2026-03-02T08:00", SCHEDULED)]
    assert not breakfast.due.late


def test_yesterdays_open_one_is_missed_when_todays_falls_due() -> None:
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-02T07:00"))
    assert breakfast.states[:2] == [("2026-03-01T08:00", MISSED), ("2026-03-02T08:00", DUE)]


def test_a_word_ahead_of_its_time_is_no_use_once_the_time_has_come() -> None:
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    pending = breakfast.series.pending
    assert pending is not None
    assert unwanted(pending, "lead-60", None, utc("2026-03-01T06:30")) is None
    assert unwanted(pending, "lead-60", None, utc("2026-03-01T07:00")) == "due"


def test_a_snooze_is_announced_again_at_its_time_only() -> None:
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-01T07:30"))
    breakfast.snooze(breakfast.due.key, timedelta(hours=1))
    breakfast.until(utc("2026-03-02T06:59"))
    assert [(at, notice.step) for at, notice in breakfast.sent] == [
        (utc("2026-03-01T07:00"), "due"),
        (utc("2026-03-01T08:30"), "snooze-1"),
    ]


def test_a_snooze_before_the_due_time_moves_the_first_notice() -> None:
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    breakfast.snooze(breakfast.pending.key, utc("2026-03-01T09:00"))
    breakfast.until(utc("2026-03-01T12:00"))
    assert breakfast.sent_at == [utc("2026-03-01T09:00")]
    assert breakfast.pending.nominal == "2026-03-02T08:00"


def test_three_days_of_outage_bring_one_message_and_the_next_one_on_time() -> None:
    """What was missed is missed; the last one, within its grace, is announced late."""
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-03T12:00"), awake=False)
    breakfast.until(utc("2026-03-04T07:00"))
    assert breakfast.sent_at == [utc("2026-03-03T12:00"), utc("2026-03-04T07:00")]
    assert [state for _, state in breakfast.states] == [MISSED, MISSED, MISSED, DUE, SCHEDULED]
    assert breakfast.rows["f:1:2026-03-03T08:00"].late


@pytest.mark.parametrize(
    ("klass", "options", "hours", "told"),
    [
        (ReminderClass.ROUTINE, {}, 12, True),
        (ReminderClass.ROUTINE, {}, 13, False),
        (ReminderClass.DOSE, {}, 4, True),
        (ReminderClass.DOSE, {}, 5, False),
        (ReminderClass.DOSE, {"grace_minutes": 600}, 10, True),
        (ReminderClass.ROUTINE, {"grace_minutes": 0}, 1, False),
    ],
)
def test_grace_decides_whether_a_late_one_still_goes_out(
    klass: ReminderClass, options: dict[str, object], hours: int, told: bool
) -> None:
    breakfast = Diary(blank(klass=klass, **daily(**options)), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-01T07:00") + timedelta(hours=hours), awake=False)
    breakfast.until(breakfast.now)
    assert [notice.step for _, notice in breakfast.sent] == (["due"] if told else ["missed"])
    assert breakfast.states == [("2026-03-01T08:00", DUE if told else MISSED), ("2026-03-02T08:00", SCHEDULED)]


@pytest.mark.parametrize("schedule", [once("2026-03-01T08:00"), after_done("2026-03-01T08:00")])
def test_a_single_one_is_announced_however_late_and_stays_due(schedule: dict[str, object]) -> None:
    vet = Diary(blank(**schedule), utc("2026-02-01T00:00"))
    vet.until(utc("2026-03-04T00:00"), awake=False)
    vet.until(utc("2026-03-04T00:01"))
    assert vet.sent_at == [utc("2026-03-04T00:00")]
    assert vet.due.late


def test_a_single_one_is_announced_again_after_a_week_and_a_month_and_never_closes() -> None:
    vet = Diary(blank(**once("2026-03-01T08:00")), utc("2026-02-01T00:00"))
    vet.until(utc("2027-03-01T00:00"))
    due = utc("2026-03-01T07:00")
    assert [(at, notice.step) for at, notice in vet.sent] == [
        (due, "due"),
        (due + timedelta(days=7), "overdue-1"),
        (due + timedelta(days=30), "overdue-2"),
    ]
    assert vet.series.state is ReminderState.ACTIVE
    plan = reminder_delivery.plan(vet.series)
    assert (plan.at, plan.state) == (None, PlanState.OVERDUE)


def test_the_last_of_a_counted_series_closes_after_a_month() -> None:
    course = Diary(blank(**daily(count=2)), utc("2026-03-01T00:00"))
    course.until(utc("2026-05-01T00:00"))
    assert [notice.step for _, notice in course.sent] == ["due", "due", "overdue-1", "overdue-2"]
    assert [state for _, state in course.states] == [MISSED, MISSED]
    assert (course.series.state, course.series.ended_reason) == (ReminderState.ENDED, "missed")
    assert reminder_delivery.plan(course.series).ended


def test_an_outage_of_a_year_of_quarter_hours_is_taken_in_step_by_step_with_one_message() -> None:
    pump = Diary(
        blank(mode="elapsed", start_at="2026-01-01T00:00:00Z", every={"n": 15, "unit": "minute"}),
        utc("2026-01-01T00:01"),
    )
    pump.until(utc("2027-01-01T00:01"), awake=False)
    pump.until(pump.now)
    assert len(pump.sent) == 1
    assert len(pump.rows) == 365 * 24 * 4 + 1
    assert pump.pending.instant == utc("2027-01-01T00:15")


def test_two_nominals_that_meet_in_a_gap_are_one_notice_and_both_on_record() -> None:
    night = Diary(blank(**daily("02:30", times=["02:30", "03:30"])), utc("2026-03-28T12:00"))
    night.until(utc("2026-03-29T12:00"))
    assert night.sent_at == [utc("2026-03-29T01:30")]
    assert dict(night.states)["2026-03-29T02:30"] is OccurrenceState.COALESCED


def test_the_plan_names_the_earliest_of_notice_and_next() -> None:
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    assert reminder_delivery.plan(breakfast.series).at == utc("2026-03-01T07:00")
    breakfast.until(utc("2026-03-01T07:00"))
    breakfast.snooze(breakfast.due.key, timedelta(minutes=30))
    plan = reminder_delivery.plan(breakfast.series)
    assert (plan.at, plan.step) == (utc("2026-03-01T07:30"), "snooze-1")
    breakfast.act(Pause())
    assert reminder_delivery.plan(breakfast.series).at is None


def test_a_claimed_notice_that_has_not_left_is_planned_at_once() -> None:
    """The worker died between claim and send, and Temporal was restored from nothing."""
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-01T07:00"))
    plan = reminder_delivery.plan(replace(breakfast.load(), unsent_at=breakfast.now))
    assert (plan.at, plan.step) == (utc("2026-03-01T07:00"), "resend")


def test_a_notice_on_its_way_is_called_back_by_a_snooze_a_completion_and_its_grace() -> None:
    breakfast = Diary(blank(**daily()), utc("2026-03-01T00:00"))
    breakfast.until(utc("2026-03-01T07:00"))
    grace = timedelta(hours=12)
    assert unwanted(breakfast.due, "due", grace, breakfast.now) is None
    assert unwanted(breakfast.due, "due", grace, breakfast.now + timedelta(hours=13)) == "too_late"
    assert unwanted(breakfast.due, "due", None, breakfast.now + timedelta(days=99)) is None
    breakfast.snooze(breakfast.due.key, timedelta(minutes=30))
    assert unwanted(breakfast.due, "due", grace, breakfast.now) == "snoozed"
    assert unwanted(breakfast.due, "snooze-1", grace, breakfast.now) is None
    breakfast.complete(breakfast.due.key)
    assert unwanted(breakfast.rows["f:1:2026-03-01T08:00"], "snooze-1", grace, breakfast.now) == "done"
