"""Words of mails: one template per mail and language, rendered twice, as text and as HTML.

A template calls `p(text)`, `heading(text)`, `items(texts)`, `button(label, url)` and `quote(text)`; what these mean is
decided by the format. HTML is escaped always. What people typed is first brought onto one line without control or
direction characters. Short texts (SMS, push) are templates of one line.
"""

import re
import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from integrations.notify.protocol import Message

LOCALES: Final = ("en", "de")
SUBJECT_LENGTH: Final = 120
TEXT_LENGTH: Final = 2_000
# Control characters, line and paragraph separators, and what turns the direction of text around (UAX #9).
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_WEEKDAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS: Final = {
    "en": tuple("January February March April May June July August September October November December".split()),
    "de": tuple("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()),
}

_NEAR: Final = {
    "en": {-1: "yesterday", 0: "today", 1: "tomorrow"},
    "de": {-1: "gestern", 0: "heute", 1: "morgen"},
}


def language_of(locale: str) -> str:
    """The language of ours that a locale is spoken in: `de` for `de-AT`, English for what we do not speak."""
    spoken = locale.partition("-")[0].lower()
    return spoken if spoken in LOCALES else "en"


def render(template: str, locale: str, to: str, values: Mapping[str, object]) -> Message:
    """The message. `locale` falls back to English. A value the template does not know of is harmless, a missing one an
    `UndefinedError`: templates are tested, data is not trusted to be complete."""
    language = language_of(locale)
    name = f"{template}.{language}.j2"
    context = {**values, "language": language}
    text = _TEXT.get_template(name).render(context, layout="layout.txt")
    html = _HTML.get_template(name).render(context, layout="layout.html")
    subject, _, body = text.partition("\n")
    text = re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"
    return Message(to=to, subject=one_line(subject, SUBJECT_LENGTH), text=text, html=html)


def render_line(template: str, locale: str, values: Mapping[str, object]) -> str:
    """A text of one line, not escaped: for channels that know no markup. Fallbacks and errors as of `render`."""
    language = language_of(locale)
    text = _TEXT.get_template(f"{template}.{language}.j2").render({**values, "language": language})
    return " ".join(text.split())


def one_line(text: str, length: int = TEXT_LENGTH, ellipsis: str = "…") -> str:
    """What somebody typed, safe for a header and a sentence: one line, shortened with an ellipsis."""
    clean = " ".join(_UNSAFE.sub(" ", text).split())
    return clean if len(clean) <= length else clean[: length - len(ellipsis)].rstrip() + ellipsis


def moment(at: datetime, language: str) -> str:
    """A time on its own clock, with the zone named: `Monday, 23 November 2026, 18:05 (Europe/Berlin)`."""
    return f"{day(at, language)}, {clock(at)} ({at.tzinfo})"


def day(at: datetime, language: str) -> str:
    """A date: `Monday, 23 November 2026`, `Montag, 23. November 2026`."""
    weekday, month = _WEEKDAYS[language][at.weekday()], _MONTHS[language][at.month - 1]
    return f"{weekday}, {at.day}{'.' if language == 'de' else ''} {month} {at.year}"


def spoken(at: datetime, now: datetime, language: str, *, all_day: bool = False, bare: bool = False) -> str:
    """A time as people say it, on its own clock: `today at 18:05`, `morgen um 09:00 Uhr`, `on Friday, 27 November at
    09:00`; the day alone when `all_day`, without `on` when `bare` (after "from"). `now` may be on any clock."""
    today = now.astimezone(at.tzinfo).date()
    english = language == "en"
    near = _NEAR[language].get((at.date() - today).days)
    if near is None:
        date, _, year = day(at, language).rpartition(" ")
        on = "" if bare else "on " if english else "am "
        near = on + date + ("" if at.year == today.year else f" {year}")
    if all_day:
        return near
    return f"{near} at {clock(at)}" if english else f"{near} um {clock(at)} Uhr"


def capital(text: str) -> str:
    """The text with its first letter large: the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def clock(at: datetime) -> str:
    """A wall-clock time: `18:05`."""
    return f"{at:%H:%M}"


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(  # nosec B701
        loader=PackageLoader("integrations.notify", "mails"),
        autoescape=autoescape,  # noqa: S701 - off for the text part only
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "capital": capital,
        "clock": clock,
        "day": day,
        "instant": datetime.fromisoformat,
        "moment": moment,
        "one_line": one_line,
        "spoken": spoken,
    }
    return environment


def _text_paragraph(text: object) -> str:
    return textwrap.fill(str(text), 78, break_long_words=False, break_on_hyphens=False) + "\n"


def _html_paragraph(text: object) -> Markup:
    return Markup("<p>{}</p>").format(escape(text))


def _text_items(texts: Iterable[object]) -> str:
    lines = (textwrap.indent(_text_paragraph(text), "  ") for text in texts)
    return "".join(f"- {line[2:]}" for line in lines)


def _html_items(texts: Iterable[object]) -> Markup:
    lines = (Markup("<li>{}</li>\n").format(escape(text)) for text in texts)
    return Markup("<ul>\n{}</ul>").format(Markup("").join(lines))


_TEXT = _environment(autoescape=False)
_TEXT.globals |= {
    "p": _text_paragraph,
    "heading": lambda text: f"{text}\n",
    "items": _text_items,
    "quote": lambda text: textwrap.indent(_text_paragraph(text), "> "),
    "button": lambda label, url: f"{label}:\n{url}\n",
}
_HTML = _environment(autoescape=True)
_HTML.globals |= {
    "p": _html_paragraph,
    "heading": lambda text: Markup("<h2>{}</h2>").format(escape(text)),
    "items": _html_items,
    "quote": lambda text: Markup("<blockquote>{}</blockquote>").format(escape(text)),
    "button": lambda label, url: Markup('<p><a class="button" href="{}">{}</a></p>').format(url, label),
}
