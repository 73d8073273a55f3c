"""Real servers for tests: each starts when the first test of a run asks for it, and a run that asks for none pays
nothing.

Every pytest process (also each one of xdist) has its own servers in its own folder and block of ports, so runs never
meet each other or a running stack. What a killed run left behind is found and ended by the next one.
"""

import asyncio
import json
import os
import random
import shutil
import tempfile
import threading
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from subprocess import Popen
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import asyncpg
import psutil
import pytest

from infra.local import ports, s3_identities
from infra.local.launch import launch
from infra.local.launchers import aws as aws_launcher
from infra.local.launchers import caldav, calendars, postgres, seaweedfs, stripe, temporal, valkey
from infra.local.lock import try_lock
from infra.local.process import Stop, end, find, fingerprint
from infra.local.service import Service
from infra.local.site import Site, open_site

_BASES = range(12_000, 20_000, ports.BLOCK)
_SERVERS = (
    *(postgres.SERVICE, valkey.SERVICE, temporal.SERVICE, seaweedfs.SERVICE, aws_launcher.SERVICE),
    *(calendars.SERVICE, caldav.SERVICE, stripe.SERVICE),
)


class Servers:
    """The servers of one pytest process, by service; started on first use, ended in reverse order by `close`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._running: list[tuple[Service, Any]] = []

    def start(self, service: Service) -> Site:
        """Start it unless it runs already. Raises `StackError` with the end of its log."""
        if all(service.name != running.name for running, _ in self._running):
            self._running.append((service, launch(service, self.site)))
            self._record()
        return self.site

    def kill(self, service: Service) -> None:
        """SIGKILL: what a crash leaves is what is on disk."""
        for entry in [entry for entry in self._running if entry[0] is service]:
            end(entry[1], Stop(signal=Signals.SIGKILL))
            self._running.remove(entry)

    def close(self) -> None:
        """End all of them at once: nobody needs their data, only Postgres' shared memory must be given back."""
        while self._running:
            service, process = self._running.pop()
            end(process, service.stop if service is postgres.SERVICE else Stop(signal=Signals.SIGKILL))
            service.clean_up(self.site)

    def _record(self) -> None:
        records = []
        for service, process in self._running:
            seen = psutil.Process(process.pid)
            records.append([service.name, seen.pid, seen.create_time(), fingerprint(seen.cmdline())])
        (self.site.root / "servers.json").write_text(json.dumps(records))


