"""What the local stack promises while it runs: loopback only, nothing secret in sight, everything comes back."""

import json
import os
import pwd
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest
import redis.asyncio

from infra.local.ports import BLOCK, block
from infra.local.site import Identity, can_enter
from tests.stack import Stack, running_stack, until

pytestmark = pytest.mark.timeout(180)

TEMPORAL_EXTRA = 3
"""Listeners that Temporal opens on ports of its own choice; there is no option for them."""


def supervisor(stack: Stack) -> psutil.Process:
    """The root of the stack's process tree."""
    recorded = json.loads((stack.data_dir / "state.json").read_text())
    return psutil.Process(recorded["supervisor"]["pid"])


async def test_every_listener_is_on_loopback_and_inside_the_block(stack: Stack) -> None:
    base = urlsplit((await stack.status())["api_url"]).port or 0
    listeners = [
        connection.laddr
        for process in supervisor(stack).children(recursive=True)
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for address in listeners} <= {"127.0.0.1", "::1"}
    ours = {*range(base, base + BLOCK), *block(base, {}).values()}
    outside = {address.port for address in listeners} - ours
    assert len(outside) <= TEMPORAL_EXTRA


async def test_generated_passwords_are_in_no_argument_list_no_log_and_no_statement_statistics(stack: Stack) -> None:
    secrets = json.loads((stack.data_dir / "secrets.json").read_text()).values()
    tree = [supervisor(stack), *supervisor(stack).children(recursive=True)]
    seen = [" ".join(process.cmdline()) for process in tree]
    seen += [log.read_text(errors="replace") for log in (stack.data_dir / "logs").rglob("*") if log.is_file()]
    connection = await asyncpg.connect(await admin_url(stack), ssl=False)
    seen += [row[0] for row in await connection.fetch("SELECT query FROM pg_stat_statements")]
    await connection.close()
    assert not [text for text in seen if any(secret in text for secret in secrets)]


async def admin_url(stack: Stack) -> str:
    password = json.loads((stack.data_dir / "secrets.json").read_text())["postgres_petfolio_admin"]
    port = (await stack.status())["services"]["postgres"]["port"]
    return f"postgresql://petfolio_admin:{password}@127.0.0.1:{port}/petfolio"


async def test_what_only_its_owner_may_read_is_readable_by_its_owner_only(stack: Stack) -> None:
    for name in (
        "env",
        "secrets.json",
        "state.json",
        "inbox.db",
        "redis/valkey.conf",
        "s3/s3.json",
        "s3/security.toml",
        "emulators/calendars.json",
        "emulators/calendars.db",
        "caldav/users",
    ):
        assert (stack.data_dir / name).stat().st_mode & 0o077 == 0, name


async def test_s3_and_its_inner_filer_answer_nobody_without_a_signature(stack: Stack) -> None:
    port = (await stack.status())["services"]["s3"]["port"]
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(f"http://127.0.0.1:{port}/petfolio-media/cat")).status_code == 403
        assert (await stranger.get(f"http://127.0.0.1:{port + 6}/buckets/")).status_code == 401


@pytest.mark.timeout(900)
async def test_each_killed_service_comes_back_and_the_stack_is_ready_again(stack: Stack) -> None:
    """Fourteen starts of something: seconds each, and many more of them on a machine that does much else."""
    for service in (await stack.status())["services"]:
        await stack.kill_and_wait(service)

    async def ready() -> bool:
        return bool((await stack.status())["ready"])

    await until(ready, within=120, what="everything ready again")


async def test_a_second_stack_on_the_same_folder_is_refused_and_harms_nothing(stack: Stack) -> None:
    before = (await stack.status())["services"]
    code, said = await stack.attempt("up", "--base-port", "0")
    assert code == 1
    assert said.startswith("petfolio: Another stack")
    assert said.count("\n") == 1
    assert (await stack.status())["services"] == before


