"""What a header says is checked before anything is decoded: bombs cost next to nothing."""

from pathlib import Path

import pytest
from PIL import Image

from domain.media.variants import Variant, plan
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import Reason, Unreadable
from tests.imaging.conftest import Publish
from tests.imaging.photos import animation, bomb, corners, encoded


def refused(imaging: ConfinedImaging, path: Path) -> Reason:
    """Why a file is not even looked at further."""
    with pytest.raises(Unreadable) as caught:
        imaging.inspect(path)
    return caught.value.reason


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [(50_000, 50_000, Reason.TOO_MANY_PIXELS), (10_000, 5_001, Reason.TOO_MANY_PIXELS), (2**31 - 1, 1, None)],
)
def test_a_png_that_says_it_is_huge_is_refused_by_its_header(
    imaging: ConfinedImaging, tmp_path: Path, width: int, height: int, reason: Reason | None
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(width, height))
    assert path.stat().st_size < 1000
    # The library itself refuses what is wider than any PNG of its own.
    assert refused(imaging, path) in ({reason} if reason else {Reason.TOO_MANY_PIXELS, Reason.DAMAGED})


def test_ten_thousand_frames_are_refused_and_a_hundred_are_not(imaging: ConfinedImaging, tmp_path: Path) -> None:
    many, most, more = tmp_path / "many.gif", tmp_path / "most.gif", tmp_path / "more.gif"
    head, frame, tail = _parts_of_a_gif()
    many.write_bytes(head + frame * 10_000 + tail)
    assert refused(imaging, many) is Reason.TOO_MANY_FRAMES
    most.write_bytes(head + frame * 100 + tail)
    assert imaging.inspect(most).animated
    more.write_bytes(head + frame * 101 + tail)
    assert refused(imaging, more) is Reason.TOO_MANY_FRAMES


def _parts_of_a_gif() -> tuple[bytes, bytes, bytes]:
    """Everything before the first frame, one frame, and the end."""
    whole = encoded(Image.new("P", (8, 8)), "GIF")
    at = whole.index(b"\x2c\0\0\0\0")  # an image descriptor at the upper left
    return whole[:at], b"\x21\xf9\4\0\5\0\0\0" + whole[at:-1], whole[-1:]


def test_frames_count_towards_the_pixels(tmp_path: Path) -> None:
    moving = tmp_path / "moving.gif"
    moving.write_bytes(animation(frames=5, size=(100, 100)))
    assert ConfinedImaging(Limits(pixels=50_000)).inspect(moving).animated
    assert refused(ConfinedImaging(Limits(pixels=49_999)), moving) is Reason.TOO_MANY_PIXELS


def test_rendering_looks_at_the_header_again(tmp_path: Path) -> None:
    """A file that was exchanged after it was inspected gets no further than its header."""
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(50_000, 50_000))
    with pytest.raises(Unreadable) as caught:
        ConfinedImaging().render(path, tmp_path, plan=_any_plan())
    assert caught.value.reason is Reason.TOO_MANY_PIXELS
    assert [each.name for each in tmp_path.iterdir()] == ["bomb.png"]


def _any_plan() -> tuple[Variant, ...]:
    return plan("image/png", 100, 100)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"hello", Reason.UNKNOWN_TYPE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNKNOWN_TYPE),
        (b"II*\0" + bytes(100), Reason.UNKNOWN_TYPE),
        (b"\xff\xd8\xff", Reason.DAMAGED),
        (b"%PDF-1.7\n", Reason.DAMAGED),
    ],
)
def test_what_is_nothing_of_ours_has_a_reason(
    imaging: ConfinedImaging, tmp_path: Path, content: bytes, reason: Reason
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    assert refused(imaging, path) is reason


def test_a_polyglot_is_decoded_as_what_it_begins_as(imaging: ConfinedImaging, publish: Publish, tmp_path: Path) -> None:
    """Whatever follows the picture is not looked at, and is not in what is published."""
    path = tmp_path / "gifar"
    path.write_bytes(encoded(corners(), "GIF") + b"PK\3\4<script>CANARY()</script>")
    assert imaging.inspect(path).content_type == "image/gif"
    assert all(b"CANARY" not in each.path.read_bytes() for each in publish(path).files)
