"""`petfolio down`: stop everything in order, a killed supervisor's leftovers included."""

import argparse
import os
import time
from pathlib import Path

from infra.local import state
from infra.local.errors import StackError
from infra.local.leftovers import end_leftovers
from infra.local.lock import try_lock
from infra.local.state import StackState

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
        return end_leftovers(root) > 0 or asked
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
