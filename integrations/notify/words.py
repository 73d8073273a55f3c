"""What notices of reminders say: on every channel, in every language, from one set of values.

Three forms of the same thing: a mail, a text message of one line, a push message. What people typed is brought onto one
line and shortened wherever it appears; times stand in the reader's language, and on the clock that matters to them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from core import unsubscribe
from domain.notification import Channel
from domain.recurrence import zone_shift
from domain.reminder_steps import ESCALATION, LEAD, MISSED, WITHDRAWN
from integrations.notify.protocol import Message
from integrations.notify.render import one_line, render, render_line

LINES_SHOWN: Final = 30
"""Lines of one section of a digest, or of late notices said together; the rest is counted."""
PUSH_TITLE: Final = 80
PUSH_BODY: Final = 180
_UCS2_TWO_SEGMENTS: Final = 134
_SMS_TITLES: Final = (80, 60, 45, 30, 20, 10)
_SMS_NAME: Final = 20


class Kind(StrEnum):
    """What a notice is to the person who reads it."""

    LEAD = "lead"
    DUE = "due"
    LATE = "late"
    REPEAT = "repeat"
    SNOOZE = "snooze"
    OVERDUE = "overdue"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"


class Outcome(StrEnum):
    """Why a notice came to nothing: somebody acted, or there is nothing left to act upon."""

    DONE = "done"
    SKIPPED = "skipped"
    MISSED = "missed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderWords:
    """One notice to one person, in clear: it exists only on its way to a channel.

    `due` is on the clock of the reminder's zone (of the person's where it has none), `timezone` the person's own;
    `nominal` the wall time the schedule names, a date alone when it is all day. `missed` counts what was missed from
    `missed_from` on: before this one, or (step `missed`) up to and with it. `dose` says that giving it twice harms.
    `unsubscribe_token` stands for this category on this channel; None where it cannot be switched off.
    """

    locale: str
    title: str = field(repr=False)
    description: str | None = field(default=None, repr=False)
    pet_name: str | None = field(default=None, repr=False)
    step: str
    late: bool = False
    due: datetime
    nominal: str
    tzid: str | None
    timezone: str
    now: datetime
    missed: int = 0
    missed_from: datetime | None = None
    dose: bool = False
    outcome: Outcome = Outcome.GONE
    done_by: str | None = field(default=None, repr=False)
    done_at: datetime | None = None
    public_url: str
    link: str
    unsubscribe_token: str | None = field(default=None, repr=False)
    also: tuple["ReminderWords", ...] = field(default=(), repr=False)
    """Other late notices of the same person that are said in the same mail or text message."""

    @property
    def kind(self) -> Kind:
        """What the step of the ledger means to the reader."""
        return kind_of(self.step, late=self.late)

    @property
    def all_day(self) -> bool:
        """A day without a time."""
        return "T" not in self.nominal


@dataclass(frozen=True, slots=True)
class PushText:
    """What a push message shows: two lines."""

    title: str = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestWords:
    """One digest: what is coming, still open, and was missed. `step` and `late` of its entries are not looked at."""

    locale: str
    weekly: bool
    coming: Sequence[ReminderWords] = field(default=(), repr=False)
    still_open: Sequence[ReminderWords] = field(default=(), repr=False)
    missed: Sequence[ReminderWords] = field(default=(), repr=False)
    public_url: str
    link: str
    unsubscribe_token: str | None = field(default=None, repr=False)


def kind_of(step: str, *, late: bool) -> Kind:
    """The kind of a step of the ledger: `due`, `lead-120`, `due+10`, `snooze-1`, `overdue-1`, `missed`,
    `withdrawn:due`."""
    if step.startswith(WITHDRAWN):
        return Kind.WITHDRAWN
    if step == MISSED:
        return Kind.MISSED
    if step.startswith(LEAD):
        return Kind.LEAD
    if step.startswith("overdue"):
        return Kind.OVERDUE
    if ESCALATION in step:
        return Kind.REPEAT
    if late:
        return Kind.LATE
    return Kind.SNOOZE if step.startswith("snooze") else Kind.DUE


def email(words: ReminderWords, to: str) -> Message:
    """The mail, with the headers that make unsubscribing one click. Raises what `render` raises."""
    if words.also:
        return _mail("reminders_late", words.locale, to, _together(words), words)
    return _mail("reminder_due", words.locale, to, _values(words), words)


def digest_email(words: DigestWords, to: str) -> Message:
    """The digest: a section for each of its lists that is not empty."""
    as_kind = {
        "coming": [replace(entry, step="due", late=False) for entry in words.coming],
        "open": [replace(entry, step="overdue-1") for entry in words.still_open],
        "missed": [replace(entry, step=MISSED) for entry in words.missed],
    }
    listed = {name: entries for name, entries in as_kind.items() if entries}
    values = {
        "weekly": words.weekly,
        "counts": [(name, len(entries)) for name, entries in listed.items()],
        "sections": [
            (name, [_line(entry) for entry in entries[:LINES_SHOWN]], max(0, len(entries) - LINES_SHOWN))
            for name, entries in listed.items()
        ],
    }
    return _mail("digest", words.locale, to, values, words)


def undelivered_email(words: ReminderWords, to: str, *, channel: Channel, since: datetime) -> Message:
    """To the owner: this reminder did not arrive on a channel, which fails since then."""
    values = {"channel": channel, "since": since.astimezone(ZoneInfo(words.timezone)), "line": _line(words)}
    return _mail("undelivered", words.locale, to, values, words)


def push(words: ReminderWords) -> PushText:
    """The push message, always about one notice; of a withdrawn step what replaces it on the devices."""
    return PushText(one_line(_name(words), PUSH_TITLE), one_line(_phrase(words), PUSH_BODY))


def sms(words: ReminderWords, fits: Callable[[str], bool] | None = None) -> str:
    """The text message: one line, the title shortened until `fits` says yes; then without the link.

    Without `fits`: two segments whatever the encoding (134 UTF-16 code units, 3GPP TS 23.038).
    """
    enough = fits or _fits_two_segments
    link = f" {words.link}"
    more = {"en": "and {} more", "de": "und {} weitere"}
    rest = ""
    if words.also:
        language = "de" if words.locale.partition("-")[0].lower() == "de" else "en"
        rest = f", {more[language].format(len(words.also))}"
    text = ""
    for end in (link, ""):
        for length in _SMS_TITLES:
            text = f"Petfolio: {_sms_name(words, length)}{rest}. {_phrase(words)}.{end}"
            if enough(text):
                return text
    return text


def _mail(
    template: str, locale: str, to: str, values: Mapping[str, object], words: ReminderWords | DigestWords
) -> Message:
    message = render(template, locale, to, {**values, **_links(words)})
    if words.unsubscribe_token is None:
        return message
    return replace(message, headers=unsubscribe.headers(words.public_url, words.unsubscribe_token))


def _links(words: ReminderWords | DigestWords) -> dict[str, object]:
    token = words.unsubscribe_token
    return {
        "public_url": words.public_url,
        "link": words.link,
        "unsubscribe_link": unsubscribe.page_link(words.public_url, token) if token else None,
    }


def _values(words: ReminderWords) -> dict[str, object]:
    """What the mail's template shows beside the values themselves.

    `here`: the same moment where the reader is, unless their clock shows the same; `planned` and `shift`: the nominal
    time, and what a change of the clocks did to it (`gap`, `overlap_first`).
    """
    here = _here(words)
    planned = None if words.all_day or words.tzid is None else datetime.fromisoformat(words.nominal)
    shift = zone_shift(planned, words.tzid) if planned is not None and words.tzid is not None else ()
    return {name: getattr(words, name) for name in _FIELDS} | {
        "kind": words.kind,
        "all_day": words.all_day,
        "here": here if here.utcoffset() != words.due.utcoffset() else None,
        "here_or_due": _at(words),
        "missed_from": words.missed_from.astimezone(words.due.tzinfo) if words.missed_from else None,
        "planned": planned,
        "shift": shift[0] if shift else None,
    }


def _together(words: ReminderWords) -> dict[str, object]:
    every = (words, *words.also)
    # Nothing is cut off: a late notice that is in no message was never told.
    return {"lines": [_line(each) for each in every], "dose": any(each.dose and each.missed for each in every)}


def _phrase(words: ReminderWords, *, plain: bool = False) -> str:
    """What has become of it, in a few words: `Due tomorrow at 09:00`, `Done by Anna today at 08:12`; `plain` in a list
    whose heading says the rest."""
    reader = ZoneInfo(words.timezone)
    values = {
        "plain": plain,
        "kind": words.kind,
        "all_day": words.all_day,
        "at": _at(words),
        "now": words.now,
        "missed": words.missed,
        "missed_from": (words.missed_from or words.due).astimezone(words.due.tzinfo if words.all_day else reader),
        "outcome": words.outcome,
        "done_by": words.done_by,
        "done_at": words.done_at.astimezone(reader) if words.done_at else None,
    }
    return render_line("reminder_line", words.locale, values)


def _line(words: ReminderWords) -> str:
    return f"{_name(words)}: {_phrase(words, plain=True)}"


def _name(words: ReminderWords) -> str:
    pet = f" – {one_line(words.pet_name, 30)}" if words.pet_name else ""
    return one_line(words.title, 80) + pet


def _sms_name(words: ReminderWords, length: int) -> str:
    # A dash or an ellipsis alone would make the whole message UCS-2, and twice as long.
    pet = f" - {one_line(words.pet_name, _SMS_NAME, '...')}" if words.pet_name else ""
    return one_line(words.title, length, "...") + pet


def _here(words: ReminderWords) -> datetime:
    return words.due.astimezone(ZoneInfo(words.timezone))


def _at(words: ReminderWords) -> datetime:
    """Where a time is told without its zone it is the reader's; a day is the day that the schedule names."""
    return words.due if words.all_day else _here(words)


def _fits_two_segments(text: str) -> bool:
    return len(text.encode("utf-16-le")) // 2 <= _UCS2_TWO_SEGMENTS


_FIELDS: Final = tuple(entry.name for entry in fields(ReminderWords) if entry.name != "also")
