"""What may be uploaded: kinds, their largest size, and what each purpose takes. Room is the plan's
(`domain/billing/catalogue.py`), counted in bytes as they were uploaded: renditions are ours to pay for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from core.errors import Conflict, FieldProblem, Invalid
from domain.billing.limits import PLANS

_MB: Final = 10**6


class Kind(StrEnum):
    """What a content is, whatever its format."""

    IMAGE = "image"
    PDF = "pdf"
    VIDEO = "video"


class Purpose(StrEnum):
    """Where a file goes: on the pet's page, among its papers, or to an entry of its diary."""

    PROFILE_PHOTO = "profile_photo"
    DOCUMENT = "document"
    ATTACHMENT = "attachment"


KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic"), Kind.IMAGE),
    "application/pdf": Kind.PDF,
    **dict.fromkeys(("video/mp4", "video/quicktime", "video/webm"), Kind.VIDEO),
}
"""The content types that are taken. Whatever else a file says of itself is refused."""
LARGEST: Final[Mapping[Kind, int]] = {Kind.IMAGE: 25 * _MB, Kind.PDF: 50 * _MB, Kind.VIDEO: 200 * _MB}
MULTIPART_ABOVE: Final = 16 * _MB
"""Larger ones come in parts, so that a broken line costs one of them."""
PART_BYTES: Final = 8 * 2**20
"""S3 takes none below 5 MiB, but for the last one."""


class QuotaExceeded(Conflict):
    """409: the plan has no room for it. `limit`, `used` and `asked` in bytes; `plans`: where there is more."""

    code = "quota_exceeded"

    @classmethod
    def of(cls, limit: int, used: int, asked: int) -> "QuotaExceeded":
        """`used` counts what is being uploaded too."""
        return cls(
            "There is no room left for this file: delete something, or choose a larger plan.",
            extra={"limit": limit, "used": used, "asked": asked, "plans": PLANS},
        )


def check_upload(purpose: Purpose, content_type: str, size: int) -> Kind:
    """What it is that somebody wants to upload. Raises `Invalid` for a type or a size that is not taken."""
    kind = KINDS.get(content_type)
    if kind is None:
        raise _invalid("content_type", "unsupported_type", f"we take {', '.join(KINDS)}")
    if purpose is Purpose.PROFILE_PHOTO and kind is not Kind.IMAGE:
        raise _invalid("content_type", "unsupported_type", "a profile photo is an image")
    if size > LARGEST[kind]:
        raise _invalid("size", "too_large", f"{kind} files may have {LARGEST[kind] // _MB} MB")
    return kind


def part_sizes(size: int) -> Mapping[int, int]:
    """How a content of this size is cut: the bytes of each part, by number."""
    count = max(-(-size // PART_BYTES), 1)
    return {number: min(PART_BYTES, size - (number - 1) * PART_BYTES) for number in range(1, count + 1)}


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
