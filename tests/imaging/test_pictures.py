"""What is published of a picture looks as it was taken, in every size and format."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import Image

from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.protocol import Rendered
from tests.imaging.conftest import Publish
from tests.imaging.photos import CORNERS, FILES, P3, animation, corners, encoded, exif, stored

Colour = tuple[int, ...]


def near(seen: object, wanted: Colour, within: int = 14) -> bool:
    """Whether a lossy copy shows this colour."""
    assert isinstance(seen, tuple)
    return all(abs(a - b) <= within for a, b in zip(seen, wanted, strict=True))


def middle(path: Path) -> object:
    """The colour in the middle of a file."""
    with Image.open(path) as picture:
        shown = picture.convert("RGBA" if "A" in picture.mode else "RGB")
        return shown.getpixel((shown.width // 2, shown.height // 2))


def shows_corners(path: Path) -> bool:
    """Whether every corner has its colour."""
    with Image.open(path) as picture:
        shown, (width, height) = picture.convert("RGB"), picture.size
    places = {"red": (0, 0), "green": (1, 0), "blue": (0, 1), "white": (1, 1)}
    return all(
        near(shown.getpixel((round(width * (0.25 + x / 2)), round(height * (0.25 + y / 2)))), CORNERS[name])
        for name, (x, y) in places.items()
    )


def by_name(rendered: Rendered) -> dict[str, Path]:
    """Paths by file name."""
    return {each.path.name: each.path for each in rendered.files}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_each_way_of_holding_a_camera_ends_upright(
    imaging: ConfinedImaging, publish: Publish, tmp_path: Path, orientation: int, kind: str
) -> None:
    photo = tmp_path / "photo"
    photo.write_bytes(encoded(stored(orientation), kind, exif=exif(orientation)))
    found = imaging.inspect(photo)
    assert (found.width, found.height) == (320, 240)
    rendered = publish(photo)
    assert len(rendered.files) == 6
    for each in rendered.files:
        assert (each.width, each.height) == ((160, 120) if each.name == "160" else (320, 240))
        assert shows_corners(each.path), each


def test_a_heic_ends_upright_and_its_date_is_read(imaging: ConfinedImaging, publish: Publish) -> None:
    found = imaging.inspect(FILES / "turned.heic")
    assert (found.content_type, found.width, found.height) == ("image/heic", 48, 64)
    assert found.captured_at == datetime(2024, 5, 1, 10, 30, tzinfo=UTC)
    with Image.open(by_name(publish(FILES / "turned.heic"))["160.webp"]) as picture:
        shown = picture.convert("RGB")
    assert near(shown.getpixel((12, 16)), CORNERS["blue"])  # the red corner is at the upper right after a turn by 90°
    assert near(shown.getpixel((36, 16)), CORNERS["red"])


@pytest.mark.parametrize("name", ["p3.heic", "p3_nclx.heic"])
def test_a_heic_in_display_p3_keeps_its_colours(publish: Publish, name: str) -> None:
    for each in publish(FILES / name).files:
        assert near(middle(each.path), (216, 69, 76), within=5), each


def test_a_heic_of_ten_bits_and_one_with_opacity_are_read(publish: Publish) -> None:
    assert near(middle(by_name(publish(FILES / "ten_bit.heic"))["160.jpg"]), (117, 117, 117), within=3)
    assert near(middle(by_name(publish(FILES / "alpha.heic"))["160.webp"]), (200, 30, 30, 128), within=6)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"quality": 95})])
def test_display_p3_becomes_srgb(publish: Publish, tmp_path: Path, kind: str, options: dict[str, int]) -> None:
    """(200, 80, 80) of Display P3 is (216, 69, 76) of sRGB, by the matrices of CSS Color 4."""
    photo = tmp_path / "photo"
    photo.write_bytes(encoded(Image.new("RGB", (64, 64), (200, 80, 80)), kind, icc_profile=P3, **options))
    for each in publish(photo).files:
        assert near(middle(each.path), (216, 69, 76), within=5), each
        with Image.open(each.path) as picture:
            assert "icc_profile" not in picture.info


def test_cmyk_sixteen_bits_and_greys_come_out_as_what_screens_show(publish: Publish, tmp_path: Path) -> None:
    grey = Image.new("L", (40, 40), 120)
    photos = {
        "cmyk": (encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG", quality=95), (237, 28, 36), 40),
        "sixteen": (encoded(Image.new("I;16", (40, 40), 120 * 257), "PNG"), (120, 120, 120), 4),
        "grey": (encoded(grey, "JPEG"), (120, 120, 120), 4),
        "palette": (encoded(corners(40, 40).quantize(4), "GIF"), None, 0),
    }
    for name, (content, colour, within) in photos.items():
        (tmp_path / name).write_bytes(content)
        for each in publish(tmp_path / name).files:
            assert colour is None or near(middle(each.path), colour, within), (name, each)
            with Image.open(each.path) as picture:
                assert picture.mode in ("RGB", "L")


def test_opacity_stays_where_the_format_has_it_and_is_white_in_jpeg(publish: Publish, tmp_path: Path) -> None:
    photo = tmp_path / "sticker.png"
    photo.write_bytes(encoded(Image.new("RGBA", (64, 64), (200, 30, 30, 0)), "PNG"))
    paths = by_name(publish(photo))
    assert near(middle(paths["160.jpg"]), (255, 255, 255), within=2)
    for kind in ("webp", "avif"):
        seen = middle(paths[f"160.{kind}"])
        assert isinstance(seen, tuple)
        assert seen[3] == 0


def test_a_large_photo_has_all_sizes_and_a_small_one_is_not_enlarged(publish: Publish, tmp_path: Path) -> None:
    for name, size, edges in (
        ("large", (2400, 1200), {"160": 160, "480": 480, "1080": 1080, "2048": 2048}),
        ("small", (300, 900), {"160": 160, "480": 480, "1080": 900}),
        ("tiny", (1, 1), {"160": 1}),
    ):
        (tmp_path / name).write_bytes(encoded(corners(*size), "PNG"))
        rendered = publish(tmp_path / name)
        assert {each.name: max(each.width, each.height) for each in rendered.files} == edges
        for each in rendered.files:
            with Image.open(each.path) as picture:
                assert picture.size == (each.width, each.height)
            assert each.size == each.path.stat().st_size


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_what_moves_goes_on_moving_in_webp_alone(
    imaging: ConfinedImaging, publish: Publish, tmp_path: Path, kind: str
) -> None:
    moving = tmp_path / "moving"
    moving.write_bytes(animation(kind=kind))
    assert imaging.inspect(moving).animated
    for each in publish(moving).files:
        with Image.open(each.path) as picture:
            frames = getattr(picture, "n_frames", 1)
            assert frames == (5 if each.content_type == "image/webp" else 1), each
            assert (each.width, each.height) == picture.size
            if frames > 1:
                picture.seek(1)
                picture.load()
                assert (picture.info["duration"], picture.info["loop"]) == (60, 0)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_what_moves_is_turned_frame_by_frame(publish: Publish, tmp_path: Path, orientation: int) -> None:
    moving, frame = tmp_path / "moving", stored(orientation)
    options = {"save_all": True, "append_images": [frame.point(lambda value: 255 - value)], "duration": 60, "loop": 0}
    moving.write_bytes(encoded(frame, "WEBP", exif=exif(orientation), lossless=True, **options))
    path = by_name(publish(moving))["480.webp"]
    with Image.open(path) as picture:
        assert (picture.size, picture.n_frames) == ((320, 240), 2)
        picture.seek(1)
        picture.load()
        assert (picture.info["duration"], picture.info["loop"]) == (60, 0)
    assert shows_corners(path)


def test_an_avif_that_names_display_p3_keeps_its_colours(publish: Publish, tmp_path: Path) -> None:
    content = encoded(Image.new("RGB", (64, 64), (200, 80, 80)), "AVIF", quality=95)
    mark = content.index(b"colrnclx") + 8
    (tmp_path / "photo").write_bytes(content[:mark] + (12).to_bytes(2, "big") + content[mark + 2 :])
    for each in publish(tmp_path / "photo").files:
        assert near(middle(each.path), (216, 69, 76), within=5), each


def test_the_camera_s_clock_is_read_with_and_without_a_zone(imaging: ConfinedImaging, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    moment = datetime(2024, 5, 1, 12, 30)  # noqa: DTZ001  a camera's clock
    for taken, offset, expected in (
        ("2024:05:01 12:30:00", "+02:00", moment.replace(tzinfo=timezone(timedelta(hours=2)))),
        ("2024:05:01 12:30:00", "nonsense", moment),
        ("0000:00:00 00:00:00", "+02:00", None),
        ("yesterday", "", None),
    ):
        photo.write_bytes(encoded(corners(), "JPEG", exif=exif(taken=taken, offset=offset)))
        assert imaging.inspect(photo).captured_at == expected


def test_the_same_file_again_makes_the_same_pictures(publish: Publish, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.write_bytes(encoded(corners(900, 700), "JPEG"))
    one, other = publish(first), publish(second)
    assert one.thumbhash == other.thumbhash
    assert [each.path.read_bytes() for each in one.files] == [each.path.read_bytes() for each in other.files]
