"""Events of all kinds that a calendar may hold, canonical, with series whose exceptions are where their rules are."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice

from dateutil.rrule import rrulestr
from hypothesis import strategies as st

from domain.calendar import Event, Override, Point, Status, When
from domain.calendar_form import canonical, canonical_when, line, text
from domain.recurrence import resolve
from integrations.calendar.zones import wall

ZONES = ("Europe/Berlin", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
PLAIN_RULES = ("FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=YEARLY")
_ENDS = ("", ";COUNT=9", ";UNTIL={until}")
_LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029")
lines = st.text(_LETTERS, min_size=1, max_size=30).map(line).filter(bool)
notes = st.lists(st.text(_LETTERS, max_size=25), max_size=4).map("\n".join).map(text)


def shown(point: datetime, tzid: str) -> bool:
    """Whether clocks show this time, and not skip it."""
    return wall(resolve(point, tzid), tzid) == point


@st.composite
def events(draw: st.DrawFn, rules: Sequence[str] = PLAIN_RULES, alarms: int = 5) -> Event:
    """One event."""
    when = draw(schedules(rules))
    left_out, changed = draw(exceptions(when)) if when.rrule else ((), ())
    return canonical(
        Event(
            title=draw(lines),
            when=when,
            notes=draw(notes),
            location=draw(st.just("") | lines),
            alarms=tuple(sorted(draw(st.sets(st.integers(0, 40_000), max_size=alarms)))),
            exdates=left_out,
            overrides=changed,
            status=draw(st.sampled_from((Status.CONFIRMED, Status.TENTATIVE))),
        )
    )


@st.composite
def schedules(draw: st.DrawFn, rules: Sequence[str]) -> When:
    """When it is. Days from the 29th on are left to examples: not every month has them."""
    day = draw(st.dates(date(2025, 1, 1), date(2029, 12, 31)).filter(lambda each: each.day < 29))
    rule = draw(st.none() | st.sampled_from(rules))
    until = day + timedelta(days=draw(st.integers(0, 60)))
    ending = draw(st.sampled_from(_ENDS)).format(until=f"{until:%Y%m%d}")
    rrule = None if rule is None else f"{rule}{ending}"
    if draw(st.booleans()):
        return canonical_when(When(day, day + timedelta(days=draw(st.integers(1, 5))), None, rrule))
    tzid = draw(st.sampled_from(ZONES))
    start = datetime.combine(day, time(draw(st.integers(0, 23)), draw(st.integers(0, 59))))
    end = start + timedelta(minutes=draw(st.integers(0, 3_000)))
    if not (shown(start, tzid) and shown(end, tzid)):
        start, end = (each.replace(hour=12) for each in (start, end))
        end = max(start, end)
    return canonical_when(When(start, end, tzid, rrule))


@st.composite
def exceptions(draw: st.DrawFn, when: When) -> tuple[tuple[Point, ...], tuple[Override, ...]]:
    """Some of the first occurrences left out, some changed."""
    left_out: list[Point] = []
    changed: list[Override] = []
    for each in occurrences(when):
        match draw(st.sampled_from(("kept", "kept", "left out", "changed"))):
            case "left out":
                left_out.append(each)
            case "changed":
                changed.append(draw(overrides(each, when)))
    return tuple(left_out), tuple(changed)


@st.composite
def overrides(draw: st.DrawFn, original: Point, when: When) -> Override:
    """A changed occurrence: other words, for certain."""
    later = original + timedelta(days=draw(st.integers(-1, 1)))
    if when.tzid and isinstance(later, datetime) and not shown(later, when.tzid):
        later = original
    length = timedelta(days=1) if when.all_day else timedelta(minutes=10)
    title = line(f"{draw(lines)} changed")
    return Override(original, later, later + length, title, draw(notes), draw(st.just("") | lines))


def occurrences(when: When) -> list[Point]:
    """The first five that clocks show."""
    start = when.start if isinstance(when.start, datetime) else datetime.combine(when.start, time())
    rule = ";".join(each for each in (when.rrule or "").split(";") if not each.startswith("UNTIL"))
    found = [each for each in islice(rrulestr(rule, dtstart=start), 5)]
    if when.all_day:
        return [each.date() for each in found]
    return [
        each
        for each in found
        if shown(each, when.tzid or "UTC") and shown(each + timedelta(minutes=10), when.tzid or "UTC")
    ]
