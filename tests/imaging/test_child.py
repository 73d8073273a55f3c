"""Whatever a file does to the process that decodes it, the process that asked goes on and has an answer."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from core.errors import PetfolioError
from domain.media.variants import Variant, plan
from integrations.imaging import child
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.limits import Limits
from integrations.imaging.process import ask
from integrations.imaging.protocol import ImagingUnavailable, Reason, Unreadable
from tests.architecture.source import ROOT
from tests.imaging import tasks
from tests.imaging.forks import forks, servers
from tests.imaging.photos import corners, encoded

PLAN = plan("image/jpeg", 320, 240)


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    """The dead would be there as well."""
    yield
    assert not forks()


def ending(task: child.Task, limits: Limits | None = None) -> PetfolioError:
    """What asking raises."""
    with pytest.raises(PetfolioError) as caught:
        ask(task, limits or Limits(), lambda _: None)
    return caught.value


def reason(task: child.Task, limits: Limits | None = None) -> Reason:
    """Why the file is to blame."""
    error = ending(task, limits)
    assert isinstance(error, Unreadable), error
    assert not error.retryable
    return error.reason


def test_more_memory_than_a_child_may_have_is_the_file_s_fault() -> None:
    assert reason(tasks.eats_memory) is Reason.TOO_MUCH_MEMORY


def test_more_computing_than_a_child_may_do_is_the_file_s_fault() -> None:
    assert reason(tasks.thinks_for_ever, Limits(cpu_seconds=1)) is Reason.TOO_SLOW


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL])
def test_a_fall_is_the_file_s_fault(number: int) -> None:
    assert reason(partial(tasks.falls, number)) is Reason.DAMAGED


def test_glib_without_memory_is_too_much_memory() -> None:
    assert reason(partial(tasks.falls, signal.SIGTRAP)) is Reason.TOO_MUCH_MEMORY


def test_a_mistake_of_ours_ends_one_file() -> None:
    assert reason(tasks.raises) is Reason.DAMAGED


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_somebody_ends_is_nobody_s_fault(number: int) -> None:
    error = ending(partial(tasks.falls, number))
    assert isinstance(error, ImagingUnavailable)
    assert error.retryable


def test_a_full_disk_and_a_machine_without_a_core_are_not_the_file_s_fault(tmp_path: Path) -> None:
    assert isinstance(ending(tasks.finds_no_room), ImagingUnavailable)
    waiting = partial(tasks.waits_for_ever, tmp_path / "pid")
    assert isinstance(ending(waiting, Limits(wall_seconds=1)), ImagingUnavailable)


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of system calls is Linux'")
def test_a_child_that_is_taken_over_has_no_secrets_no_network_and_starts_nothing() -> None:
    ask_apart = (
        "from integrations.imaging.process import ask; from integrations.imaging.limits import Limits;"
        "from tests.imaging import tasks; print(ask(tasks.looks_around, Limits(), print).inspected.content_type)"
    )
    environment = {**os.environ, "PETFOLIO_S3_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(
        [sys.executable, "-c", ask_apart], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "and a thread"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_what_children_are_forked_from_has_no_secrets_of_a_worker() -> None:
    ask_apart = (
        "from integrations.imaging import cage; from integrations.imaging.process import ask;"
        "from integrations.imaging.limits import Limits; from tests.imaging import tasks;"
        "cage.keep_secrets(); print(ask(tasks.looks_at_its_parent, Limits(), print).inspected.content_type)"
    )
    environment = {**os.environ, "PETFOLIO_S3_SECRET_ACCESS_KEY": "canary", "AWS_SECRET_ACCESS_KEY": "canary"}
    done = subprocess.run(
        [sys.executable, "-c", ask_apart], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "PATH=" in done.stdout
    assert "canary" not in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_who_is_of_the_same_user_may_not_look_into_a_worker() -> None:
    look = """
import ctypes, os, sys
from integrations.imaging import cage

def is_read(name):
    parent = os.getpid()
    if (child := os.fork()) == 0:
        try:
            open(f"/proc/{parent}/{name}", "rb").close()
        except PermissionError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0

if os.getuid() == 0:  # which reads everything
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a change of the user closes it as well
before = [is_read(name) for name in ("environ", "mem")]
cage.keep_secrets()
print(before, [is_read(name) for name in ("environ", "mem")])
"""
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True, True] [False, False]"


class _Loot:
    """Unpickled, it runs a program."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/petfolio-was-here",)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"percent": "x"}', b'{"inspected": {"content_type": 1}}', b"x" * 100_000, pickle.dumps(_Loot())],
)
def test_what_a_child_says_is_not_believed(content: bytes) -> None:
    assert reason(partial(tasks.is_taken_over, content)) is Reason.DAMAGED
    assert not Path("/tmp/petfolio-was-here").exists()


