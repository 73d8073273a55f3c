"""What a file is, by its first bytes and by nothing that its sender says about it.

Only what we take has a name here; everything else is None. A name says how the file begins, not that the rest of it is
sound: whoever decodes finds that out.
"""

from typing import Final

HEAD_BYTES: Final = 4096
"""How much of a file `sniff` looks at; a shorter head is answered from what there is."""

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
WEBP: Final = "image/webp"
GIF: Final = "image/gif"
AVIF: Final = "image/avif"
HEIC: Final = "image/heic"
PDF: Final = "application/pdf"
MP4: Final = "video/mp4"
MOV: Final = "video/quicktime"
WEBM: Final = "video/webm"

IMAGES: Final = frozenset({JPEG, PNG, WEBP, GIF, AVIF, HEIC})
VIDEOS: Final = frozenset({MP4, MOV, WEBM})
DOCUMENTS: Final = frozenset({PDF})

_BRANDS: Final = (
    (AVIF, frozenset({b"avif", b"avis"})),
    (HEIC, frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})),
    (MOV, frozenset({b"qt  "})),
    (MP4, frozenset({b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9"})),
    (MP4, frozenset({b"mp41", b"mp42", b"mp71", b"avc1", b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"dash", b"f4v "})),
)
"""Brands of ISO base media files (ISO/IEC 14496-12 §4.3). The first line that fits decides: a HEIC may call itself
compatible with MP4, never the other way round."""
_IMAGE_BRANDS: Final = frozenset({b"mif1", b"msf1", b"mif2", b"miaf", b"MiHB", b"MiHE"})
"""Brands that say image and not which coding: the compatible ones decide."""
_MOV_BOXES: Final = frozenset({b"moov", b"mdat", b"wide"})
"""How QuickTime files from before brands begin."""
_EBML: Final = b"\x1a\x45\xdf\xa3"
_DOCTYPE: Final = b"\x42\x82"


def sniff(head: bytes) -> str | None:
    """The content type that these first bytes announce, or None where it is not one of ours."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head.startswith(b"%PDF-"):
        return PDF
    if head.startswith(_EBML):
        return WEBM if _doctype(head) == b"webm" else None
    return _iso_media(head)


def _iso_media(head: bytes) -> str | None:
    """The type of a file of boxes. Readers decide by the major brand; where it is general, by the others."""
    if head[4:8] in _MOV_BOXES:
        return MOV
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major, compatible = head[8:12], {head[at : at + 4] for at in range(16, end - 3, 4)}
    return _named({major}) or _named(compatible, images_only=major in _IMAGE_BRANDS)


def _named(brands: set[bytes], *, images_only: bool = False) -> str | None:
    for content_type, known in _BRANDS:
        if brands & known and (content_type in IMAGES or not images_only):
            return content_type
    return None


def _doctype(head: bytes) -> bytes:
    """The DocType of an EBML header (RFC 8794 §11.2.4); Matroska that is not WebM says `matroska`."""
    at = head.find(_DOCTYPE, len(_EBML), 64)
    if at < 0 or at + 3 > len(head) or not (size := head[at + 2]) & 0x80:
        return b""
    return head[at + 3 : at + 3 + (size & 0x7F)].rstrip(b"\0")
