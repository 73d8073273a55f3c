"""What a killed supervisor left running: found by pid, start time and command line, never by name, and ended."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import psutil

from infra.local import ports, state
from infra.local.process import Stop, end
from infra.local.site import Site
from infra.local.state import StackState, State
from infra.local.table import SERVICES


def end_leftovers(root: Path) -> int:
    """End them in the stop order of the table and record it; answers how many there were. The lock must be held."""
    known = state.read(root)
    if known is None:
        return 0
    found = sorted(_alive(known), key=lambda item: item[0].stage)
    with ThreadPoolExecutor() as pool:
        for _, stage in groupby(found, key=lambda item: item[0].stage):
            list(pool.map(lambda item: end(item[1], item[0]), stage))
    site = Site(root, ports.block(known.base_port, os.environ), {}, None)
    for service in SERVICES:
        service.clean_up(site)
    services = {
        name: dataclasses.replace(service, state=State.STOPPED, process=None, note="")
        for name, service in known.services.items()
    }
    state.write(root, dataclasses.replace(known, supervisor=None, ready=False, services=services))
    return len(found)


def _alive(known: StackState) -> list[tuple[Stop, psutil.Process]]:
    stops = {service.name: service.stop for service in SERVICES}
    processes = {name: service.process.alive() for name, service in known.services.items() if service.process}
    return [(stops.get(name, Stop()), process) for name, process in processes.items() if process]
