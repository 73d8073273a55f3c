"""A message as 7-bit MIME, assembled by hand: `email`'s modern policy parses every header it folds, which costs nearly
forty times as much (measured), and this is on the path of every reminder.

Standards: RFC 5322 (headers), RFC 2047 (encoded words), RFC 2045 §6.7 (quoted-printable), RFC 2046 §5.1.4
(alternatives, the plainest first).
"""

import binascii
import re
from collections.abc import Mapping
from email.header import Header
from email.utils import formataddr, parseaddr
from typing import Final
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from integrations.notify.protocol import Message, ProviderRefused

DELIVERY_HEADER: Final = "X-Petfolio-Delivery"
# What may stand in a header without quotes (the address syntax of the HTML standard).
_PLAIN_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,40}: [\x21-\x7e][\x20-\x7e]{0,900}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def mime(message: Message, sender: str, idempotency_key: UUID) -> bytes:
    """The bytes to send, pure ASCII. `sender` is a header value, see `sender_header`; `message.to` is ASCII.

    Raises `ProviderRefused` for what would be another header or another recipient.
    """
    if _CONTROL.search(message.subject) or not _PLAIN_ADDRESS.fullmatch(message.to):
        raise ProviderRefused("a header cannot hold this subject or address")
    # Part separators cannot occur in a part: quoted-printable never leaves `=_`.
    boundary = f"=_{idempotency_key.hex}"
    headers = [
        f"From: {sender}",
        f"To: {message.to}",
        f"Subject: {_encoded(message.subject)}",
        f"{DELIVERY_HEADER}: {idempotency_key}",
        "Auto-Submitted: auto-generated",  # RFC 3834: holiday responders stay silent
        *_more(message.headers),
        "MIME-Version: 1.0",
    ]
    if message.html is None:
        return _joined([*headers, *_part("plain", message.text)])
    return _joined(
        [
            *headers,
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
            "",
            f"--{boundary}",
            *_part("plain", message.text),
            f"--{boundary}",
            *_part("html", message.html),
            f"--{boundary}--",
            "",
        ]
    )


def sender_header(sender: str) -> str:
    """`Name <address>` of the settings as a header value: a name beyond ASCII becomes an encoded word."""
    name, address = parseaddr(sender)
    return formataddr((name, address))


def ascii_address(address: str) -> str:
    """The address as mail servers take it: its domain in A-labels. Raises `ProviderRefused` where that is impossible
    (SES knows no SMTPUTF8, so the local part has to be ASCII)."""
    if address.isascii():
        return address
    try:
        found = validate_email(address, check_deliverability=False, test_environment=True).ascii_email
    except EmailNotValidError:
        found = None
    if found is None:
        raise ProviderRefused("the address cannot be written in ASCII")
    return found


def _more(headers: Mapping[str, str]) -> list[str]:
    """Headers of the message's own, e.g. List-Unsubscribe: ours throughout, and held to that."""
    if not all(_HEADER.fullmatch(f"{name}: {value}") for name, value in headers.items()):
        raise ProviderRefused("this is no header of ours")
    return [f"{name}: {value}" for name, value in headers.items()]


def _encoded(text: str) -> str:
    # What looks like an encoded word already would be decoded into something else.
    charset = "us-ascii" if text.isascii() and "=?" not in text else "utf-8"
    return Header(text, charset, header_name="Subject").encode(linesep="\r\n")


def _part(subtype: str, text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    body = binascii.b2a_qp(lines.encode(), istext=True).decode("ascii").replace("\n", "\r\n")
    return [f"Content-Type: text/{subtype}; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", body]


def _joined(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
