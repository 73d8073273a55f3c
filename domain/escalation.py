"""Who is told on which channel, and after how long: the steps of a reminder until somebody has acted (product.md §4.5).

A policy is data. Its first step is the notice itself, on the channels the reminder asks for; the later ones are taken
while nobody has acknowledged, done, skipped or snoozed it. A person's own limits (preferences, consent, quiet hours)
are looked at when a step is sent, not here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from core.errors import FieldProblem, Invalid


class Who(StrEnum):
    """Whom a step is for, by what they are to the reminder or in its household when the step is taken."""

    ASSIGNEE = "assignee"
    OTHERS = "others"
    EVERYONE = "everyone"
    OWNERS = "owners"
    CARETAKERS = "caretakers"


Whom = Who | UUID
"""People by what they are, or one member by their id. A member who has left is told nothing."""


CHANNELS: Final = ("email", "push", "sms", "in_app")
DIGEST: Final = "digest"
"""Not a message of its own: a line in the person's next digest."""
MAX_STEPS: Final = 8
LONGEST: Final = timedelta(days=31)
MAX_LEADS: Final = 5
LONGEST_LEAD: Final = timedelta(days=60)
_AT_ONCE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Lead:
    """One pre-due notice: so long before, on a Monday perhaps longer; where `known_for` is given only if it is at least
    so long from when it was set until it is due."""

    before: timedelta
    before_monday: timedelta | None = None
    known_for: timedelta = _AT_ONCE

    @property
    def minutes(self) -> int:
        """How it is written in JSON."""
        return int(self.before.total_seconds() // 60)

    def ahead(self, *, monday: bool) -> timedelta:
        """How long before something due on such a day."""
        return self.before_monday if monday and self.before_monday is not None else self.before


@dataclass(frozen=True, slots=True)
class Step:
    """One step: this long after the round began, on these channels, to these people."""

    after: timedelta
    channels: tuple[str, ...]
    who: Whom = Who.ASSIGNEE

    @property
    def minutes(self) -> int:
        """How the step is named in the ledger and in JSON."""
        return int(self.after.total_seconds() // 60)


Policy = tuple[Step, ...]

NOTICE_ONLY: Final[Policy] = (Step(_AT_ONCE, ("email",)),)
_TOMORROW: Final = Step(timedelta(days=1), (DIGEST,))

DEFAULT_STEPS: Final[Mapping[str, Policy]] = {
    # A dose matters today: nag, then the phone, then everybody who could give it.
    "medication": (
        Step(timedelta(minutes=10), ("push", "sms")),
        Step(timedelta(minutes=30), ("push",), Who.OTHERS),
        Step(timedelta(minutes=60), ("email", "push"), Who.EVERYONE),
    ),
    # PetDesk's cadence: a week and a month after it was due (product.md §4.2).
    "vaccination": (Step(timedelta(days=7), ("email",)), Step(timedelta(days=30), ("email",))),
    "appointment": (),
    "grooming": (_TOMORROW,),
    "feeding": (Step(timedelta(minutes=30), ("push",)), Step(timedelta(minutes=60), ("push",), Who.OTHERS)),
    "other": (_TOMORROW,),
}
_PUSHED: Final = ("push", "in_app")
_WRITTEN: Final = ("email", "in_app")
DEFAULT_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    # What is to be done now belongs on the phone, what is to be arranged into the mailbox.
    "medication": _PUSHED,
    "vaccination": _WRITTEN,
    "appointment": _WRITTEN,
    "grooming": _PUSHED,
    "feeding": _PUSHED,
    "other": _PUSHED,
}
"""Nobody needs a device for them: a push to somebody who has none is mailed instead."""
DEFAULT_LEADS: Final[Mapping[str, tuple[Lead, ...]]] = {
    # Time to book the vet, and not to forget the date.
    "vaccination": (Lead(timedelta(days=14)), Lead(timedelta(days=2))),
    # PetDesk's, so that a practice closed at the weekend can still be called (product.md §4.2); and time to leave.
    "appointment": (
        Lead(timedelta(days=7), known_for=timedelta(weeks=6)),
        Lead(timedelta(days=2), before_monday=timedelta(days=3)),
        Lead(timedelta(hours=2)),
    ),
    "grooming": (Lead(timedelta(days=1)),),
}


def policy(category: str, methods: Iterable[str], steps: Policy | None) -> Policy:
    """All steps of a reminder: its notice on the channels it asks for, then its own steps or those of its category."""
    later = DEFAULT_STEPS.get(category, ()) if steps is None else steps
    return (Step(_AT_ONCE, tuple(methods)), *later)


def leads(category: str, given: Sequence[int] | None) -> tuple[Lead, ...]:
    """The pre-due notices, earliest first: its own, or those of its category."""
    if given is None:
        return DEFAULT_LEADS.get(category, ())
    return tuple(Lead(timedelta(minutes=minutes)) for minutes in sorted(given, reverse=True))


def parse_steps(raw: Sequence[Mapping[str, Any]] | None) -> Policy | None:
    """The steps of a body or a row. Raises `Invalid` with the pointer of what does not fit; None stays None."""
    if raw is None:
        return None
    if len(raw) > MAX_STEPS:
        raise _invalid("/steps", "too_many", f"at most {MAX_STEPS} steps")
    steps = tuple(_step(f"/steps/{index}", entry) for index, entry in enumerate(raw))
    if [s.after for s in steps] != sorted({s.after for s in steps}):
        raise _invalid("/steps", "not_ascending", "each step comes later than the one before")
    return steps


def to_json(steps: Policy | None) -> list[dict[str, object]] | None:
    """The stored and shown form: `[{"after_minutes": 10, "channels": ["push"], "who": "assignee"}]`."""
    if steps is None:
        return None
    return [{"after_minutes": s.minutes, "channels": list(s.channels), "who": str(s.who)} for s in steps]


def members_named(steps: Policy | None) -> frozenset[UUID]:
    """The members that steps name by their id."""
    return frozenset(step.who for step in steps or () if isinstance(step.who, UUID))


def check_members(steps: Policy | None, members: Iterable[UUID]) -> None:
    """Raises `Invalid` for a step that names somebody who is no member of the household."""
    known = set(members)
    for index, step in enumerate(steps or ()):
        if isinstance(step.who, UUID) and step.who not in known:
            raise _invalid(f"/steps/{index}/who", "not_a_member", "nobody of this household")


def _step(pointer: str, entry: Mapping[str, Any]) -> Step:
    after = timedelta(minutes=entry["after_minutes"])
    if not timedelta(minutes=1) <= after <= LONGEST:
        raise _invalid(f"{pointer}/after_minutes", "out_of_range", "between one minute and 31 days")
    channels = tuple(entry["channels"])
    if not channels or len(set(channels)) != len(channels):
        raise _invalid(f"{pointer}/channels", "channels_invalid", "at least one channel, each once")
    return Step(after, channels, _whom(entry.get("who", Who.ASSIGNEE)))


def _whom(word: str) -> Whom:
    return Who(word) if word in set(Who) else UUID(word)


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(pointer, code, detail),))
