"""`petfolio logs`: what the services wrote, each line with its service's name."""

import argparse
import time
from pathlib import Path

from infra.local.errors import StackError
from infra.local.process import tail


def run(arguments: argparse.Namespace) -> int:
    """The last lines of one service or of all; with `--follow` also what comes. Raises for a service without log."""
    folder: Path = arguments.data_dir / "logs"
    logs = sorted(folder.glob("*.log"))
    if arguments.service:
        logs = [folder / f"{arguments.service}.log"]
        if not logs[0].exists():
            names = ", ".join(sorted(log.stem for log in folder.glob("*.log"))) or "none yet"
            raise StackError(f"There is no log of {arguments.service!r} in {folder}; there are: {names}.")
    width = max((len(log.stem) for log in logs), default=0) if len(logs) > 1 else 0
    ends = {log: log.stat().st_size for log in logs}
    for log in logs:
        _print(log, tail(log, arguments.lines), width)
    while arguments.follow:
        time.sleep(0.3)
        for log in logs:
            ends[log] = _print_new(log, ends[log], width)
    return 0


def _print_new(log: Path, seen: int, width: int) -> int:
    """Print the whole lines after `seen`; answers how far we are. A rotated log starts anew."""
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(seen if size >= seen else 0)
        whole = file.read().rpartition(b"\n")[0]
        if whole:
            _print(log, whole.decode(errors="replace"), width)
            return file.tell() if size < seen else seen + len(whole) + 1
    return min(seen, size)


def _print(log: Path, text: str, width: int) -> None:
    for line in text.splitlines():
        print(f"{log.stem:<{width}} | {line}" if width else line, flush=True)
