"""PDF: the first page as a picture, and the number of pages."""

import base64
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Final

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from integrations.imaging import embedded
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import Reason, Unreadable
from tests.imaging.conftest import Publish
from tests.imaging.photos import FILES


def document(*objects: str, pages: str = "/Kids [3 0 R] /Count 1", catalog: str = "") -> bytes:
    """A PDF of these objects from number 3 on, with a table of where they are."""
    body, offsets = b"%PDF-1.7\n", []
    for number, text in enumerate((f"<< /Type /Catalog /Pages 2 0 R {catalog} >>", f"<< {pages} >>", *objects), 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    count = len(offsets) + 1
    return (
        body
        + (
            f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>\n"
            f"startxref\n{len(body)}\n%%EOF\n"
        ).encode()
    )


def page(box: str, *, content: str = "", more: str = "") -> tuple[str, str]:
    """A page and its content stream."""
    return (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R {more} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    )


def test_the_first_page_is_published_on_white_with_the_number_of_pages(
    imaging: ConfinedImaging, publish: Publish
) -> None:
    found = imaging.inspect(FILES / "two_pages.pdf")
    assert (found.content_type, found.pages, found.width, found.height) == ("application/pdf", 2, 1365, 2048)
    made = publish(FILES / "two_pages.pdf")
    assert made.pages == 2
    shown = [each for each in made.files if each.name != "original"]
    assert {each.name for each in shown} == {f"preview-{edge}" for edge in (160, 480, 1080, 2048)}
    for each in shown:
        with Image.open(each.path) as picture:
            shown, (width, height) = picture.convert("RGB"), picture.size
        assert (width, height) == (each.width, each.height)
        red, white = shown.getpixel((width // 2, height // 4)), shown.getpixel((width // 2, 3 * height // 4))
        assert isinstance(red, tuple)
        assert isinstance(white, tuple)
        assert red[0] > 230 > 40 > red[1]
        assert min(white) > 250


def test_a_password_is_a_reason_and_permissions_are_none(imaging: ConfinedImaging) -> None:
    with pytest.raises(Unreadable) as caught:
        imaging.inspect(FILES / "locked.pdf")
    assert caught.value.reason is Reason.ENCRYPTED
    assert imaging.inspect(FILES / "owner_locked.pdf").pages == 2


def test_a_huge_page_and_a_thin_one_are_drawn_no_larger_than_others(imaging: ConfinedImaging, tmp_path: Path) -> None:
    for name, box, size in (
        ("huge", "0 0 14400 7200", (2048, 1024)),
        ("thin", "0 0 3 14400", (1, 2048)),
        ("small", "0 0 10 5", (2048, 1024)),
    ):
        path = tmp_path / name
        path.write_bytes(document(*page(box)))
        found = imaging.inspect(path)
        assert (found.width, found.height) == size


def test_a_document_without_pages_is_damaged(imaging: ConfinedImaging, tmp_path: Path) -> None:
    path = tmp_path / "empty.pdf"
    path.write_bytes(document(pages="/Kids [] /Count 0"))
    with pytest.raises(Unreadable) as caught:
        imaging.inspect(path)
    assert caught.value.reason is Reason.DAMAGED


def test_nothing_that_a_document_wants_to_do_is_done(publish: Publish, tmp_path: Path) -> None:
    """Its scripts would write a file, its actions would start a program: what is drawn is the page, and that is all."""
    mark = tmp_path / "was-here"
    script = f"<< /S /JavaScript /JS (app.launchURL\\('file://{mark}'\\); app.alert\\(1\\)) >>"
    path = tmp_path / "active.pdf"
    path.write_bytes(
        document(
            *page("0 0 100 100", more=f"/AA << /O {script} >>"),
            catalog=f"/OpenAction {script} /AA << /WC << /S /Launch /F (/bin/touch) /P ({mark}) >> >>",
        )
    )
    assert publish(path).pages == 1
    assert not mark.exists()


def camera_picture() -> bytes:
    """A JPEG with a position, a thumbnail, a profile and words behind its end."""
    exif = Image.Exif()
    exif[0x010F] = "CANARY-maker"
    exif.get_ifd(0x8825)[1] = "CANARY-north"
    made = io.BytesIO()
    picture = Image.effect_noise((64, 48), 60).convert("RGB")
    picture.save(made, "JPEG", exif=exif, icc_profile=b"PROFILE!" * 20, comment=b"CANARY-comment", progressive=True)
    return made.getvalue() + b"CANARY-behind"


def with_picture(folder: Path, data: bytes, filters: list[str], *, signed: bool = False) -> Path:
    """A PDF with this picture, and words about its origin in all places that there are."""
    made = pikepdf.new()
    made.add_blank_page(page_size=(100, 100))
    about = {"Type": "XObject", "Subtype": "Image", "Width": 64, "Height": 48, "ColorSpace": "DeviceRGB"}
    picture = made.make_stream(data, {f"/{key}": _value(value) for key, value in about.items()})
    picture["/BitsPerComponent"] = 8
    picture["/Filter"] = pikepdf.Array([pikepdf.Name(name) for name in filters])
    settings = [pikepdf.Dictionary(ColorTransform=1) if name == "/DCTDecode" else None for name in filters]
    picture["/DecodeParms"] = pikepdf.Array(settings)
    picture["/Metadata"] = made.make_stream(b"<x:xmpmeta>CANARY</x:xmpmeta>")
    page = made.pages[0]
    page["/Resources"] = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=picture))
    page["/Contents"] = made.make_stream(b"100 0 0 100 0 0 cm /Im0 Do")
    page["/PieceInfo"] = pikepdf.Dictionary(Maker=pikepdf.Dictionary(Private=pikepdf.String("CANARY")))
    page["/Thumb"] = made.make_stream(b"CANARY")
    made.docinfo["/Author"] = "CANARY"
    made.Root["/Metadata"] = made.make_stream(b"<x:xmpmeta>CANARY</x:xmpmeta>")
    if signed:
        signature = pikepdf.Dictionary(Type=pikepdf.Name.Sig, ByteRange=pikepdf.Array([0, 1, 2, 3]))
        made.Root["/AcroForm"] = pikepdf.Dictionary(Fields=pikepdf.Array([made.make_indirect(signature)]))
    made.save(folder / "it.pdf", compress_streams=False)
    return folder / "it.pdf"


def _value(value: object) -> object:
    return pikepdf.Name(f"/{value}") if isinstance(value, str) else value


def original(publish: Publish, path: Path) -> bytes:
    """What is published of the document itself."""
    return next(each.path for each in publish(path).files if each.name == "original").read_bytes()


WRAPPERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "/FlateDecode": zlib.compress,
    "/ASCII85Decode": lambda data: base64.a85encode(data, wrapcol=80) + b"~>\n",
    "/ASCIIHexDecode": lambda data: data.hex("\n", 40).encode() + b">",
}


