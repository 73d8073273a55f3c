"""Laws of the reminder rules under any sequence of actions, outages and journeys (recurrence.md §6, P11, P12, P15)."""

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import PetfolioError
from domain.reminder_actions import Acknowledge, End, Pause, Reschedule, Resume
from domain.reminder_series import OPEN, OccurrenceState, ReminderState
from domain.schedule_json import Zones, parse_schedule
from tests.domain.reminders import ANNA, BERLIN, Diary, after_done, blank, daily, once, utc

ZONES = [BERLIN, "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Australia/Lord_Howe", "Africa/Cairo"]
NEVER_BACK = {
    OccurrenceState.SCHEDULED: 0,
    OccurrenceState.DUE: 1,
    OccurrenceState.DONE: 2,
    OccurrenceState.SKIPPED: 2,
    OccurrenceState.MISSED: 2,
    OccurrenceState.CANCELLED: 2,
    OccurrenceState.COALESCED: 2,
}

schedules = st.sampled_from(
    [
        daily("08:00"),
        daily("02:30"),
        daily("02:30", times=["02:30", "03:00", "20:00"]),
        daily("08:00", count=5),
        daily("08:00", until="2026-04-02"),
        {"mode": "fixed", "dtstart_local": "2026-01-31T09:00", "freq": "MONTHLY"},
        {"mode": "elapsed", "start_at": "2026-03-20T03:00:00Z", "every": {"n": 8, "unit": "hour"}},
        once("2026-03-28T08:00"),
        after_done("2026-03-27T08:00", 2, "day"),
        after_done("2026-03-27T08:00", 1, "day", count=3),
    ]
)
zones = st.sampled_from(ZONES)
starts = st.integers(0, 72 * 60).map(lambda minutes: utc("2026-03-26T00:00") + timedelta(minutes=minutes))
pauses = st.integers(1, 60 * 60).map(lambda minutes: timedelta(minutes=minutes))
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["complete", "skip", "undo", "snooze", "ack", "pause", "resume", "edit", "travel", "outage", "wait", "end"]
        ),
        st.integers(0, 5),
        pauses,
        zones,
    ),
    max_size=14,
)


def act(diary: Diary, what: str, which: int, how_long: timedelta, zone: str) -> None:
    """One thing that happens; refusals are part of life."""
    keys = list(diary.rows) or ["none"]
    key = keys[-1 - which % len(keys)]
    home = diary.series.zone
    actions = {
        "complete": lambda: diary.complete(key),
        "skip": lambda: diary.skip(key),
        "undo": lambda: diary.undo(key),
        "snooze": lambda: diary.snooze(key, how_long),
        "ack": lambda: diary.act(Acknowledge(key, ANNA)),
        "pause": lambda: diary.act(Pause()),
        "resume": lambda: diary.act(Resume()),
        "edit": lambda: diary.act(
            Reschedule(
                parse_schedule({"tz_mode": "follow_user", **daily(f"{which + 6:02}:15")}, zones=Zones(home, home))
            )
        ),
        "travel": lambda: diary.travel(zone),
        "outage": lambda: diary.until(diary.now + how_long, awake=False),
        "wait": lambda: diary.until(diary.now + how_long),
        "end": lambda: diary.act(End("deleted")) if which == 5 else None,
    }
    with suppress(PetfolioError, KeyError):
        actions[what]()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedule=schedules, zone=zones, start=starts, script=steps)
