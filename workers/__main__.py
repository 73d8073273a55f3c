"""`python -m workers core` serves task queues; `python -m workers setup` prepares a release."""

import argparse
import asyncio
from typing import NoReturn

import uvloop

from core.clock import pin_zone_data
from core.logging import configure_logging, logger
from core.settings import Settings, read_settings
from temporal.queues import ROLES
from workers.lifecycle import leave

SETUP = "setup"


def main() -> NoReturn:
    """Parse, run, leave with the exit code. A failure is one logged line with its cause."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("role", choices=[*ROLES, SETUP])
    role: str = parser.parse_args().role
    settings = read_settings()
    configure_logging(settings.log_level, process=role)
    try:
        pin_zone_data()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(_run(settings, role))
    except Exception:
        logger(__name__).exception("process_failed", role=role)
        code = 1
    leave(code)


async def _run(settings: Settings, role: str) -> int:
    if role == SETUP:
        # Alembic, which a worker does without: 0.3 s of every start.
        from workers.setup import run_setup  # noqa: PLC0415

        return await run_setup(settings)
    # Activities and templates, which a deploy does without: 0.5 s.
    from workers.process import run_worker  # noqa: PLC0415

    return await run_worker(settings, role)


if __name__ == "__main__":
    main()
