"""What is published says nothing about where, when, by whom and with what it was made."""

import io
from pathlib import Path

import exifread
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from integrations.imaging.confined import ConfinedImaging
from tests.imaging.conftest import Publish
from tests.imaging.photos import CANARY, FILES, corners, encoded, exif

TRACES = (
    CANARY.encode(),
    b"CanaryMaker",
    b"CANARY",
    b"GPS",
    b"2024:05:01",
    b"47.3686",
    b"JFIF\0\1\1\0\0\1\0\1\0\0\xff\xe1",
)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>CANARY-XMP GPSLatitude="47,22.1N"</rdf:RDF></x:xmpmeta>'


def photos() -> dict[str, bytes]:
    """A file of each type with everything that a camera can put into it."""
    picture, data, text = corners(), exif(), PngInfo()
    text.add_text("Comment", "CANARY-TEXT")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    moving = {"save_all": True, "append_images": [corners().rotate(90)], "exif": data, "xmp": XMP}
    return {
        "photo.jpg": encoded(picture, "JPEG", exif=data, comment=b"CANARY-COMMENT", xmp=XMP),
        "photo.webp": encoded(picture, "WEBP", exif=data, xmp=XMP),
        "moving.webp": encoded(picture, "WEBP", **moving),
        "photo.png": encoded(picture, "PNG", exif=data, pnginfo=text),
        "photo.avif": encoded(picture, "AVIF", exif=data, xmp=XMP),
        "photo.gif": encoded(picture, "GIF", comment=b"CANARY-COMMENT"),
        "photo.heic": (FILES / "turned.heic").read_bytes(),
    }


@pytest.mark.parametrize("name", photos())
def test_no_variant_has_anything_of_the_camera(publish: Publish, tmp_path: Path, name: str) -> None:
    content = photos()[name]
    assert b"CANARY" in content, "the test has to lose something"
    (tmp_path / name).write_bytes(content)
    files = publish(tmp_path / name).files
    assert files
    for each in files:
        published = each.path.read_bytes()
        assert not [trace for trace in TRACES if trace in published], each
        assert not exifread.process_file(io.BytesIO(published), details=True), each
        with Image.open(io.BytesIO(published)) as picture:
            assert not picture.getexif()
            assert not picture.info.keys() & {"exif", "xmp", "XML:com.adobe.xmp", "comment", "photoshop", "icc_profile"}


def test_the_reader_of_this_test_finds_what_is_there() -> None:
    found = exifread.process_file(io.BytesIO(photos()["photo.jpg"]), details=True)
    assert str(found["EXIF BodySerialNumber"]) == CANARY
    assert str(found["GPS GPSLatitude"]) == "[47, 22, 10]"
    assert found["JPEGThumbnail"][:2] == b"\xff\xd8"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.webm"])
def test_a_published_video_plays_as_before_and_tells_nothing(
    imaging: ConfinedImaging, publish: Publish, name: str
) -> None:
    original = (FILES / name).read_bytes()
    assert b"CANARY" in original
    assert b"47.3686" in original
    (made,) = publish(FILES / name).files
    published = made.path.read_bytes()
    assert len(published) == len(original) == made.size
    assert not [trace for trace in TRACES if trace in published]
    again = imaging.inspect(made.path)
    assert (again.width, again.height, again.captured_at) == (64, 48, None)
