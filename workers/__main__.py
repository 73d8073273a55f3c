"""`python -m workers core` serves task queues; `python -m workers setup` prepares a release."""

import argparse
import asyncio
from typing import NoReturn

from core.clock import pin_zone_data
from core.logging import configure_logging, logger
from core.settings import read_settings
from workers.lifecycle import leave
from workers.process import run_worker
from workers.registry import ROLES
from workers.setup import run_setup


def main() -> NoReturn:
    """Parse, run, leave with the exit code. A failure is one logged line with its cause."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("role", choices=[*ROLES, "setup"])
    role: str = parser.parse_args().role
    settings = read_settings()
    configure_logging(settings.log_level, process=role)
    try:
        pin_zone_data()
        code = asyncio.run(run_setup(settings) if role == "setup" else run_worker(settings, role))
    except Exception:
        logger(__name__).exception("process_failed", role=role)
        code = 1
    leave(code)


if __name__ == "__main__":
    main()