def test_a_child_cannot_name_files_that_were_not_asked_for(tmp_path: Path) -> None:
    """Nor leave one out: the plan decides what is moved to where."""
    photo, into = tmp_path / "photo", tmp_path / "into"
    photo.write_bytes(encoded(corners(), "JPEG"))
    into.mkdir()
    made = ConfinedImaging().render(photo, into, plan=[Variant("160", "image/webp", 160)])
    assert [each.path for each in made.files] == list(into.iterdir()) == [into / "160.webp"]


def test_progress_comes_while_a_child_waits_and_what_it_raises_ends_the_child(tmp_path: Path) -> None:
    heard: list[int] = []
    note = tmp_path / "pid"

    def cancelled(percent: int) -> None:
        heard.append(percent)
        if len(heard) > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(partial(tasks.waits_for_ever, note), Limits(), cancelled)
    assert heard[-2:] == [1, 1]
    assert not psutil.pid_exists(int(note.read_text()))


def test_a_cancelled_rendering_leaves_no_file(tmp_path: Path) -> None:
    photo, into = tmp_path / "photo", tmp_path / "into"
    photo.write_bytes(encoded(corners(2400, 1800), "JPEG"))
    into.mkdir()

    def cancelled(percent: int) -> None:
        if percent > 40:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        ConfinedImaging().render(photo, into, plan=plan("image/jpeg", 2400, 1800), on_progress=cancelled)
    assert not list(into.iterdir())


def test_progress_goes_up_to_the_end(tmp_path: Path) -> None:
    photo = tmp_path / "photo"
    photo.write_bytes(encoded(corners(2400, 1800), "JPEG"))
    heard: list[int] = []
    ConfinedImaging().render(photo, tmp_path, plan=plan("image/jpeg", 2400, 1800), on_progress=heard.append)
    assert heard == sorted(heard)
    assert heard[0] == 0
    assert {each for each in heard if 30 < each < 100}


def test_many_threads_ask_at_once_and_each_has_its_own_answer(tmp_path: Path) -> None:
    """Falls among them: multiprocessing hands an exit code to whoever looks first."""
    photo = tmp_path / "photo"
    photo.write_bytes(encoded(corners(), "JPEG"))
    imaging = ConfinedImaging()

    def one(number: int) -> object:
        match number % 3:
            case 0:
                return reason(partial(tasks.falls, signal.SIGSEGV))
            case 1:
                return imaging.inspect(photo).width
            case _:
                return reason(tasks.eats_memory)

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(one, range(60)))
    assert found == [Reason.DAMAGED, 320, Reason.TOO_MUCH_MEMORY] * 20


def test_after_the_death_of_the_server_another_one_forks() -> None:
    assert ask(tasks.answers, Limits(), lambda _: None).inspected
    (server,) = servers()
    server.kill()
    while server.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert ask(tasks.answers, Limits(), lambda _: None).inspected


_WORKER = """
import sys
from functools import partial
from pathlib import Path
from integrations.imaging.limits import Limits
from integrations.imaging.process import ask
from tests.imaging import tasks
ask(partial(tasks.waits_for_ever, Path(sys.argv[1])), Limits(), lambda percent: None)
"""


def test_a_worker_that_is_killed_takes_its_children_along(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, note], cwd=ROOT)
    try:
        while not (note.exists() and note.read_text()):
            assert worker.poll() is None
            time.sleep(0.05)
        family = psutil.Process(worker.pid).children(recursive=True)
        assert int(note.read_text()) in {each.pid for each in family}
    finally:
        worker.kill()
        worker.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_nothing_stays_open_after_a_child() -> None:
    ask(tasks.answers, Limits(), lambda _: None)
    open_files = psutil.Process().num_fds()
    for _ in range(20):
        ask(tasks.answers, Limits(), lambda _: None)
        ending(partial(tasks.falls, signal.SIGSEGV))
    assert psutil.Process().num_fds() <= open_files


def test_a_decoder_gets_no_more_memory_than_the_limit(tmp_path: Path) -> None:
    """A progressive photo is whole in memory before its first line is."""
    photo = tmp_path / "photo"
    photo.write_bytes(encoded(corners(6000, 6000), "JPEG", progressive=True))
    with pytest.raises(Unreadable) as caught:
        ConfinedImaging(Limits(memory_bytes=200 * 2**20)).render(photo, tmp_path, plan=PLAN)
    assert caught.value.reason is Reason.TOO_MUCH_MEMORY
    assert ConfinedImaging().render(photo, tmp_path, plan=PLAN).files
