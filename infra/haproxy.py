"""HAProxy for what is tested with it: the one of this machine, else Debian's package, unpacked without root."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_SYSTEM: Final = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin"
_UNPACKED: Final = Path(sys.prefix, "haproxy")
"""In the environment: `make clean` takes it away."""


class Unobtainable(Exception):
    """Neither here nor to be had; the text says why."""


def haproxy() -> str:
    """The program, fetched on first use. Raises `Unobtainable`."""
    if found := shutil.which("haproxy", path=_SYSTEM):
        return found
    launcher = _UNPACKED / "launch"
    if not launcher.exists():
        _unpack(_UNPACKED)
        libraries = os.pathsep.join(str(folder) for folder in _UNPACKED.glob("usr/lib/*-linux-gnu"))
        program = shlex.quote(str(_UNPACKED / "usr/sbin/haproxy"))
        launcher.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(libraries)} exec {program} "$@"\n')
        launcher.chmod(0o755)
    return str(launcher)


def _unpack(target: Path) -> None:
    """The package and those it needs that are not installed, into the folder."""
    if shutil.which("apt-get") is None:
        raise Unobtainable("haproxy is not installed, and this is no Debian to fetch it from")
    with tempfile.TemporaryDirectory() as folder:
        for needed in ("lists/partial", "archives/partial"):
            Path(folder, needed).mkdir(parents=True)
        places = {"State": folder, "State::status": "/var/lib/dpkg/status", "Cache": folder}
        options = [f"-oDir::{name}={place}" for name, place in places.items()] + ["-oDebug::NoLocking=1", "-qq"]
        _run("apt-get", *options, "update")
        _run("apt-get", *options, "--yes", "--no-install-recommends", "--download-only", "install", "haproxy")
        for package in Path(folder, "archives").glob("*.deb"):
            _run("dpkg-deb", "--extract", str(package), str(target))


def _run(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if run.returncode:
        raise Unobtainable(f"haproxy is not installed, and `{command[0]}` failed: {run.stderr.strip()[-300:]}")
