"""The folder of a worker of media: its own, private, and gone when its process is, however that ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from activities.media_files import open_scratch
from core.ids import new_id

WORKER = """
import sys
from pathlib import Path
from activities.media_files import open_scratch
from core.ids import new_id
with open_scratch(Path(sys.argv[1])) as scratch:
    (scratch.of(new_id()) / "content").write_bytes(b"a photo")
    print("works", flush=True)
    sys.stdin.read()
"""


def folders(home: Path) -> list[Path]:
    return sorted(home.glob("*petfolio-media-scratch-*"))


def begin_work(home: Path) -> "subprocess.Popen[bytes]":
    """Another process, with a file in its folder."""
    process = subprocess.Popen(
        (sys.executable, "-c", WORKER, str(home)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"works\n"
    return process


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_process_that_died_left_is_gone_when_the_next_one_works(tmp_path: Path, how: signal.Signals) -> None:
    with begin_work(tmp_path) as dead:
        (left,) = folders(tmp_path)
        dead.send_signal(how)
    assert left.exists()
    with open_scratch(tmp_path):
        assert not left.exists()
        assert len(folders(tmp_path)) == 1
    assert folders(tmp_path) == []


def test_the_files_of_a_process_that_works_are_left_alone(tmp_path: Path) -> None:
    with begin_work(tmp_path) as alive:
        (theirs,) = folders(tmp_path)
        with open_scratch(tmp_path):
            assert [path.read_bytes() for path in theirs.rglob("content")] == [b"a photo"]
        assert theirs.exists()
        assert alive.stdin is not None
        alive.stdin.close()
    assert folders(tmp_path) == []


def test_a_folder_that_vanished_is_made_anew_and_private_again(tmp_path: Path) -> None:
    asset_id = new_id()
    with open_scratch(tmp_path) as scratch:
        (root,) = folders(tmp_path)
        before = os.stat(root).st_mode
        (scratch.of(asset_id) / "content").write_bytes(b"a photo")
        scratch.drop(asset_id)
        root.rmdir()
        with scratch.output(asset_id) as made:
            assert made.is_dir()
        assert os.stat(root).st_mode == before
        assert before & 0o077 == 0


def test_a_folder_with_another_name_is_nobodys_scratch(tmp_path: Path) -> None:
    theirs = tmp_path / "petfolio-media-photos"
    theirs.mkdir()
    with open_scratch(tmp_path):
        assert theirs.exists()


def test_what_another_process_went_on_with_is_forgotten_after_a_while(tmp_path: Path) -> None:
    idle, busy = new_id(), new_id()
    with open_scratch(tmp_path) as scratch:
        for asset_id in (idle, busy):
            (scratch.of(asset_id) / "content").write_bytes(b"a photo")
            os.utime(scratch.of(asset_id), (0, 0))
        scratch.of(busy)
        (root,) = folders(tmp_path)
        assert [path.name for path in root.iterdir()] == [str(busy)]
        assert (scratch.of(busy) / "content").exists()
