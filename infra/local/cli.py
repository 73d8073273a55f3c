"""The `petfolio` command: the whole platform on one machine.

The work of each command is in a module of its own, imported when it is asked for: `status` should not wait for what
only `up` needs.
"""

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from infra.local.errors import StackError

_CHECKOUT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its failures are one sentence and exit code 1."""
    arguments = _parser().parse_args(argv)
    arguments.data_dir = arguments.data_dir.expanduser().resolve()
    try:
        return int(importlib.import_module(f"infra.local.commands.{arguments.command}").run(arguments) or 0)
    except StackError as error:
        print(f"petfolio: {error}", file=sys.stderr)
    except OSError as error:
        print(f"petfolio: {_sentence(error, arguments.data_dir)}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _sentence(error: OSError, data: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk that holds {data} is full: make room, or choose another folder with --data-dir."
    if error.errno == errno.EACCES:
        return f"{error.filename or data} may not be read or written by you: choose another folder with --data-dir."
    return f"{error.strerror or error} ({error.filename or data})."


def _parser() -> argparse.ArgumentParser:
    data = argparse.ArgumentParser(add_help=False)
    default = Path(os.environ.get("PETFOLIO_DATA_DIR") or _CHECKOUT / ".petfolio")
    data.add_argument("--data-dir", type=Path, default=default, metavar="D", help="everything the stack keeps")
    parser = argparse.ArgumentParser(prog="petfolio", description="The whole platform on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[data], help="start everything; Ctrl-C stops it")
    up.add_argument("--base-port", type=int, metavar="N", help="first of 100 ports; 0 searches (default: 8000)")
    up.add_argument("--detach", action="store_true", help="return when everything is ready")
    up.add_argument("--once", action="store_true", help="stop everything when any service ends (for CI)")
    up.add_argument("--reload", action="store_true", help="restart api and workers when their code changes")

    commands.add_parser("down", parents=[data], help="stop everything, in order")
    status = commands.add_parser("status", parents=[data], help="what runs where")
    status.add_argument("--json", action="store_true", help="for programs")

    logs = commands.add_parser("logs", parents=[data], help="what the services wrote")
    logs.add_argument("service", nargs="?", help="one service; all by default")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    logs.add_argument("-n", "--lines", type=int, default=50, help="how many of the last lines (default: 50)")

    reset = commands.add_parser("reset", parents=[data], help="stop, then delete all data")
    reset.add_argument("--yes", action="store_true", help="do not ask")

    demo = commands.add_parser("demo", parents=[data], help="the main job, narrated, on the running stack")
    jobs = ("reminder", "calendar", "billing")
    about = "a reminder that arrives (default), an appointment in three calendars, or a plan and its payments"
    demo.add_argument("what", nargs="?", choices=jobs, default=jobs[0], help=about)
    dump = commands.add_parser("dump", parents=[data], help="a copy of the database, for elsewhere")
    dump.add_argument("--masked", action="store_true", required=True, help="everything personal is made up")
    dump.add_argument("--database-url", metavar="URL", help="another database than the running stack's")
    dump.add_argument("--output", type=Path, default=Path("petfolio-masked"), metavar="D", help="a folder to make")
    media = commands.add_parser("media", parents=[data], help="what is known of an uploaded file")
    media.add_argument("what", choices=("inspect",))
    media.add_argument("id", type=UUID, help="of the media, its asset or its upload")
    media.add_argument("--database-url", metavar="URL", help="another database than the running stack's")
    seed = commands.add_parser("seed", parents=[data], help="realistic test data")
    seed.add_argument("--users", type=int, default=10, metavar="N", help="how many people (default: 10)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
