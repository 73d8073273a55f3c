"""Whether a person may be told something, on which channel, and when: the preference matrix, consent, quiet hours and
the digest. Asked right before every send; what was allowed when a message was planned counts for nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain import recurrence
from domain.consent import Purpose
from domain.quiet_hours import QuietHours, defer
from domain.recurrence import Fixed
from domain.rule import Rule


class Channel(StrEnum):
    """A way to reach a person."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"


class Category(StrEnum):
    """What a message is about: the rows of the matrix. The first six are the categories of reminders."""

    MEDICATION = "medication"
    VACCINATION = "vaccination"
    APPOINTMENT = "appointment"
    GROOMING = "grooming"
    FEEDING = "feeding"
    OTHER = "other"
    LOST = "lost"
    DIGEST = "digest"
    CALENDAR = "calendar"
    MEDIA = "media"
    BILLING = "billing"
    PRIVACY = "privacy"
    SECURITY = "security"
    ACCOUNT = "account"


class Forbidden(StrEnum):
    """Why somebody is not told: the `reason` of a delivery, and what an explanation is made from."""

    ACCOUNT_BLOCKED = "account_blocked"
    PREFERENCE = "preference"
    NOT_VERIFIED = "not_verified"
    SUPPRESSED = "suppressed"
    NO_CONSENT = "no_consent"
    NO_PHONE = "no_phone"
    NO_DEVICE = "no_device"


@dataclass(frozen=True, slots=True)
class Cell:
    """One default of the matrix, and why. A `locked` one cannot be changed by anybody."""

    enabled: bool
    reason: str
    locked: bool = False


_NAMED = Cell(True, "A reminder names its channels itself; here a whole category is silenced.")
_NAMED_SMS = Cell(True, "Sent only with your consent to text messages.")
_REMINDER: Final = {
    Channel.EMAIL: _NAMED,
    Channel.SMS: _NAMED_SMS,
    Channel.PUSH: _NAMED,
    Channel.IN_APP: _NAMED,
}
_NO_HURRY = Cell(False, "Nothing that could not wait until you look.")
_USEFUL = Cell(True, "Shown where you look next.")
_ONE_MAIL = Cell(False, "A digest is one mail; its lines are in the app anyway.", locked=True)


def _kept(reason: str, *, push: Cell) -> Mapping[Channel, Cell]:
    """A category whose mails always arrive."""
    return {
        Channel.EMAIL: Cell(True, reason, locked=True),
        Channel.SMS: _NO_HURRY,
        Channel.PUSH: push,
        Channel.IN_APP: _USEFUL,
    }


MATRIX: Final[Mapping[Category, Mapping[Channel, Cell]]] = MappingProxyType(
    {
        Category.MEDICATION: _REMINDER,
        Category.VACCINATION: _REMINDER,
        Category.APPOINTMENT: _REMINDER,
        Category.GROOMING: _REMINDER,
        Category.FEEDING: _REMINDER,
        Category.OTHER: _REMINDER,
        Category.LOST: {
            Channel.EMAIL: Cell(True, "A missing pet is found by whoever hears of it early."),
            Channel.SMS: _NAMED_SMS,
            Channel.PUSH: Cell(True, "A missing pet is found by whoever hears of it early."),
            Channel.IN_APP: _USEFUL,
        },
        Category.DIGEST: {
            Channel.EMAIL: Cell(True, "What is coming, still open or was missed, in one mail instead of many."),
            Channel.SMS: _ONE_MAIL,
            Channel.PUSH: _ONE_MAIL,
            Channel.IN_APP: _ONE_MAIL,
        },
        Category.CALENDAR: {
            Channel.EMAIL: Cell(True, "A calendar that must be connected again is silent until you do it."),
            Channel.SMS: _NO_HURRY,
            Channel.PUSH: _USEFUL,
            Channel.IN_APP: _USEFUL,
        },
        Category.MEDIA: {
            Channel.EMAIL: Cell(True, "A photo or paper that was not taken is missing where you look for it."),
            Channel.SMS: _NO_HURRY,
            Channel.PUSH: _NO_HURRY,
            Channel.IN_APP: _USEFUL,
        },
        Category.BILLING: _kept("Prices, payments and the end of a contract have to reach you.", push=_NO_HURRY),
        Category.PRIVACY: _kept("The law gives you these answers: exports, erasure, consent.", push=_NO_HURRY),
        Category.SECURITY: _kept("Somebody may be in your account: you have to learn of it.", push=_USEFUL),
        Category.ACCOUNT: _kept("Without them nobody could sign up or get back in.", push=_NO_HURRY),
    }
)