@pytest.mark.parametrize(
    "filters",
    [
        ["/DCTDecode"],
        ["/FlateDecode", "/DCTDecode"],
        ["/ASCII85Decode", "/DCTDecode"],
        ["/ASCIIHexDecode", "/DCTDecode"],
        ["/ASCII85Decode", "/FlateDecode", "/DCTDecode"],
    ],
)
def test_a_document_and_its_pictures_do_not_say_where_they_are_from(
    publish: Publish, tmp_path: Path, filters: list[str]
) -> None:
    data = camera_picture()
    assert data.count(b"CANARY") == 4
    wrapped = reduce(lambda inner, name: WRAPPERS[name](inner), reversed(filters[:-1]), data)
    path = with_picture(tmp_path, wrapped, filters)
    published = original(publish, path)
    assert b"CANARY" not in published
    with pikepdf.open(io.BytesIO(published)) as made:
        stream = made.pages[0].Resources.XObject.Im0
        picture = bytes(stream.read_raw_bytes())
        assert stream["/DecodeParms"]["/ColorTransform"] == 1
        assert not made.docinfo
    assert (b"PROFILE!" in picture, picture.endswith(b"\xff\xd9")) == (True, True)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(picture)) as after:
        assert ImageChops.difference(before, after).getbbox() is None, "no pixel is another one"
        assert not after.getexif()


def test_a_document_that_is_signed_is_published_as_it_came(publish: Publish, tmp_path: Path) -> None:
    path = with_picture(tmp_path, camera_picture(), ["/DCTDecode"], signed=True)
    assert original(publish, path) == path.read_bytes()


def test_a_jpeg_2000_keeps_its_picture_alone() -> None:
    made = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(made, "JPEG2000")
    whole = made.getvalue()
    private = struct.pack(">I4s", 8 + 22, b"uuid") + b"CANARY-identifier-----"
    start = whole.index(b"jp2c") - 4
    assert embedded.jpeg_2000(whole[:start] + private + whole[start:]) == whole
    assert embedded.jpeg_2000(whole[start + 8 :]) == whole[start + 8 :]


@given(st.binary(max_size=200), st.integers(0, 3000))
def test_a_damaged_picture_in_a_document_ends_somewhere(noise: bytes, at: int) -> None:
    data = camera_picture()
    broken = data[: at % len(data)] + noise + data[at % len(data) + len(noise) :]
    assert len(embedded.jpeg(broken)) <= len(broken)
    assert len(embedded.jpeg_2000(b"\0\0\0\x0cjP  " + noise)) <= 8 + len(noise)


def test_a_page_that_never_ends_drawing_is_too_slow(tmp_path: Path) -> None:
    path = tmp_path / "busy.pdf"
    path.write_bytes(document(*page("0 0 1000 1000", content="0 0 m 1000 1000 l 0 1000 l 1000 0 l S\n" * 300_000)))
    with pytest.raises(Unreadable) as caught:
        ConfinedImaging(Limits(cpu_seconds=1)).render(path, tmp_path, plan=[])
    assert caught.value.reason is Reason.TOO_SLOW
