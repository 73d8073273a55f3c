"""What `petfolio` says when it cannot do what it was asked: one sentence, a non-zero exit, nothing left running."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.local import ports
from tests.stack import Stack

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def idle() -> Iterator[Stack]:
    """A folder in which nothing runs, and in which nothing may run afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="petfolio-refused-"))
    stack = Stack(folder, {})
    yield stack
    assert stack.processes() == []
    shutil.rmtree(folder, ignore_errors=True)


def one_sentence(said: str) -> str:
    """What was said, if it was one line for people."""
    assert said.startswith("petfolio: ")
    assert "Traceback" not in said
    assert said.count("\n") == 1, said
    return said


@pytest.mark.parametrize("how", ["--detach", "--once"])
async def test_a_taken_port_is_named_with_its_service(idle: Stack, how: str) -> None:
    base = ports.search({}, 31_000)
    with socket.create_server(("127.0.0.1", base + 30)):
        code, said = await idle.attempt("up", how, "--base-port", str(base))
    assert code == 1
    assert f"Port {base + 30}, meant for s3, is taken by" in one_sentence(said)
    assert "PETFOLIO_PORT_S3" in said


async def test_a_taken_port_can_be_moved(idle: Stack) -> None:
    base = ports.search({}, 31_000)
    moved = ports.block(base, {"PETFOLIO_PORT_S3": "31999"})
    assert (moved["s3"], moved["api"]) == (31_999, base)
    code, said = await Stack(idle.data_dir, {"PETFOLIO_PORT_S3": "none"}).attempt("up", "--base-port", str(base))
    assert (code, "PETFOLIO_PORT_S3 must be a port" in one_sentence(said)) == (1, True)


async def test_a_base_port_among_those_of_outgoing_connections_is_refused(idle: Stack) -> None:
    code, said = await idle.attempt("up", "--base-port", "40000")
    assert (code, "must lie between 1024 and 32600" in one_sentence(said)) == (1, True)


async def test_a_missing_postgres_is_named(idle: Stack) -> None:
    without = Stack(idle.data_dir, {"PETFOLIO_PG_BINDIR": "/nowhere"})
    code, said = await without.attempt("up", "--base-port", "0")
    assert (code, "/nowhere/initdb is missing" in one_sentence(said)) == (1, True)


async def test_a_data_folder_that_may_not_be_written_is_named(idle: Stack) -> None:
    code, said = await Stack(Path("/proc/petfolio"), {}).attempt("up", "--base-port", "0")
    assert (code, "/proc" in one_sentence(said)) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends Postgres another user")
async def test_under_root_a_closed_folder_above_the_data_is_named_and_never_opened(idle: Stack) -> None:
    closed = idle.data_dir / "closed"
    closed.mkdir(mode=0o700)
    code, said = await Stack(closed / "data", {}).attempt("up", "--base-port", "0")
    assert code == 1
    assert "PETFOLIO_DATA_DIR" in one_sentence(said)
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_reset_refuses_a_folder_that_is_not_ours(idle: Stack) -> None:
    (idle.data_dir / "precious").touch()
    code, said = await idle.attempt("reset", "--yes")
    assert (code, "holds no state.json of ours" in one_sentence(said)) == (1, True)
    assert (idle.data_dir / "precious").exists()


async def test_reset_does_not_delete_where_nobody_can_be_asked(idle: Stack) -> None:
    (idle.data_dir / "state.json").write_text("{}")
    code, said = await idle.attempt("reset")
    assert (code, "--yes" in one_sentence(said)) == (1, True)
    assert idle.data_dir.exists()


async def test_down_and_status_are_harmless_where_nothing_runs(idle: Stack) -> None:
    assert await idle.petfolio("down") == "Nothing was running.\n"
    status = await idle.status()
    assert status["ready"] is False
    assert {service["state"] for service in status["services"].values()} == {"stopped"}
    assert set(status) == {
        *("ready", "data_dir", "api_url", "temporal_ui_url", "temporal_address", "inbox_url", "services")
    }


async def test_the_demo_without_a_stack_says_how_to_start_one(idle: Stack) -> None:
    code, said = await idle.attempt("demo")
    assert (code, "make up" in one_sentence(said)) == (1, True)


async def test_an_interrupted_start_leaves_nothing_and_reset_deletes_the_folder(idle: Stack) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.local.cli", "up", "--base-port", "0", "--data-dir", str(idle.data_dir)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    async for line in process.stdout:
        if b"starting" in line:
            process.send_signal(signal.SIGINT)
            break
    said = (await process.stdout.read()).decode()
    assert await process.wait() == 0
    assert "Stopped in" in said
    assert json.loads((idle.data_dir / "state.json").read_text())["supervisor"] is None
    assert f"Deleted {idle.data_dir}" in await idle.petfolio("reset", "--yes")
    assert not idle.data_dir.exists()


async def test_a_pid_that_now_belongs_to_somebody_else_is_left_alone(idle: Stack) -> None:
    bystander = psutil.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    record = {"pid": bystander.pid, "create_time": bystander.create_time(), "command": "0" * 16}
    service = {"title": "Valkey", "state": "running", "process": record}
    state = {"data_dir": str(idle.data_dir), "base_port": 8000, "supervisor": None, "services": {"redis": service}}
    (idle.data_dir / "state.json").write_text(json.dumps(state))
    await idle.petfolio("down")
    assert bystander.is_running()
    bystander.kill()
    bystander.wait()
