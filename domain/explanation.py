"""Why a reminder did, or did not, reach a person: a sentence of recorded facts, never of logs (product.md §2.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.absence import AWAY
from domain.reminder_series import Occurrence, OccurrenceState
from domain.reminder_steps import LEAD, MISSED, UNDELIVERED, WITHDRAWN


@dataclass(frozen=True, slots=True)
class Told:
    """One row of the ledger, as far as a sentence needs it."""

    user_id: UUID
    channel: str
    step: str
    state: str
    reason: str | None
    at: datetime
    not_before: datetime | None
    attempts: int
    as_sitter: bool = False
    """Told because a grant was in force."""


CHANNEL_WORDS: Final = {"email": "e-mail", "sms": "text message", "push": "push message", "in_app": "a line in the app"}
WITHHELD: Final[Mapping[str, str]] = {
    "preference": "this category is switched off on that channel in the preferences",
    "no_consent": "there is no consent to text messages",
    "no_phone": "no phone number is on record",
    "no_device": "no device is registered for push messages",
    "not_verified": "the e-mail address was never confirmed",
    "suppressed": "mail to this address bounced or was complained about",
    "account_blocked": "the account is blocked",
    "not_a_member": "the person has no access any more",
    "paused": "the reminder is paused",
    AWAY: "the household was away",
    "snoozed": "it was snoozed meanwhile",
    "acknowledged": "somebody had seen it already",
    "done": "it was done before the message left",
    "skipped": "it was skipped before the message left",
    "missed": "the next one was due before the message could leave",
    "cancelled": "it was cancelled before the message left",
    "due": "it was due before the message could leave, and the notice of that followed",
    "acknowledgement_lost": "it may have reached you before it was called back: its acknowledgement was lost",
    "too_late": "the provider was away for so long that the message had become useless",
    "quiet_hours": "quiet hours lasted until the next one was due, and its notice tells of both",
    "said_together": "it was said together with other late reminders in one message",
    "digest_off": "digests are switched off, and it would have been a line of one",
    "nothing_left": "everything in it was done before it left",
    "digest": "it goes into the next digest",
    "sms_budget": "the text messages of this month's plan are used up",
    "phone_unusable": "the phone number on record is none that a text message could go to",
    "pending_channel": "this installation does not speak that channel",
    "bounced": "the mail came back, so the address did not take it",
    "provider_refused": "the provider refused the message",
    "unsendable": "the message could not be made; operators were told",
}
"""Why a row ended without a message, by its reason."""
_CLOSED: Final[Mapping[str, str]] = {
    "overtaken": "the next one fell due, and its notice told of it",
    "too_late": "nothing could be sent within the time in which it would have been of use",
    "expired": "nobody closed it for a month",
    "edited": "the schedule was changed",
    "paused": "the reminder was paused",
    "deleted": "the reminder was deleted",
    "pet_archived": "the pet needs no reminders any more",
    AWAY: "the household was away",
}


def sentence(
    occurrence: Occurrence, ledger: Iterable[Told], person: UUID, tzid: str, away_until: datetime | None = None
) -> str:
    """What happened between this occurrence and this person. Times are on the clock of `tzid`. `away_until`: the end of
    the absence of the household that it lies in."""
    said = [told for told in ledger if not told.step.startswith((WITHDRAWN, UNDELIVERED))]
    rows = [told for told in said if told.user_id == person]
    reached = [told for told in rows if told.state in ("sent", "delivered")]
    if reached:
        return f"{_reached(reached, tzid)}{_afterwards(occurrence, tzid)}"
    waiting = [told for told in rows if told.state in ("planned", "deferred")]
    if waiting:
        return _waiting(waiting[0], tzid)
    perhaps = [told for told in rows if told.reason == "acknowledgement_lost"]
    if perhaps:
        how = f"It may have reached you by {CHANNEL_WORDS[perhaps[0].channel]}: the provider's acknowledgement was lost"
        return f"{how}{_afterwards(occurrence, tzid)}"
    if rows:
        return f"Nothing was sent: {'; '.join(dict.fromkeys(_withheld(told) for told in rows))}."
    if any(told.as_sitter for told in said):
        return f"It went to the sitter first, because their grant was in force{_afterwards(occurrence, tzid)}"
    return _quiet(occurrence, tzid, away_until) or _silent(occurrence, tzid)


def _reached(rows: list[Told], tzid: str) -> str:
    first, *more = sorted(rows, key=lambda told: told.at)
    how = f"It reached you by {CHANNEL_WORDS[first.channel]} at {_clock(first.at, tzid)}"
    if first.step == MISSED:
        how = f"You were told by {CHANNEL_WORDS[first.channel]} at {_clock(first.at, tzid)} that it was missed"
    elif first.step.startswith(LEAD):
        how = f"You were told ahead of time by {CHANNEL_WORDS[first.channel]} at {_clock(first.at, tzid)}"
    if first.reason == "acknowledgement_lost":
        how += " (perhaps twice: the provider's acknowledgement was lost)"
    if first.as_sitter:
        how += ", because you look after this animal"
    return f"{how}{f' and {len(more)} more times' if more else ''}"


def _afterwards(occurrence: Occurrence, tzid: str) -> str:
    closed = _clock(occurrence.closed_at, tzid) if occurrence.closed_at else ""
    match occurrence.state:
        case OccurrenceState.DONE | OccurrenceState.SKIPPED:
            because = f" because {_because(occurrence)}" if occurrence.reason == AWAY else ""
            return f"; it was {occurrence.state.value} at {closed}{because}."
        case OccurrenceState.MISSED:
            return f"; nobody acted, and it was closed as missed at {closed}."
        case OccurrenceState.CANCELLED:
            return f"; it was cancelled at {closed} because {_because(occurrence)}."
        case _ if occurrence.acknowledged_at is not None:
            return f"; it was seen at {_clock(occurrence.acknowledged_at, tzid)} and is still to be done."
        case _:
            return "; it is still to be done."


def _waiting(told: Told, tzid: str) -> str:
    how = CHANNEL_WORDS[told.channel]
    if told.reason == AWAY and told.not_before is not None:
        return f"The household is away; the {how} leaves at {_clock(told.not_before, tzid)}."
    held_back = told.state == "deferred" and told.reason in ("quiet_hours", "acknowledgement_lost")
    if held_back and told.not_before is not None:
        return f"Your quiet hours hold it back; the {how} leaves at {_clock(told.not_before, tzid)}."
    if told.attempts:
        times = "once" if told.attempts == 1 else f"{told.attempts} times"
        return f"The {how} was tried {times} and has not been accepted yet; it is tried again until it is of no use."
    return f"The {how} is about to leave."


def _withheld(told: Told) -> str:
    reason = WITHHELD.get(told.reason or "", f"it ended as {told.state}")
    return f"{CHANNEL_WORDS[told.channel]}: {reason}"


def _quiet(occurrence: Occurrence, tzid: str, away_until: datetime | None) -> str | None:
    """Of what an absence keeps quiet, or kept."""
    until = f" until {_clock(away_until, tzid)}" if away_until else ""
    if occurrence.reason == AWAY:
        return f"Nothing was sent to you: {_because(occurrence)}{until}."
    return f"The household is away{until}; nothing is sent before." if until and occurrence.is_open else None


def _silent(occurrence: Occurrence, tzid: str) -> str:
    match occurrence.state:
        case OccurrenceState.SCHEDULED:
            return f"It is not due before {_clock(occurrence.instant, tzid)}; nothing was sent to you yet."
        case OccurrenceState.DUE if occurrence.notice_at is not None:
            return (
                f"It is due; the next notice goes out at {_clock(occurrence.notice_at, tzid)}, none went to you so far."
            )
        case OccurrenceState.DUE:
            return "It is due and no notice was planned for you: its time had passed when it was set."
        case OccurrenceState.COALESCED:
            return "A change of the clocks made it fall together with the next one, whose notice stands for both."
        case OccurrenceState.DONE | OccurrenceState.SKIPPED:
            return f"It was {occurrence.state.value} before a notice was due, so none was sent."
        case _:
            return f"Nothing was sent to you: {_because(occurrence)}."


def _because(occurrence: Occurrence) -> str:
    return _CLOSED.get(occurrence.reason or "", f"it was {occurrence.state.value}")


def _clock(at: datetime, tzid: str) -> str:
    return f"{at.astimezone(ZoneInfo(tzid)):%Y-%m-%d %H:%M} ({tzid})"
