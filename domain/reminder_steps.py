"""Which notice of an occurrence comes next: the rungs of its ladder, pre-due notices, overdue marks.

A *round* begins when an occurrence falls due, and anew where it was snoozed to. The steps of the policy count from
there; `rung` of them were taken. What has passed while nobody was awake is taken in one step: never a burst.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from domain.escalation import Lead, Policy, Step, Whom
from domain.reminder_series import OVERDUE_MARKS, Occurrence, Series

ESCALATION: Final = "+"
"""Between a round and the minutes of a later step: `due+10`, `snooze-1+10`."""
LEAD: Final = "lead-"
MISSED: Final = "missed"
WITHDRAWN: Final = "withdrawn:"
"""The push that replaces the one of the step it names."""
UNDELIVERED: Final = "undelivered"
_USEFUL_SHARE: Final = 4
"""A pre-due notice that comes when less than a quarter of its time is left is not sent any more."""

Targets = tuple[tuple[Whom, str], ...]


def round_began(occurrence: Occurrence) -> datetime:
    """What the steps count from."""
    return occurrence.round_at or occurrence.instant


def round_name(occurrence: Occurrence) -> str:
    """Which round it is, as the ledger names it."""
    return f"snooze-{occurrence.snooze_count}" if occurrence.snooze_count else "due"


def ladder(policy: Policy, occurrence: Occurrence) -> Policy:
    """The steps of this round. Somebody who has seen it since it began needs no further ones."""
    seen = occurrence.acknowledged_at is not None and occurrence.acknowledged_at >= round_began(occurrence)
    return policy[:1] if seen else policy


def remaining(policy: Policy, occurrence: Occurrence) -> Policy:
    """The steps of this round that were not taken yet."""
    return ladder(policy, occurrence)[occurrence.rung :]


def passed(series: Series, occurrence: Occurrence, now: datetime) -> tuple[Step, ...]:
    """The steps whose time has come and which were not taken yet."""
    began = round_began(occurrence)
    return tuple(s for s in remaining(series.policy, occurrence) if began + s.after <= now)


def next_notice(series: Series, occurrence: Occurrence, now: datetime) -> datetime | None:
    """When the next notice of what is due goes out: the next step, else an overdue mark."""
    if steps := remaining(series.policy, occurrence):
        return round_began(occurrence) + steps[0].after
    return next_mark(series, occurrence, now)


def next_mark(series: Series, occurrence: Occurrence, now: datetime) -> datetime | None:
    """A week and a month after it was due, where no next one follows and the policy does not go that far itself."""
    if (series.repeats and series.pending is not None) or series.policy[-1].after >= OVERDUE_MARKS[0]:
        return None
    return next((occurrence.instant + mark for mark in OVERDUE_MARKS if occurrence.instant + mark > now), None)


def skipped_ahead(series: Series, occurrence: Occurrence, now: datetime) -> Occurrence:
    """This one without the notices whose time has passed."""
    ahead = replace(occurrence, rung=occurrence.rung + len(passed(series, occurrence, now)))
    return replace(ahead, notice_at=next_notice(series, ahead, now))


def step_name(series: Series, occurrence: Occurrence) -> str:
    """The name of the notice that `notice_at` stands for: part of the ledger's key, so that each goes out once."""
    if steps := remaining(series.policy, occurrence):
        return named(occurrence, steps[0])
    for number, mark in enumerate(OVERDUE_MARKS, start=1):
        if occurrence.notice_at == occurrence.instant + mark:
            return f"overdue-{number}"
    raise ValueError("no notice is planned")


def named(occurrence: Occurrence, step: Step) -> str:
    """The name of one step of the present round."""
    return round_name(occurrence) + (f"{ESCALATION}{step.minutes}" if step.after else "")


def targets(steps: tuple[Step, ...]) -> Targets:
    """Everybody and every channel of these steps, each once."""
    return tuple(dict.fromkeys((step.who, channel) for step in steps for channel in step.channels))


def next_lead(series: Series, pending: Occurrence, now: datetime) -> datetime | None:
    """When the next pre-due notice of the coming occurrence goes out. What has passed is not made up for."""
    known = (lead for lead in series.leads if pending.instant - now > lead.known_for)
    times = (lead_time(lead, pending, series.zone) for lead in known)
    return next((at for at in times if at > now), None)


def lead_time(lead: Lead, occurrence: Occurrence, zone: str) -> datetime:
    """When this pre-due notice of the occurrence goes out; `zone` counts where the occurrence has none."""
    monday = occurrence.instant.astimezone(ZoneInfo(occurrence.tzid or zone)).weekday() == 0
    return occurrence.instant - lead.ahead(monday=monday)


def lead_name(pending: Occurrence, lead_at: datetime) -> str:
    """The name of a pre-due notice: `lead-120` goes out two hours ahead."""
    return f"{LEAD}{int((pending.instant - lead_at).total_seconds() // 60)}"


def lead_is_useful(pending: Occurrence, lead_at: datetime, now: datetime) -> bool:
    """Whether enough of its time is left for a pre-due notice."""
    return (pending.instant - now) * _USEFUL_SHARE >= pending.instant - lead_at


def armed(before: Series, series: Series, now: datetime) -> Series:
    """The series with the pre-due notice of its coming occurrence, where that is another one than before."""
    pending, was = series.pending, before.pending
    if pending is None:
        return series
    if was and (was.key, was.instant, before.leads) == (pending.key, pending.instant, series.leads):
        return series
    lead_at = next_lead(series, pending, now)
    return series if lead_at == pending.lead_at else series.put((replace(pending, lead_at=lead_at),))
