"""Words of mails: one template per mail and language, rendered twice, as text and as HTML.

A template calls `p(text)`, `button(label, url)` and `quote(text)`; what these mean is decided by the format. HTML is
escaped always. What people typed is first brought onto one line without control or direction characters.
"""

import re
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from integrations.notify.protocol import Message

LOCALES: Final = ("en", "de")
SUBJECT_LENGTH: Final = 120
TEXT_LENGTH: Final = 2_000
# Control characters, line and paragraph separators, and what turns the direction of text around (UAX #9).
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_WEEKDAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS: Final = {
    "en": tuple("January February March April May June July August September October November December".split()),
    "de": tuple("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()),
}


def render(template: str, locale: str, to: str, values: Mapping[str, object]) -> Message:
    """The message. `locale` falls back to English. A value the template does not know of is harmless, a missing one an
    `UndefinedError`: templates are tested, data is not trusted to be complete."""
    language = locale if locale in LOCALES else "en"
    name = f"{template}.{language}.j2"
    context = {**values, "language": language}
    text = _TEXT.get_template(name).render(context, layout="layout.txt")
    html = _HTML.get_template(name).render(context, layout="layout.html")
    subject, _, body = text.partition("\n")
    text = re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"
    return Message(to=to, subject=one_line(subject, SUBJECT_LENGTH), text=text, html=html)


def one_line(text: str, length: int = TEXT_LENGTH) -> str:
    """What somebody typed, safe for a header and a sentence: one line, shortened with an ellipsis."""
    clean = " ".join(_UNSAFE.sub(" ", text).split())
    return clean if len(clean) <= length else clean[: length - 1].rstrip() + "…"


def moment(at: datetime, language: str) -> str:
    """A time on its own clock, with the zone named: `Monday, 23 November 2026, 18:05 (Europe/Berlin)`."""
    return f"{day(at, language)}, {clock(at)} ({at.tzinfo})"


def day(at: datetime, language: str) -> str:
    """A date: `Monday, 23 November 2026`, `Montag, 23. November 2026`."""
    weekday, month = _WEEKDAYS[language][at.weekday()], _MONTHS[language][at.month - 1]
    return f"{weekday}, {at.day}{'.' if language == 'de' else ''} {month} {at.year}"


def clock(at: datetime) -> str:
    """A wall-clock time: `18:05`."""
    return f"{at:%H:%M}"


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("integrations.notify", "mails"),
        autoescape=autoescape,  # noqa: S701 - off for the text part only
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"one_line": one_line, "moment": moment, "day": day, "clock": clock}
    return environment


def _text_paragraph(text: object) -> str:
    return textwrap.fill(str(text), 78, break_long_words=False, break_on_hyphens=False) + "\n"


def _html_paragraph(text: object) -> Markup:
    return Markup("<p>{}</p>").format(escape(text))


_TEXT = _environment(autoescape=False)
_TEXT.globals |= {
    "p": _text_paragraph,
    "quote": lambda text: textwrap.indent(_text_paragraph(text), "> "),
    "button": lambda label, url: f"{label}:\n{url}\n",
}
_HTML = _environment(autoescape=True)
_HTML.globals |= {
    "p": _html_paragraph,
    "quote": lambda text: Markup("<blockquote>{}</blockquote>").format(escape(text)),
    "button": lambda label, url: Markup('<p><a class="button" href="{}">{}</a></p>').format(url, label),
}
