"""Where one stack lives: its data folder, its ports, its passwords, and the uid its Postgres runs as."""

import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.errors import StackError
from infra.local.ports import Ports

CHECKOUT = Path(__file__).resolve().parents[2]
_SOCKET_PATH_BYTES = 103
"""The shortest `sun_path` of our platforms (macOS); Linux has four more."""
_MIN_FREE_BYTES = 300 * 2**20
"""Initialised data folders take about 100 MB; a stack that starts with less stops in the middle."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The unprivileged user that Postgres runs as when we are root."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True, slots=True)
class Site:
    """Everything a launcher needs to know.

    `environ` is the person's environment, `settings` what the processes of the platform get on top of it. `durable`
    is False only for the throw-away servers of tests.
    """

    root: Path
    ports: Ports
    secrets: Mapping[str, str]
    identity: Identity | None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    settings: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True

    @property
    def logs(self) -> Path:
        """One file per service."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Unix sockets: in the data folder, or in a short temporary one where the path would be too long for them."""
        inside = self.root / "run"
        if len(os.fsencode(inside / ".s.PGSQL.65535")) <= _SOCKET_PATH_BYTES:
            return inside
        return Path(tempfile.gettempdir()) / f"petfolio-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]}"

    def folder(self, name: str, identity: Identity | None = None) -> Path:
        """A private folder of the stack, made on first use; `identity` owns it when given."""
        return private_folder(self.root / name, identity)

    def address(self, port: str) -> str:
        """`127.0.0.1:<port>`, for processes."""
        return f"127.0.0.1:{self.ports[port]}"

    def link(self, port: str) -> str:
        """`http://localhost:<port>`, for people and for issuers, which are compared as strings."""
        return f"http://localhost:{self.ports[port]}"


def open_site(root: Path, ports: Ports, names: Iterable[str], environ: Mapping[str, str], *, durable: bool) -> Site:
    """Make the data folder and its passwords where they are missing. Raises `StackError` for a folder we cannot use."""
    identity = postgres_identity(environ)
    root.mkdir(parents=True, exist_ok=True)
    # Postgres' uid must be able to pass, nobody but us to list; the parents are the person's own and stay untouched.
    root.chmod(0o711 if identity else 0o700)
    if shutil.disk_usage(root).free < _MIN_FREE_BYTES:
        raise StackError(
            f"The disk that holds {root} is full: less than {_MIN_FREE_BYTES // 2**20} MB are free. "
            "Make room, or choose another folder with --data-dir."
        )
    site = Site(root, ports, load_secrets(root / "secrets.json", names), identity, environ, durable=durable)
    private_folder(site.logs)
    private_folder(site.run, identity)
    return site


def postgres_identity(environ: Mapping[str, str]) -> Identity | None:
    """Postgres refuses to run as root, so root lends it `nobody` or PETFOLIO_RUN_AS. None for everybody else."""
    if os.geteuid() != 0:
        return None
    name = environ.get("PETFOLIO_RUN_AS", "nobody")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise StackError(f"There is no user {name!r} for Postgres to run as: name one with PETFOLIO_RUN_AS.") from None
    return Identity(user.pw_uid, user.pw_gid, name)


def require_passable(path: Path, identity: Identity) -> None:
    """Raise `StackError` naming the first parent of `path` that the identity cannot enter."""
    for parent in reversed(path.parents):
        if not can_enter(parent, identity):
            raise StackError(
                f"Postgres runs as {identity.name!r}, because it refuses root, and cannot enter {parent}: "
                "choose another folder with PETFOLIO_DATA_DIR, or another user with PETFOLIO_RUN_AS."
            )


def can_enter(folder: Path, identity: Identity) -> bool:
    """Whether the identity may pass through this folder (search permission)."""
    about = folder.stat()
    if about.st_uid == identity.uid:
        return bool(about.st_mode & stat.S_IXUSR)
    if about.st_gid == identity.gid:
        return bool(about.st_mode & stat.S_IXGRP)
    return bool(about.st_mode & stat.S_IXOTH)


def load_secrets(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The generated passwords, 0600; those that a newer release needs are added to the old ones."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(24) for name in missing}
        write_private(path, json.dumps(known, indent=1))
    return known


def write_private(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner only, so that a reader sees the old text or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def private_folder(path: Path, identity: Identity | None = None) -> Path:
    """A folder of mode 0700, made or corrected; `identity` owns it when given."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if identity:
        os.chown(path, identity.uid, identity.gid)
    return path
