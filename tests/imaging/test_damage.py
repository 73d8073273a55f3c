"""Damaged files of every type: each is published or has a reason, and whoever asked goes on.

More than 2,000 of them, the same ones each time; with PETFOLIO_EXPLORE as many that nobody has seen.
"""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random, SystemRandom

import psutil
import pytest
from PIL import Image

from domain.media.sniff import IMAGES
from domain.media.variants import plan
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.protocol import Unreadable
from tests.imaging.forks import forks
from tests.imaging.photos import CANARY, FILES, animation, corners, encoded, exif

EXPLORE = bool(os.environ.get("PETFOLIO_EXPLORE"))
EACH = 110
SEED = SystemRandom().randrange(2**32) if EXPLORE else 2024
INTERESTING = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xfe", b"\0\1", b"\xff\xd9")


def whole() -> dict[str, bytes]:
    """A sound file of each type, and of each way a type can be coded."""
    picture = corners(96, 64)
    return {
        "photo.jpg": encoded(picture, "JPEG", exif=exif(6)),
        "progressive.jpg": encoded(picture, "JPEG", progressive=True),
        "photo.png": encoded(picture, "PNG", exif=exif()),
        "palette.png": encoded(picture.quantize(8), "PNG"),
        "photo.webp": encoded(picture, "WEBP", exif=exif()),
        "lossless.webp": encoded(picture, "WEBP", lossless=True),
        "moving.webp": animation(4, (48, 32), "WEBP"),
        "moving.gif": animation(4, (48, 32)),
        "photo.avif": encoded(picture, "AVIF"),
        **{path.name: path.read_bytes() for path in sorted(FILES.glob("*.*")) if path.name != "locked.pdf"},
    }


def damaged(content: bytes, others: list[bytes], dice: Random) -> bytes:
    """The file after one accident, or several."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 6))):
        at = dice.randrange(len(data)) if dice.random() < 0.5 else dice.randrange(min(len(data), 200))
        match dice.randrange(6):
            case 0:
                del data[max(at, 1) :]
            case 1:
                data[at] ^= 1 << dice.randrange(8)
            case 2:
                value = dice.choice(INTERESTING)
                data[at : at + len(value)] = value
            case 3:
                data[at : at + dice.randrange(1, 64)] = dice.randbytes(dice.randrange(64))
            case 4:
                data[at:at] = data[at : at + dice.randrange(1, 400)]
            case _:
                other = dice.choice(others)
                data[at:] = other[dice.randrange(len(other)) :]
        data = data or bytearray(b"\0")
    return bytes(data)


def inputs() -> Iterator[tuple[str, bytes]]:
    """Files with the names of what they were."""
    files, dice = whole(), Random(SEED)
    for name, content in files.items():
        for number in range(EACH):
            yield f"{number}-{name}", damaged(content, list(files.values()), dice)


def outcome(imaging: ConfinedImaging, path: Path, into: Path) -> str:
    """`published`, or the reason why not. Raises for anything else, and for a file that is not sound."""
    into.mkdir()
    try:
        found = imaging.inspect(path)
        wanted = plan(found.content_type, found.width, found.height, animated=found.animated)
        made = imaging.render(path, into, plan=wanted)
    except Unreadable as refused:
        assert not list(into.iterdir())
        return refused.reason.value
    assert {each.path.name for each in made.files} == {each.file_name for each in wanted}
    for each in made.files:
        assert CANARY.encode() not in each.path.read_bytes()
        if each.content_type in IMAGES:
            with Image.open(each.path) as picture:
                picture.load()
                assert picture.size == (each.width, each.height)
    return "published"


@pytest.mark.timeout(1200)
def test_every_damaged_file_is_published_or_has_a_reason(imaging: ConfinedImaging, tmp_path: Path) -> None:
    def one(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return outcome(imaging, path, tmp_path / f"of {name}")

    everything = list(inputs())
    Random(SEED).shuffle(everything)
    half = len(everything) // 2
    with ThreadPoolExecutor(2) as threads:
        found = Counter(threads.map(one, *zip(*everything[:half], strict=True)))
        before = psutil.Process().memory_info().rss  # the threads and what reads the pictures here have had their room
        found += Counter(threads.map(one, *zip(*everything[half:], strict=True)))
    assert sum(found.values()) == EACH * len(whole()) > 2000
    assert found["published"] > len(whole()), found
    assert found["damaged"] > len(whole()), found
    assert psutil.Process().memory_info().rss - before < 100 * 2**20, "files stay with the child"
    assert not forks()
    print(f"seed {SEED}: {dict(found)}")
