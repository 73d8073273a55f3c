"""Ports: one block of 100 from a base port, and one that SeaweedFS wants elsewhere, every one on loopback.

Each can be moved with `PETFOLIO_PORT_<NAME>`. Linux hands out ports from 32768 to outgoing connections, so a block
lies below; a port is bound once as a test before its service starts, and a taken one is never freed by us.
"""

import socket
from collections.abc import Iterable, Mapping

import psutil

from infra.local.errors import StackError

DEFAULT_BASE = 8000
BLOCK = 100
_LOWEST, _HIGHEST = 1024, 32_600
_SEARCH_FROM = 20_000

OFFSETS: Mapping[str, int] = {
    "api": 0,
    "inbox": 2,
    "postgres": 10,
    "redis": 11,
    "temporal": 20,
    "temporal_ui": 21,
    "temporal_http": 22,
    "temporal_metrics": 23,
    "s3": 30,
    "s3_grpc": 31,
    "s3_master": 32,
    "s3_master_grpc": 33,
    "s3_volume": 34,
    "s3_volume_grpc": 35,
    "s3_filer": 36,
    "s3_filer_grpc": 37,
    "s3_admin": 38,
    # SeaweedFS' own worker looks for it 10,000 above `s3_admin` whatever it was told, and spins a quarter of a core
    # while it finds nothing there.
    "s3_admin_grpc": 10_038,
    "aws": 40,
    "caldav": 42,
    "stripe": 50,
    "calendars": 51,
    "google": 52,
    "apple": 53,
    "facebook": 54,
    "push": 55,
    "worker_core_metrics": 70,
    "worker_core_health": 71,
    "worker_calendar_metrics": 72,
    "worker_calendar_health": 73,
    "worker_billing_metrics": 74,
    "worker_billing_health": 75,
    "worker_media_metrics": 76,
    "worker_media_health": 77,
}

Ports = Mapping[str, int]


def block(base: int, environ: Mapping[str, str]) -> Ports:
    """Every port by name, from the base and the overrides. Raises `StackError` for what is no usable port."""
    if not _LOWEST <= base <= _HIGHEST:
        raise StackError(f"The base port must lie between {_LOWEST} and {_HIGHEST}; {base} does not.")
    return {name: _override(name, environ) or base + offset for name, offset in OFFSETS.items()}


def search(environ: Mapping[str, str], start: int = _SEARCH_FROM) -> int:
    """The first base port from `start` in whose block every port is free."""
    for base in range(start, _HIGHEST, BLOCK):
        if all(map(is_free, block(base, environ).values())):
            return base
    raise StackError(f"No block of {BLOCK} free ports between {start} and {_HIGHEST}; name one with --base-port.")


def is_free(port: int) -> bool:
    """Whether a listener could be opened now on the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(ports: Ports, names: Iterable[str]) -> None:
    """Raise `StackError` naming port, service and, where it can be read, who has it."""
    for name in names:
        if not is_free(ports[name]):
            raise StackError(
                f"Port {ports[name]}, meant for {name}, is taken by {_owner(ports[name])}: stop it, "
                f"choose another block with --base-port, or move this port with PETFOLIO_PORT_{name.upper()}."
            )


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass  # other people's sockets are not readable for everybody; the sentence stands without the name
    return "another program"


def _override(name: str, environ: Mapping[str, str]) -> int | None:
    variable = f"PETFOLIO_PORT_{name.upper()}"
    if not (value := environ.get(variable)):
        return None
    if not value.isdecimal() or not _LOWEST <= int(value) <= 65_535:
        raise StackError(f"{variable} must be a port between {_LOWEST} and 65535; {value!r} is not.")
    return int(value)