@contextmanager
def open_servers() -> Iterator[Servers]:
    """A folder and a block of ports of one's own, for tests that kill and restart servers themselves too."""
    _end_leftovers()
    folder, lock, base = _reserve()
    try:
        names = [name for service in _SERVERS for name in service.secrets]
        servers = Servers(open_site(folder, ports.block(base, {}), names, _plain_environment(), durable=False))
        try:
            yield servers
        finally:
            servers.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _plain_environment() -> dict[str, str]:
    """Without the person's own stack: tests talk to nothing that they did not start."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PETFOLIO_")}


def _folder(base: int) -> Path:
    return Path(tempfile.gettempdir()) / f"petfolio-test-{os.getuid()}-{base}"


def _reserve() -> tuple[Path, int, int]:
    """A base port whose folder we could lock (the reservation) and whose ports are all free."""
    start = random.randrange(len(_BASES))
    for base in (*_BASES[start:], *_BASES[:start]):
        folder = _folder(base)
        folder.mkdir(exist_ok=True)
        if (lock := try_lock(folder / "lock")) is None:
            continue
        if all(map(ports.is_free, ports.block(base, {}).values())):
            return folder, lock, base
        shutil.rmtree(folder)
        os.close(lock)
    raise RuntimeError("every block of test ports is in use")


def _end_leftovers() -> None:
    """End the servers of runs that were killed: recognised by pid, start time and command line."""
    stops = {service.name: service.stop for service in _SERVERS}
    for folder in _folder(0).parent.glob(f"petfolio-test-{os.getuid()}-*"):
        if (lock := try_lock(folder / "lock")) is None:
            continue
        with suppress(OSError, ValueError):
            for name, pid, create_time, command in json.loads((folder / "servers.json").read_text()):
                if process := find(pid, create_time, command):
                    end(process, stops[name])
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of this pytest process."""
    with open_servers() as running:
        yield running


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A real PostgreSQL 18 with the roles of the local stack. Blocking methods; safe inside and outside a loop."""

    site: Site

    def url(self, database: str = postgres.DATABASE) -> str:
        """As the application: rows only."""
        return postgres.url(self.site, postgres.APP, database)

    def owner_url(self, database: str = postgres.DATABASE) -> str:
        """As the owner of the schema, who migrates."""
        return postgres.url(self.site, postgres.OWNER, database)

    def admin_url(self, database: str = "postgres") -> str:
        """As superuser, for what only tests do (killing connections, reading statistics)."""
        return postgres.url(self.site, postgres.ADMIN, database)

    def create_database(self, template: str = postgres.DATABASE) -> str:
        """A copy of `template` under a fresh name, its settings included; the default is empty, with extensions.

        Nobody may be connected to the template.
        """
        name = f"test_{uuid.uuid4().hex[:12]}"
        run_beside(self._copy(template, name))
        return name

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something to its end, whether or not a loop is running."""
        run_beside(work)

    def drop_database(self, name: str) -> None:
        """Remove it, ending whoever is still connected."""
        run_beside(self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    async def _copy(self, template: str, name: str) -> None:
        # The files are copied instead of logged block by block: twice as fast for a small database without fsync.
        await self._execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy OWNER {postgres.OWNER}',
            # A template's own settings (statement_timeout …) belong to the database, not to its contents.
            "SELECT format('ALTER DATABASE %I SET %s TO %L', $2::text, split_part(entry, '=', 1), "
            "substr(entry, strpos(entry, '=') + 1)) FROM pg_db_role_setting, unnest(setconfig) AS entry "
            "WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = $1) AND setrole = 0",
            template,
            name,
        )

    async def _execute(self, statement: str, settings: str = "", *values: str) -> None:
        admin = await asyncpg.connect(self.admin_url(), ssl=False)
        try:
            await admin.execute(statement)
            for (setting,) in await admin.fetch(settings, *values) if settings else ():
                await admin.execute(setting)
        finally:
            await admin.close()


def run_beside(work: Coroutine[Any, Any, object]) -> None:
    """Run to the end in a thread of its own: the caller may itself be inside a running loop."""
    failure: list[BaseException] = []

    def target() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


@pytest.fixture(scope="session")
def postgres_server(servers: Servers) -> PostgresServer:
    """PostgreSQL without fsync, with the database `petfolio`: extensions, no tables."""
    return PostgresServer(servers.start(postgres.SERVICE))


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """Valkey, with a password, keeping nothing on disk."""
    return str(valkey.SERVICE.settings(servers.start(valkey.SERVICE))["PETFOLIO_REDIS_URL"])


@pytest.fixture(scope="session")
def temporal_address(servers: Servers) -> str:
    """The Temporal development server in memory: namespace `petfolio`, search attributes, time skipping allowed."""
    return servers.start(temporal.SERVICE).address("temporal")


class TemporalServer:
    """A Temporal server of a test's own, on a file below `folder`: killed and started again it remembers."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        _, lock, base = _reserve()
        self._stack.callback(shutil.rmtree, _folder(base), ignore_errors=True)
        self._stack.callback(os.close, lock)
        self._site = open_site(folder, ports.block(base, {}), (), _plain_environment(), durable=True)
        self._process: Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """For clients; the same after each start."""
        return self._site.address("temporal")

    async def start(self) -> None:
        """Returns when it serves."""
        self._process = await asyncio.to_thread(launch, temporal.SERVICE, self._site)

    async def kill(self) -> None:
        """SIGKILL: what a crash leaves is what is on disk."""
        if self._process:
            await asyncio.to_thread(end, self._process, Stop(signal=Signals.SIGKILL))

    async def stop(self) -> None:
        """End it and give its ports back."""
        await self.kill()
        self._stack.close()


@dataclass(frozen=True, slots=True)
class S3Server:
    """SeaweedFS with the three buckets of the platform, for an administrator; `identities` are the key pairs of the
    processes (`infra/local/s3_identities.py`), `origin` is that of our pages."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    origin: str
    identities: Mapping[str, tuple[str, str]]


