"""The settings of a stack: what its processes get, and the file `env` for everybody else who wants to join in."""

import dataclasses
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from infra.local.service import Service
from infra.local.site import Site, write_private

_OURS = ("PETFOLIO_", "AWS_")
_NOT_SETTINGS = ("PETFOLIO_PORT_", "PETFOLIO_DATA_DIR", "PETFOLIO_RUN_AS", "PETFOLIO_PG_BINDIR")


def with_settings(site: Site, services: Iterable[Service]) -> Site:
    """The site with the settings of every service that is ours; of the others the person gave them."""
    settings: dict[str, str] = {}
    for service in services:
        if not service.given_by(site):
            settings |= service.settings(site)
    return dataclasses.replace(site, settings=settings)


def write_env_file(site: Site) -> None:
    """`<data>/env`, 0600: `set -a; . <data>/env` and any process of the platform runs by hand."""
    given = {
        name: value
        for name, value in site.environ.items()
        if name.startswith(_OURS) and not name.startswith(_NOT_SETTINGS)
    }
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in sorted({**given, **site.settings}.items()))
    write_private(site.root / "env", "".join(lines))


def read_env_file(root: Path) -> None:
    """Put the stack's settings into this process' environment, for commands that run the platform's own code."""
    for line in (root / "env").read_text().splitlines():
        name, _, value = line.partition("=")
        os.environ[name] = shlex.split(value)[0] if value else ""