async def test_logs_show_one_service_and_name_those_there_are(stack: Stack) -> None:
    assert "database system is ready" in await stack.petfolio("logs", "postgres")
    code, said = await stack.attempt("logs", "nope")
    assert (code, "postgres" in said) == (1, True)


async def test_a_killed_supervisor_leaves_nothing_that_up_does_not_end_and_ctrl_c_stops_in_order() -> None:
    async with running_stack("own") as stack:
        left = supervisor(stack).children()
        supervisor(stack).kill()
        await until(lambda: all(map(alive, left)), within=5, what="the services outlive their supervisor")
        assert (await stack.status())["ready"] is False

        await stack.petfolio("up", "--detach", "--base-port", "0")
        assert "that a killed supervisor had left" in (stack.data_dir / "logs/supervisor.log").read_text()
        assert not any(map(alive, left))
        assert (await stack.status())["ready"] is True

        tree = [supervisor(stack), *supervisor(stack).children(recursive=True)]
        os.kill(supervisor(stack).pid, signal.SIGINT)
        await until(lambda: not any(map(alive, tree)), within=30, what="every process has ended")
        lines = (stack.data_dir / "logs/supervisor.log").read_text().splitlines()
        stopped = [line.split()[0] for line in lines if line.endswith("stopped")]
        assert (stopped[0], stopped[-1]) == ("api", "postgres")
        assert set(stopped[1:5]) == {"worker-core", "worker-billing", "worker-calendar", "worker-media"}
        assert not [path for path in stack.data_dir.rglob("*") if path.is_socket()]


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; an orphan's zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_service_given_by_url_is_external_and_down_ends_what_a_killed_supervisor_left(redis_url: str) -> None:
    async with running_stack("external", PETFOLIO_REDIS_URL=redis_url) as stack:
        entry = (await stack.status())["services"]["redis"]
        assert entry == {"state": "external", "pid": None, "port": None, "url": None}
        assert (await stack.status())["ready"] is True
        assert not (stack.data_dir / "redis").exists()
        assert redis_url in (stack.data_dir / "env").read_text()

        left = supervisor(stack).children()
        supervisor(stack).kill()
        await stack.petfolio("down")
        assert not any(map(alive, left))
        async with redis.asyncio.from_url(redis_url) as client:
            assert await client.ping(), "what is not ours goes on"


async def test_seeded_people_can_log_in_and_have_pets_diaries_and_reminders(stack: Stack) -> None:
    said = await stack.petfolio("seed", "--users", "2", within=120)
    found = re.search(r"Log in as (\S+) .* password: (.+)", said)
    assert found
    async with httpx.AsyncClient(base_url=(await stack.status())["api_url"] + "/api/v1", timeout=20) as person:
        login = await person.post("/auth/login", json={"email": found[1], "password": found[2].strip()})
        person.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        pets = (await person.get("/pets")).json()["items"]
        diary = (await person.get(f"/health-records/pets/{pets[0]['id']}/records")).json()["items"]
        reminders = (await person.get("/reminders")).json()["items"]
    assert pets
    assert diary
    assert reminders


def open_to_nobody(program: Path) -> bool:
    """Whether the user `nobody` may run it."""
    identity = Identity(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid, "nobody")
    return all(can_enter(folder, identity) for folder in program.resolve().parents)


@pytest.mark.skipif(os.geteuid() != 0, reason="everybody but root is such a user already")
@pytest.mark.skipif(not open_to_nobody(Path(sys.executable)), reason="this interpreter is closed to other users")
async def test_a_normal_user_runs_everything_as_that_user() -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="petfolio-nobody-"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    stack = Stack(folder, {"HOME": str(folder)}, uid=nobody.pw_uid)
    try:
        await stack.petfolio("up", "--detach", "--base-port", "0")
        owners = {process.uids().real for process in supervisor(stack).children(recursive=True)}
        assert owners == {nobody.pw_uid}
        assert (await stack.status())["ready"] is True
    finally:
        await stack.petfolio("down")
        shutil.rmtree(folder)