@pytest.fixture(scope="session")
def s3(servers: Servers) -> S3Server:
    """S3 that enforces signatures and upload policies."""
    site = servers.start(seaweedfs.SERVICE)
    settings = seaweedfs.SERVICE.settings(site)
    keys = ("PETFOLIO_S3_ENDPOINT", "PETFOLIO_S3_ACCESS_KEY_ID", "PETFOLIO_S3_SECRET_ACCESS_KEY")
    pairs = {name: s3_identities.credentials_of(name) for name in s3_identities.POLICIES}
    identities = {name: (site.secrets[key], site.secrets[secret]) for name, (key, secret) in pairs.items()}
    return S3Server(*(settings[key] for key in keys), site.link("api"), identities)


@dataclass(frozen=True, slots=True)
class PushServer:
    """FCM and a browsers' push service at `origin`, for the service account `account` (JSON)."""

    origin: str
    account: str

    def subscription(self) -> str:
        """Of a browser that has just subscribed, as JSON."""
        return json.dumps(asked("POST", f"{self.origin}/_control/subscriptions"))

    def leaves(self, target: str) -> None:
        """This registration token, or subscription's endpoint, has ended."""
        asked("POST", f"{self.origin}/_control/gone", {"target": target})

    def revokes_tokens(self) -> None:
        """Every access token is refused from now on."""
        asked("POST", f"{self.origin}/_control/revoke")

    def calls(self) -> list[dict[str, Any]]:
        """The ledger of the services, oldest first."""
        return list(asked("GET", f"{self.origin}/_control/calls"))

    def fault(self, **fault: Any) -> None:
        """As `AwsServer.fault`; services `fcm`, `webpush`, `token`."""
        asked("POST", f"{self.origin}/_control/faults", fault)

    def clear_faults(self) -> None:
        """Everything works again."""
        asked("DELETE", f"{self.origin}/_control/faults")


def asked(method: str, url: str, body: object = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    with urlopen(Request(url, data, method=method), timeout=10) as answer:
        return json.load(answer)


@dataclass(frozen=True, slots=True)
class AwsServer:
    """SES and SNS, and the inbox of what they sent. `endpoint` is for boto3; credentials are any non-empty words."""

    endpoint: str
    inbox_url: str
    push: "PushServer"
    region: str = aws_launcher.REGION

    def messages(self, to: str, channel: str = "email") -> list[dict[str, Any]]:
        """What this address got, newest first."""
        return list(self._call("GET", f"/api/messages?{urlencode({'to': to, 'channel': channel})}"))

    def fault(self, **fault: Any) -> None:
        """What the provider gets wrong next: `status`, `delay`, `count`, `when` (before, after), `service`."""
        self._call("POST", "/_control/faults", fault)

    def clear_faults(self) -> None:
        """Everything works again."""
        self._call("DELETE", "/_control/faults")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return asked(method, self.inbox_url + path, body)


@pytest.fixture(scope="session")
def aws(servers: Servers) -> AwsServer:
    """moto's SES and SNS, with the inbox."""
    return aws_server(servers.start(aws_launcher.SERVICE))


def aws_server(site: Site) -> AwsServer:
    """What the launcher's process at this site offers."""
    settings = aws_launcher.SERVICE.settings(site)
    push = PushServer(settings["PETFOLIO_FCM_ENDPOINT"], settings["PETFOLIO_FCM_CREDENTIALS"])
    return AwsServer(f"http://{site.address('aws')}", f"http://{site.address('inbox')}", push)