CRITICAL: Final = frozenset({Category.LOST, Category.SECURITY})
"""What breaks through quiet hours, beside doses, unless the person said otherwise."""


class Account(StrEnum):
    """What became of the account. `gone`: being erased, or erased."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    GONE = "gone"


class DigestFrequency(StrEnum):
    """How often a digest comes."""

    DAILY = "daily"
    WEEKLY = "weekly"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Digest:
    """When a person wants the digest: wall time on their own clock, `weekday` (0 is Monday) for a weekly one."""

    frequency: DigestFrequency = DigestFrequency.DAILY
    weekday: int = 0
    at: time = time(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything that decides at send time whether and when one person may be told; read in one statement.

    `changed` holds the cells of the matrix that differ from their default, `granted` the purposes whose last consent
    event is a grant, `suppressed` whether the address bounced or complained.
    """

    user_id: UUID
    account: Account
    verified: bool
    timezone: str
    locale: str
    changed: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    granted: frozenset[str] = frozenset()
    quiet_hours: tuple[QuietHours, ...] = ()
    critical_bypass: bool = True
    digest: Digest = Digest()
    has_phone: bool = False
    has_device: bool = False
    suppressed: bool = False


def cell_of(category: Category, channel: Channel) -> Cell:
    """The default of a cell."""
    return MATRIX[category][channel]


def is_enabled(category: Category, channel: Channel, changed: Mapping[tuple[str, str], bool]) -> bool:
    """Whether the person wants it. A locked cell is what it is, whatever a row of former days says."""
    cell = cell_of(category, channel)
    return cell.enabled if cell.locked else changed.get((category, channel), cell.enabled)


def may_be_stopped(category: Category, channel: Channel) -> bool:
    """Whether the message carries a way to unsubscribe."""
    return not cell_of(category, channel).locked


def forbidden(category: Category, channel: Channel, standing: Standing) -> Forbidden | None:
    """Why this person must not get such a message on this channel now; None: they may.

    The person's own word comes before what would keep the provider from delivering. Mails that cannot be switched off
    reach a blocked account too (they say how to come back), an address that is still to be confirmed, and one that
    once bounced: a suppression stops bulk mail, never a new registration (reliability-and-privacy.md §4.4).
    """
    essential = channel is Channel.EMAIL and cell_of(category, channel).locked
    if standing.account is Account.GONE or (standing.account is Account.BLOCKED and not essential):
        return Forbidden.ACCOUNT_BLOCKED
    if not is_enabled(category, channel, standing.changed):
        return Forbidden.PREFERENCE
    return _unreachable(channel, standing, essential=essential)


def _unreachable(channel: Channel, standing: Standing, *, essential: bool) -> Forbidden | None:
    match channel:
        case Channel.EMAIL if not standing.verified and not essential:
            return Forbidden.NOT_VERIFIED
        case Channel.EMAIL if standing.suppressed and not essential:
            return Forbidden.SUPPRESSED
        case Channel.SMS if Purpose.SMS not in standing.granted:
            return Forbidden.NO_CONSENT
        case Channel.SMS if not standing.has_phone:
            return Forbidden.NO_PHONE
        case Channel.PUSH if not standing.has_device:
            return Forbidden.NO_DEVICE
    return None


def free_at(instant: datetime, standing: Standing, *, critical: bool) -> datetime:
    """When a notice due at `instant` may go out: then, or at the end of the person's quiet hours, on their own clock.

    Critical ones (doses, a lost pet, security) break through unless the person said otherwise.
    """
    if critical and standing.critical_bypass:
        return instant
    return defer(instant, standing.quiet_hours)


def next_digest(after: datetime, standing: Standing) -> datetime | None:
    """The next digest strictly later than `after` (aware), at the same wall time whatever the clocks do; None: never.

    Quiet hours are not in it: `free_at` says until when they hold it back.
    """
    return digest_after(after, standing.digest, standing.timezone)


def digest_after(after: datetime, digest: Digest, tzid: str) -> datetime | None:
    """`next_digest` of somebody whose clock shows that zone's time."""
    if digest.frequency is DigestFrequency.OFF:
        return None
    weekly = digest.frequency is DigestFrequency.WEEKLY
    rule = Rule(freq="WEEKLY", byday=(digest.weekday,)) if weekly else Rule(freq="DAILY")
    # Any anchor before the search will do: every day and every week counts. Two weeks hold the longest shift of a zone.
    anchor = after.astimezone(ZoneInfo(tzid)).date() - timedelta(days=14)
    series = Fixed(rule=rule, times=(digest.at,), start=datetime.combine(anchor, time()), tzid=tzid)
    found = recurrence.next_after(series, after)
    return found.instant if found else None
