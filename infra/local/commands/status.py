"""`petfolio status`: what runs where, for people or (`--json`) programs."""

import argparse
import dataclasses
import json
import os
from pathlib import Path

from rich.console import Console

from infra.local import ports, state
from infra.local.lock import is_locked
from infra.local.site import Site
from infra.local.state import ServiceState, StackState, State
from infra.local.supervisor import urls_of
from infra.local.table import SERVICES
from infra.local.view import summary, table


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 whatever the state is: the answer is what is printed."""
    now = current(arguments.data_dir)
    if arguments.json:
        print(json.dumps(now.public(), indent=2))
        return 0
    console = Console()
    console.print(table(now, memory=True))
    if now.ready:
        console.print(summary(now), soft_wrap=True)
    elif now.supervisor is None:
        console.print(f"Nothing is running in {now.data_dir}.", highlight=False, soft_wrap=True)
    return 0


def current(root: Path) -> StackState:
    """The recorded state; without a living supervisor nothing counts as running."""
    recorded = state.read(root)
    if recorded is None:
        return _never_started(root)
    if recorded.supervisor and recorded.supervisor.alive() and is_locked(root / "lock"):
        return recorded
    services = {
        name: dataclasses.replace(service, state=State.STOPPED, process=None, note=_left_behind(service))
        for name, service in recorded.services.items()
    }
    return dataclasses.replace(recorded, supervisor=None, ready=False, services=services)


def _left_behind(service: ServiceState) -> str:
    if service.process and service.process.alive():
        return f"left behind by a killed supervisor (pid {service.pid}): `petfolio down` ends it"
    return ""


def _never_started(root: Path) -> StackState:
    site = Site(root, ports.block(ports.DEFAULT_BASE, os.environ), {}, None)
    services = {
        service.name: ServiceState(service.title, State.STOPPED, oneshot=service.oneshot) for service in SERVICES
    }
    return StackState(str(root), ports.DEFAULT_BASE, None, urls=urls_of(site), services=services)
