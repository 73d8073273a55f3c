"""What is made of an upload follows from what it is."""

from hypothesis import given
from hypothesis import strategies as st

from domain.media.variants import EDGES, Variant, plan


def test_a_photo_is_published_in_four_sizes_and_three_formats() -> None:
    assert [each.file_name for each in plan("image/jpeg", 4032, 3024)] == [
        f"{edge}.{extension}" for edge in (160, 480, 1080, 2048) for extension in ("avif", "webp", "jpg")
    ]


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_no_size_is_published_twice_and_none_is_missing(width: int, height: int) -> None:
    edges = sorted({each.edge for each in plan("image/png", width, height) if each.edge})
    longest = max(width, height)
    assert edges == list(EDGES[: len(edges)])
    assert all(edge < longest for edge in edges[:-1])
    assert edges[-1] >= longest or edges == list(EDGES)


def test_what_moves_moves_in_webp() -> None:
    assert {each.file_name for each in plan("image/gif", 200, 100, animated=True) if each.animated} == {
        "160.webp",
        "480.webp",
    }


def test_a_document_has_previews_and_like_a_video_itself() -> None:
    previews = {f"preview-{edge}" for edge in EDGES}
    assert {each.name for each in plan("application/pdf", 1448, 2048)} == {"original", *previews}
    assert plan("video/webm", 640, 360) == (Variant("original", "video/webm"),)
    assert plan("video/quicktime", 640, 360)[0].file_name == "original.mov"
