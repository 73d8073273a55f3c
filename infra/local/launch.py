"""One service alone, started and ended in the calling thread: what tests and one-off tools need."""

import time
from subprocess import Popen

from infra.local.errors import StackError
from infra.local.process import end, spawn, tail
from infra.local.service import Service
from infra.local.site import Site

_START_SECONDS = 60.0


def launch(service: Service, site: Site) -> Popen[bytes]:
    """Prepare, start, wait until ready, provision. Raises `StackError` with the log's end; nothing is left then."""
    service.prepare(site)
    log = site.logs / f"{service.name}.log"
    process = spawn(service.command(site), log)
    try:
        wait_ready(service, site, process)
        service.provision(site)
    except BaseException:
        end(process, service.stop)
        raise
    return process


def wait_ready(service: Service, site: Site, process: Popen[bytes]) -> None:
    """Raises `StackError` when the process ends or a minute passes first."""
    limit = time.monotonic() + _START_SECONDS
    while not service.ready(site):
        if process.poll() is not None or time.monotonic() > limit:
            what = "ended" if process.poll() is not None else "did not become ready"
            raise StackError(f"{service.title} {what}:\n{tail(site.logs / f'{service.name}.log')}")
        time.sleep(0.05)
