"""What whoever decodes may rely on, whichever decoder it is."""

from pathlib import Path

import pytest

from domain.media import variants
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.memory import MemoryImaging
from integrations.imaging.protocol import Imaging, ImagingUnavailable, Reason, Unreadable
from tests.activities.media_home import photo

PHOTO = photo(640, 480)


class Enough(Exception):
    """Nobody wants it any more."""


@pytest.fixture(params=["confined", "memory"])
def decoder(request: pytest.FixtureRequest) -> Imaging:
    return ConfinedImaging() if request.param == "confined" else MemoryImaging()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A photo that calls itself something else."""
    path = tmp_path / "photo.pdf"
    path.write_bytes(PHOTO)
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Where files are made."""
    folder = tmp_path / "made"
    folder.mkdir()
    return folder


def test_a_file_is_what_its_content_says(decoder: Imaging, path: Path) -> None:
    found = decoder.inspect(path)
    assert (found.content_type, found.width, found.height, found.pages, found.animated) == (
        "image/jpeg",
        640,
        480,
        1,
        False,
    )


def test_what_was_planned_is_made_and_nothing_else(decoder: Imaging, path: Path, into: Path) -> None:
    plan = variants.plan("image/jpeg", 640, 480)
    for _ in range(2):
        rendered = decoder.render(path, into, plan=plan)
        assert [each.name for each in rendered.files] == [variant.name for variant in plan]
        assert {each.path for each in rendered.files} == set(into.iterdir())
        for each, variant in zip(rendered.files, plan, strict=True):
            assert each.content_type == variant.content_type
            assert each.size == each.path.stat().st_size > 0
            assert max(each.width, each.height) == min(variant.edge or 0, 640)
        assert rendered.thumbhash


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", Reason.EMPTY), (b"MZ" + bytes(100), Reason.UNKNOWN_TYPE)], ids=["empty", "unknown"]
)
def test_what_is_no_file_of_ours_has_a_reason(
    decoder: Imaging, path: Path, into: Path, content: bytes, reason: Reason
) -> None:
    path.write_bytes(content)
    for ask in (lambda: decoder.inspect(path), lambda: decoder.render(path, into, plan=variants.plan("x", 1, 1))):
        with pytest.raises(Unreadable) as refused:
            ask()
        assert refused.value.reason is reason
    assert list(into.iterdir()) == []


def test_what_progress_raises_comes_out_and_leaves_no_file(decoder: Imaging, path: Path, into: Path) -> None:
    def stop(percent: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        decoder.render(path, into, plan=variants.plan("image/jpeg", 640, 480), on_progress=stop)
    assert list(into.iterdir()) == []


def test_in_memory_files_are_refused_and_machines_away_as_told(path: Path, into: Path) -> None:
    decoder = MemoryImaging(refusals={b"JFIF": Reason.DAMAGED}, away=1)
    with pytest.raises(ImagingUnavailable):
        decoder.inspect(path)
    with pytest.raises(Unreadable) as refused:
        decoder.inspect(path)
    assert refused.value.reason is Reason.DAMAGED
