"""A file is what its first bytes say, never what its sender says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.media.sniff import sniff


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    """The first box of a file of boxes, and what follows."""
    brands = major + bytes(4) + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + b"\0\0\0\x08free"


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"GIF89a\1\0\1\0", "image/gif"),
        (b"GIF87a\1\0\1\0", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (ftyp(b"avif", b"mif1", b"miaf"), "image/avif"),
        (ftyp(b"avis", b"avif", b"msf1"), "image/avif"),
        (ftyp(b"mif1", b"avif", b"miaf"), "image/avif"),
        (ftyp(b"heic", b"mif1", b"heic"), "image/heic"),
        (ftyp(b"mif1", b"mif1", b"heic"), "image/heic"),
        (ftyp(b"heic", b"mp41", b"heix"), "image/heic"),
        (ftyp(b"isom", b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4"),
        (ftyp(b"mp42", b"mp41", b"mp42", b"isom"), "video/mp4"),
        (ftyp(b"XAVC", b"XAVC", b"mp42", b"iso2"), "video/mp4"),
        (ftyp(b"qt  ", b"qt  "), "video/quicktime"),
        (b"\0\0\0\x08wide\0\0\1\0mdat", "video/quicktime"),
        (
            b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\xf7\x81\1\x42\xf2\x81\4\x42\xf3\x81\x08\x42\x82\x84webm",
            "video/webm",
        ),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\xf7\x81\1\x42\x82\x88matroska", None),
        (ftyp(b"mif1", b"mif1", b"mp41"), None),
        (ftyp(b"crx ", b"crx "), None),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (b"RIFF", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"<!DOCTYPE html>", None),
        (b"PK\3\4", None),
        (b"MZ\x90\0", None),
        (b"\x7fELF", None),
        (b"II*\0", None),
        (b" %PDF-1.7", None),
        (b"\0\0\0\x08ftyp", None),
        (b"", None),
    ],
)
def test_a_type_is_known_by_its_first_bytes(head: bytes, content_type: str | None) -> None:
    assert sniff(head) == content_type


@given(st.binary(max_size=200), st.sampled_from([b"", b"\0\0\0\x20ftyp", b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0"]))
def test_any_bytes_have_an_answer(noise: bytes, begin: bytes) -> None:
    assert sniff(begin + noise) is None or sniff(begin + noise) == sniff(begin + noise + b"more")
