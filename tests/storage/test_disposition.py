"""File names from strangers' machines in a header: one line of ASCII, the right name for people, no surprise."""

import re
from email.message import Message
from typing import Final
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.storage.disposition import content_disposition

_GRAMMAR: Final = re.compile(
    r'(inline|attachment); filename="[ !#$&-\[\]-~]{1,300}"'
    r"(; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+)?"
)
"""RFC 6266 §4.1 with what we use of it; RFC 8187 §3.2.1."""


def saved_as(header: str) -> str:
    """The name that a browser takes (RFC 6266 §4.3: the extended one wins)."""
    extended = re.search(r"filename\*=UTF-8''(\S+)$", header)
    if extended:
        return unquote(extended[1])
    message = Message()
    message["Content-Disposition"] = header
    return str(message.get_filename())


@pytest.mark.parametrize(
    ("given_name", "content_type", "name"),
    [
        ("cat.jpg", "image/jpeg", "cat.jpg"),
        ("cat.JPEG", "image/jpeg", "cat.JPEG"),
        ("../../etc/passwd", "application/pdf", "passwd.pdf"),
        ("C:\\Users\\me\\report.pdf", "application/pdf", "report.pdf"),
        ("a.pdf\r\nSet-Cookie: x=1", "application/pdf", "a.pdfSet-Cookie x=1.pdf"),
        ('quote"; filename="evil.exe', "application/pdf", 'quote"; filename="evil.exe.pdf'),
        ("\u202egpj.exe", "image/jpeg", "gpj.exe.jpg"),
        ("Bericht für Mäuse 🐈.pdf", "application/pdf", "Bericht für Mäuse 🐈.pdf"),
        ("invoice.exe", "application/pdf", "invoice.exe.pdf"),
        ("photo.heic", "image/webp", "photo.heic.webp"),
        ("jpg", "image/jpeg", "jpg.jpg"),
        ("", "image/jpeg", "file.jpg"),
        ("...", "application/pdf", "file.pdf"),
        ("100%.pdf", "application/pdf", "100%.pdf"),
        ("page.html", "text/html", "page.html.bin"),
    ],
)
def test_a_name_is_saved_as_people_know_it_and_ends_as_its_type(given_name: str, content_type: str, name: str) -> None:
    header = content_disposition(content_type, given_name)
    assert _GRAMMAR.fullmatch(header), header
    assert saved_as(header) == name


def test_a_name_of_a_thousand_characters_is_cut_and_keeps_its_ending() -> None:
    header = content_disposition("application/pdf", "🐈" * 1000 + ".pdf")
    name = saved_as(header)
    assert name.endswith("🐈.pdf")
    assert len(name) <= 125
    assert len(header) < 2000, "it is part of a URL"


@pytest.mark.parametrize(
    ("content_type", "how"),
    [
        ("image/webp", "inline"),
        ("video/mp4", "inline"),
        ("application/pdf", "attachment"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("", "attachment"),
    ],
)
def test_only_what_browsers_never_run_is_shown_in_the_page(content_type: str, how: str) -> None:
    assert content_disposition(content_type, "a").startswith(f"{how};")


@given(st.text(max_size=400), st.sampled_from(["image/jpeg", "application/pdf", "video/webm", "application/x-else"]))
def test_every_name_makes_a_header_on_one_line(name: str, content_type: str) -> None:
    header = content_disposition(content_type, name)
    assert _GRAMMAR.fullmatch(header), header
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069/\\\x00-\x1f]", saved_as(header))
