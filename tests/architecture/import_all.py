"""`python -m tests.architecture.import_all MODULE…`: import them in this order; prints their side effects as JSON."""

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.architecture.source import PACKAGES

_WATCHED = ("socket.bind", "socket.connect", "subprocess.Popen", "os.system", "os.chdir", "os.mkdir")
_HANDLED = [number for number in signal.Signals if number not in (signal.SIGKILL, signal.SIGSTOP)]


class Witness:
    """Notes what reaches outside the process, by the module of ours whose import did it."""

    def __init__(self) -> None:
        self.effects: dict[str, list[str]] = {}
        self._state = self._look()
        sys.addaudithook(self._hear)

    def compare(self, name: str) -> None:
        """What the process looks like after the import of `name`."""
        now = self._look()
        for what, value in now.items():
            if value != self._state[what]:
                self.effects.setdefault(name, []).append(f"changes {what}")
        self._state = now

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        reaches_out = event in _WATCHED or (event == "open" and _writes(arguments))
        if reaches_out and (name := _importing()) is not None:
            self.effects.setdefault(name, []).append(f"{event}{arguments}")

    @staticmethod
    def _look() -> dict[str, object]:
        return {
            "threads": threading.active_count(),
            "the working directory": str(Path.cwd()),
            "the environment": dict(os.environ),
            "signal handlers": [signal.getsignal(number) for number in _HANDLED],
        }


def _writes(arguments: tuple[object, ...]) -> bool:
    path, mode, *_ = arguments
    return isinstance(mode, str) and not set("wax+").isdisjoint(mode) and "__pycache__" not in str(path)


def _importing() -> str | None:
    """The module whose top level is being executed right now; what third-party packages do is theirs to answer for."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    name = str(frame.f_globals.get("__name__", ""))
    return name if name.partition(".")[0] in PACKAGES else None


def main(names: Iterable[str]) -> None:
    """An empty object means that importing does nothing but define."""
    witness = Witness()
    for name in names:
        importlib.import_module(name)
        witness.compare(name)
    print(json.dumps(witness.effects))


if __name__ == "__main__":
    main(sys.argv[1:])
