"""Whether a message is Stripe's, and what of it is used: where it belongs. What it says of anything is re-read.

Without Stripe's SDK, which costs each process of the api 27 MB and 0.4 s: the check is an HMAC, and the SDK's has gaps
of its own (billing.md §5.5): timestamps of tomorrow pass there, and signed documents that are no events.
"""

import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from core.errors import PetfolioError
from domain.billing.events import BillingEvent
from integrations.payments.mapping import customer_of

MAX_BODY: Final = 512 * 1024
SKEW: Final = 300
"""Seconds that a message may be old, or our clock slow."""
_SCHEME: Final = "v1"
_FORMATS: Final[Mapping[str, str]] = {"event": "snapshot", "v2.core.event": "thin"}


class SignatureRejected(PetfolioError):
    """400: not from Stripe, not now, or no event."""

    code = "signature_rejected"
    http_status = 400


class BodyTooLarge(PetfolioError):
    """413: no message of Stripe's is as large as this."""

    code = "body_too_large"
    http_status = 413


def verify(raw: bytes, header: str | None, secrets: Iterable[str], now: float) -> BillingEvent:
    """The envelope of a message that was signed with one of these secrets (two while one replaces the other) at about
    `now`. Raises `SignatureRejected` and `BodyTooLarge`."""
    if len(raw) > MAX_BODY:
        raise BodyTooLarge(f"at most {MAX_BODY} bytes")
    stamp, signatures = _taken_apart(header or "")
    if abs(now - stamp) > SKEW:
        raise SignatureRejected("the signature's time is not ours")
    signed = b"%d." % stamp + raw
    wanted = (hmac.digest(secret.encode(), signed, "sha256").hex() for secret in secrets if secret.strip())
    if not any(hmac.compare_digest(one, other) for one in wanted for other in signatures):
        raise SignatureRejected("the signature does not fit")
    return _envelope(raw)


def _taken_apart(header: str) -> tuple[int, list[str]]:
    """The timestamp and the signatures of the scheme that counts."""
    parts = [part.partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [value for name, _, value in parts if name.strip() == _SCHEME and value.isascii()]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit() and len(stamps[0]) < 16) or not signatures:
        raise SignatureRejected("the signature cannot be read")
    return int(stamps[0]), signatures


def _envelope(raw: bytes) -> BillingEvent:
    try:
        document = orjson.loads(raw)
        return _read(document)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        raise SignatureRejected("signed, and no event") from None


def _read(document: Mapping[str, Any]) -> BillingEvent:
    """Raises whatever a document of another shape raises."""
    kind = _FORMATS[document["object"]]
    about = document["data"]["object"] if kind == "snapshot" else document.get("related_object") or {}
    return BillingEvent(
        id=_word(document["id"], prefix="evt_"),
        format=kind,
        type=_word(document["type"]),
        created=_instant(document["created"]),
        api_version=_optional_word(document.get("api_version")),
        livemode=_truth(document["livemode"]),
        object_id=_optional_word(about.get("id")),
        customer_id=_customer(kind, about),
    )


def _customer(kind: str, about: Mapping[str, Any]) -> str | None:
    if kind == "thin":
        return _optional_word(about.get("id")) if about.get("type") == "customer" else None
    return _optional_word(customer_of(about))


def _instant(created: int | str) -> datetime:
    """Unix seconds of a snapshot event, ISO 8601 of a thin one."""
    at = datetime.fromisoformat(created) if isinstance(created, str) else datetime.fromtimestamp(created, UTC)
    return at.astimezone(UTC)


def _word(value: object, prefix: str = "") -> str:
    if not isinstance(value, str) or not value.startswith(prefix) or not value or "\0" in value:
        raise ValueError("no word")
    return value


def _optional_word(value: object) -> str | None:
    return None if value is None else _word(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("no truth value")
    return value
