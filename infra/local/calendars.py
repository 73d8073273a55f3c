"""The calendar servers of the local stack as a process.

`python -m infra.local.calendars --port 8051 --store calendars.db --registered registered.json`
"""

import argparse
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.emulators.calendar.oauth import Registration
from infra.local.emulators.calendar.server import Running
from infra.local.emulators.sign_in import App


def registration(document: Path) -> Registration:
    """How the application is registered, from what the launcher wrote."""
    found: Mapping[str, Mapping[str, Any]] = json.loads(document.read_text())
    return Registration(google=App(**found["google"]), microsoft=App(**found["microsoft"]))


def main() -> None:
    """Entry point of the process; until SIGTERM."""
    parser = argparse.ArgumentParser(description="Google Calendar and the calendars of Microsoft Graph")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--registered", type=Path, required=True, help="how we are registered, as JSON")
    arguments = parser.parse_args()
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)  # sigwait needs them blocked in every thread
    os.umask(0o077)  # tokens are for their reader only
    with Running(registration(arguments.registered), arguments.port, str(arguments.store)):
        signal.sigwait(ending)


if __name__ == "__main__":
    main()