def test_whatever_happens_each_nominal_fires_once_and_nothing_goes_backwards(
    schedule: dict[str, object], zone: str, start, script
) -> None:  # type: ignore[no-untyped-def]
    diary = Diary(blank(zone, **schedule), start)
    for what, which, how_long, elsewhere in script:
        before, sent = dict(diary.rows), len(diary.sent)
        act(diary, what, which, how_long, elsewhere)
        for key, old in before.items():
            if key in diary.rows and what != "undo":
                new = diary.rows[key]
                corrected = (old.state, new.state) == (OccurrenceState.MISSED, OccurrenceState.DONE)
                assert NEVER_BACK[new.state] >= NEVER_BACK[old.state]
                assert old.is_open or new == old or corrected
        if what not in ("wait", "outage"):
            assert len(diary.sent) == sent
        rows = diary.rows.values()
        assert sum(o.state is OccurrenceState.SCHEDULED for o in rows) <= 1
        if diary.series.state is ReminderState.ENDED:
            assert not any(o.is_open for o in rows)
        elif diary.series.repeats and diary.series.state is ReminderState.ACTIVE:
            assert any(o.is_open for o in rows)
    notices = Counter((notice.key, notice.step) for _, notice in diary.sent)
    assert all(times == 1 for times in notices.values())


@settings(max_examples=200, deadline=None)
@given(schedule=schedules, zone=zones, start=starts, script=steps, which=st.integers(0, 3))
@example(
    schedule={"mode": "fixed", "dtstart_local": "2026-03-01T08:00", "freq": "DAILY"},
    zone="Europe/Berlin",
    start=datetime(2026, 3, 26, tzinfo=UTC),
    script=[
        (what, 0, timedelta(minutes=1), where)
        for what, where in [("complete", ""), ("travel", "America/New_York"), ("undo", "")]
    ],
    which=0,
)  # done here, undone there: it rings on the clock there
def test_completing_twice_equals_once_and_undo_takes_it_back(  # P11
    schedule: dict[str, object], zone: str, start, script, which: int
) -> None:  # type: ignore[no-untyped-def]
    diary = Diary(blank(zone, **schedule), start)
    for what, index, how_long, elsewhere in script:
        act(diary, what, index, how_long, elsewhere)
    candidates = [key for key, o in diary.rows.items() if o.is_open]
    if not candidates or diary.series.state is not ReminderState.ACTIVE:
        return
    key = candidates[which % len(candidates)]
    before = dict(diary.rows)
    diary.complete(key)
    completed = dict(diary.rows)
    with suppress(PetfolioError):
        diary.complete(key)
    assert diary.rows == completed
    with suppress(PetfolioError):
        diary.undo(key)
        moved = {k: o for k, o in before.items() if o.state is not OccurrenceState.SCHEDULED or k == key}
        assert {k: diary.rows[k] for k in moved} == moved


@settings(max_examples=200, deadline=None)
@given(zone=zones, start=starts, journeys=st.lists(st.tuples(pauses, zones), max_size=8))
def test_no_nominal_fires_twice_on_any_journey_and_coming_home_changes_nothing(  # P12
    zone: str, start, journeys
) -> None:  # type: ignore[no-untyped-def]
    diary = Diary(blank(zone, **daily("08:00")), start)
    for how_long, elsewhere in journeys:
        diary.until(diary.now + how_long)
        here, future = diary.series.zone, diary.pending
        diary.travel(elsewhere)
        diary.travel(here)
        assert diary.pending == future
        diary.travel(elsewhere)
    keys = [notice.key for _, notice in diary.sent]
    assert len(keys) == len(set(keys))


@settings(max_examples=200, deadline=None)
@given(schedule=schedules, zone=zones, start=starts, outage=st.integers(1, 60 * 24 * 20))
def test_any_outage_brings_one_notice_at_most_and_every_nominal_is_accounted_for(  # P15
    schedule: dict[str, object], zone: str, start, outage: int
) -> None:  # type: ignore[no-untyped-def]
    end = start + timedelta(minutes=outage)
    slept, watched = Diary(blank(zone, **schedule), start), Diary(blank(zone, **schedule), start)
    slept.until(end, awake=False)
    slept.until(end)
    watched.until(end)
    assert len(slept.sent) <= 1
    assert set(slept.rows) == set(watched.rows)
    assert {k for k, o in slept.rows.items() if o.state in OPEN} <= {k for k in watched.rows}
