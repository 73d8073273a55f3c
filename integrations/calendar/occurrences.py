"""A series put together from the parts in which Google and Graph keep it: the rule, and each exception by itself."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from dateutil.rrule import rrulestr

from domain.calendar import Event, Override, Point, When
from domain.calendar_form import canonical, order, rule_parts, rule_text

_COUNTED: Final = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
"""Rules of hours and less are not counted through: there may be millions."""


def as_the_rule_has_it(event: Event, original: Point) -> Override:
    """The occurrence that differs in nothing."""
    length = order(event.when.end) - order(event.when.start)
    return Override(original, original, original + length, event.title, event.notes, event.location)


def assembled(event: Event, exdates: Iterable[Point], overrides: Iterable[Override]) -> Event:
    """The series in its canonical form, without exceptions that say what the series says. Raises `RuleUnreadable`."""
    whole = canonical(replace(event, exdates=tuple(exdates), overrides=tuple(overrides)))
    differing = (each for each in whole.overrides if each != as_the_rule_has_it(whole, each.original))
    return replace(whole, overrides=tuple(differing))


def in_canonical_form(series: Event, overrides: Iterable[Override]) -> dict[Point, Override]:
    """The exceptions of a series as they are compared, by original start."""
    whole = canonical(replace(series, exdates=(), overrides=tuple(overrides)))
    return {each.original: each for each in whole.overrides}


def among(points: Iterable[Point], when: When) -> list[Point]:
    """Those at which the rule has an occurrence. What is left of a series before it was moved is none of them."""
    wanted = {each for each in points if isinstance(each, datetime) is isinstance(when.start, datetime)}
    if not wanted or not when.rrule or (parts := rule_parts(when.rrule))["FREQ"] not in _COUNTED:
        return [*wanted]
    last = max(map(order, wanted))
    bounded = rule_text({name: value for name, value in parts.items() if name not in ("COUNT", "UNTIL")})
    rule = rrulestr(f"{bounded};UNTIL={last:%Y%m%dT%H%M%S}", dtstart=order(when.start))
    known = frozenset(rule)
    return [each for each in wanted if order(each) in known]
