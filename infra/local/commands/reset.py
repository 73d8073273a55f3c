"""`petfolio reset`: stop, then delete the data folder."""

import argparse
import shutil
import sys
from pathlib import Path

from infra.local import state
from infra.local.commands import down
from infra.local.errors import StackError


def run(arguments: argparse.Namespace) -> int:
    """Refuses a folder that no stack of ours has written; asks unless `--yes`."""
    root: Path = arguments.data_dir
    if not root.exists():
        print(f"There is nothing in {root}.")
        return 0
    if not state.path_in(root).exists():
        raise StackError(f"{root} holds no state.json of ours, so it is not deleted.")
    if not arguments.yes and not _agreed(root):
        print("Nothing was deleted.")
        return 1
    down.stop(root)
    shutil.rmtree(root)
    print(f"Deleted {root}.")
    return 0


def _agreed(root: Path) -> bool:
    if not sys.stdin.isatty():
        raise StackError("`reset` deletes everything: say --yes where nobody can be asked.")
    return input(f"Delete all data in {root}? [y/N] ").strip().lower() in ("y", "yes")
