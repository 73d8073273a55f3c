"""What a killed supervisor left running: found by pid, start time and command line, never by name, and ended."""

import asyncio
from collections.abc import Sequence
from itertools import groupby

import psutil

from infra.local.process import Stop, end
from infra.local.service import Service
from infra.local.site import Site
from infra.local.state import StackState


async def end_leftovers(site: Site, state: StackState | None, services: Sequence[Service]) -> int:
    """End them in the stop order of the table; answers how many there were."""
    known = {service.name: service for service in services}
    found: list[tuple[Stop, psutil.Process]] = []
    for name, recorded in (state.services if state else {}).items():
        process = recorded.process.alive() if recorded.process else None
        if process:
            found.append((known[name].stop if name in known else Stop(), process))
    found.sort(key=lambda item: item[0].stage)
    for _, stage in groupby(found, key=lambda item: item[0].stage):
        await asyncio.gather(*(asyncio.to_thread(end, process, stop) for stop, process in stage))
    for service in known.values():
        service.clean_up(site)
    return len(found)
