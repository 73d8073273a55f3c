"""The text of an HTML body. Outlook keeps every body as HTML, and Google's editor writes HTML into descriptions.

Only what people see as lines counts: blocks and breaks. Links keep their words, images and styles nothing.
"""

import re
from html import escape
from html.parser import HTMLParser
from typing import Final

_BLOCKS: Final = frozenset("blockquote center div dl dd dt form h1 h2 h3 h4 h5 h6 hr li ol p pre table tr ul".split())
_UNSEEN: Final = frozenset("head script style title".split())
_HTML: Final = re.compile(
    r"</?(?:a|b|blockquote|br|div|em|font|h[1-6]|hr|html|i|li|ol|p|pre|span|strong|table|td|tr|u|ul)(?:\s[^<>]*)?/?>"
    r"|&(?:[a-z]{2,8}|#\d{1,7}|#x[0-9a-f]{1,6});",
    re.IGNORECASE,
)
_HARD_SPACE: Final = re.compile(r"&(?:nbsp|#160|#xa0);", re.IGNORECASE)
_PLACEHOLDER: Final = "\0"
"""Stands for a space that must not be folded: neither HTML nor our texts can have a NUL."""


def is_html(text: str) -> bool:
    """Whether a text of unknown kind has a tag or a character reference in it."""
    return _HTML.search(text) is not None


def as_html(text: str) -> str:
    """The text as it has to be written where `is_html` decides how it is read: itself, unless it would be misread."""
    return escape(text, quote=False) if is_html(text) else text


def text_of(html: str, *, preformatted: bool = False) -> str:
    """What is to be read there. `preformatted`: line breaks and runs of blanks of the source count, too."""
    reader = _Reader(preformatted)
    reader.feed(_HARD_SPACE.sub(_PLACEHOLDER, html))
    reader.close()
    return "".join(reader.pieces).replace(_PLACEHOLDER, " ")


class _Reader(HTMLParser):
    def __init__(self, preformatted: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = 0
        self._preformatted = preformatted

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "br":
            self.pieces.append("\n")
        elif tag in _BLOCKS:
            self._begin_line()

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS:
            self._begin_line()

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._preformatted:
            data = re.sub(r"[ \t\r\n\f]+", " ", data)
            if not self.pieces or self.pieces[-1].endswith((" ", "\n")):
                data = data.removeprefix(" ")
        if data:
            self.pieces.append(data)

    def _begin_line(self) -> None:
        if self.pieces and not self.pieces[-1].endswith("\n"):
            self.pieces.append("\n")
