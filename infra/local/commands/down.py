"""`petfolio down`: stop everything in order, a killed supervisor's leftovers included."""

import argparse
import asyncio
import dataclasses
import os
import time
from pathlib import Path

from infra.local import ports, state
from infra.local.errors import StackError
from infra.local.leftovers import end_leftovers
from infra.local.lock import try_lock
from infra.local.site import Site
from infra.local.state import StackState, State
from infra.local.table import SERVICES

_PATIENCE = 120.0
"""More than all drains of the supervisor together."""


def run(arguments: argparse.Namespace) -> int:
    """Harmless when nothing runs."""
    began = time.monotonic()
    stopped = stop(arguments.data_dir)
    print(f"Stopped in {time.monotonic() - began:.1f} s." if stopped else "Nothing was running.")
    return 0


def stop(root: Path) -> bool:
    """Whether there was anything to stop. Raises `StackError` when it will not end."""
    known = state.read(root)
    if known is None:
        return False
    asked = _ask_supervisor(root, known)
    lock = try_lock(root / "lock")
    if lock is None:
        raise StackError(f"Somebody else holds {root}/lock, and no supervisor is recorded there.")
    try:
        return _end_rest(root, state.read(root) or known) or asked
    finally:
        os.close(lock)


def _ask_supervisor(root: Path, known: StackState) -> bool:
    supervisor = known.supervisor.alive() if known.supervisor else None
    if supervisor is None:
        return False
    supervisor.terminate()
    limit = time.monotonic() + _PATIENCE
    while (lock := try_lock(root / "lock")) is None:
        if time.monotonic() > limit:
            raise StackError(f"The supervisor (pid {supervisor.pid}) did not stop within {_PATIENCE:.0f} s.")
        time.sleep(0.05)
    os.close(lock)
    return True


def _end_rest(root: Path, known: StackState) -> bool:
    """End what a killed supervisor left, and say so in the state."""
    site = Site(root, ports.block(known.base_port, os.environ), {}, None)
    ended = asyncio.run(end_leftovers(site, known, SERVICES))
    services = {
        name: dataclasses.replace(service, state=State.STOPPED, process=None, note="")
        for name, service in known.services.items()
        if not service.oneshot
    }
    state.write(root, dataclasses.replace(known, supervisor=None, ready=False, services=services))
    return ended > 0
