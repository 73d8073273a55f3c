"""The bytes of a mail: any text comes out as it went in, and nothing in it becomes structure."""

import email
import email.policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.notify.mime import ascii_address, mime, sender_header
from integrations.notify.protocol import Message, ProviderRefused

KEY = UUID("019aaf3e-0000-7000-8000-000000000001")
SENDER = sender_header("Petfolio <reminders@petfolio.test>")
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n=._-"), max_size=300)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120).map(
    lambda text: " ".join(text.split())
)


def parsed(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def content(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").rstrip("\n")


@settings(deadline=None)  # the parser of the standard library is slow now and then
@given(subject=LINE, text=WORDS, html=WORDS)
def test_any_words_come_out_as_they_went_in(subject: str, text: str, html: str) -> None:
    raw = mime(Message("a@example.test", subject, text, html), SENDER, KEY)
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))  # RFC 5322 §2.1.1
    assert b"\n" not in raw.replace(b"\r\n", b"")
    mail = parsed(raw)
    assert mail["Subject"] == subject
    assert content(mail, "plain") == text.rstrip("\n")
    assert content(mail, "html") == html.rstrip("\n")
    assert len(mail.keys()) == 7


def test_headers_of_the_message_are_there_as_they_are() -> None:
    said = {"List-Unsubscribe": "<https://petfolio.test/x>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    mail = parsed(mime(Message("a@example.test", "x", "x", headers=said), SENDER, KEY))
    assert {name: mail[name] for name in said} == said
    assert content(mail, "plain") == "x"


@pytest.mark.parametrize(
    "header", [("X-A", "b\r\nBcc: spy@example.test"), ("X-A\r\nBcc", "x"), ("X-A", "ü"), ("", "x"), ("X-A", "")]
)
def test_a_header_that_would_be_two_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ProviderRefused):
        mime(Message("a@example.test", "x", "x", headers=dict([header])), SENDER, KEY)


def test_what_looks_like_an_encoded_word_stays_what_was_typed() -> None:
    subject = "=?utf-8?q?=0D=0ABcc:_spy=40example.test?="
    mail = parsed(mime(Message("a@example.test", subject, "x"), SENDER, KEY))
    assert mail["Subject"] == subject
    assert mail["Bcc"] is None


def test_a_text_that_looks_like_the_end_of_a_part_is_text() -> None:
    text = f"--=_{KEY.hex}--\nBcc: spy@example.test"
    assert content(parsed(mime(Message("a@example.test", "x", text, "<p>x</p>"), SENDER, KEY)), "plain") == text


def test_a_sender_beyond_ascii_is_an_encoded_word() -> None:
    raw = mime(Message("a@example.test", "x", "x"), sender_header("Pfötchen <a@petfolio.test>"), KEY)
    assert parsed(raw)["From"] == "Pfötchen <a@petfolio.test>"


@pytest.mark.parametrize("to", ["<a@example.test>", "a b@example.test", "a@example.test\n", "x" * 65 + "@example.test"])
def test_an_address_with_anything_beside_it_is_refused(to: str) -> None:
    with pytest.raises(ProviderRefused):
        mime(Message(to, "x", "x"), SENDER, KEY)


def test_an_address_is_brought_into_ascii_or_refused() -> None:
    assert ascii_address("a@bücher.test") == "a@xn--bcher-kva.test"
    with pytest.raises(ProviderRefused):
        ascii_address("ä@example.test")
