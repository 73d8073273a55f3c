"""`petfolio up`: the whole platform, in this terminal or detached."""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from infra.local import ports, state
from infra.local.environment import with_settings, write_env_file
from infra.local.errors import StackError
from infra.local.leftovers import end_leftovers
from infra.local.lock import try_lock
from infra.local.reload import reloader
from infra.local.site import CHECKOUT, open_site
from infra.local.supervisor import Supervisor
from infra.local.table import SERVICES
from infra.local.view import View, choose


def run(arguments: argparse.Namespace) -> int:
    """Start, and stay unless `--detach`. Raises `StackError` when it cannot start."""
    console = Console()
    if arguments.detach:
        return _detach(arguments, console)
    root: Path = arguments.data_dir
    root.mkdir(parents=True, exist_ok=True)
    if (lock := try_lock(root / "lock")) is None:
        raise in_use(root)
    try:
        if ended := end_leftovers(root):
            console.print(f"Ended {ended} processes that a killed supervisor had left.", highlight=False)
        with choose(console) as view:
            seconds = asyncio.run(_supervise(arguments, view))
    finally:
        os.close(lock)
    console.print(f"Stopped in {seconds:.1f} s.", highlight=False)
    return 0


def in_use(root: Path) -> StackError:
    """The sentence for a second stack on one folder, which would destroy it."""
    running = state.read(root)
    where = f" (base port {running.base_port})" if running else ""
    return StackError(
        f"Another stack{where} is using {root}: `petfolio status` shows it, `petfolio down` stops it, "
        "--data-dir chooses another folder."
    )


async def _supervise(arguments: argparse.Namespace, view: View) -> float:
    """Run until a signal; answers the seconds that the stop took."""
    base = _base_port(arguments.base_port)
    names = [name for service in SERVICES for name in service.secrets]
    site = open_site(arguments.data_dir, ports.block(base, os.environ), names, dict(os.environ), durable=True)
    site = with_settings(site, SERVICES)
    write_env_file(site)
    supervisor = Supervisor(site, base, SERVICES, view.show, once=arguments.once)
    await supervisor.run(reloader() if arguments.reload else None)
    return supervisor.stop_seconds


def _base_port(given: int | None) -> int:
    if given is None:
        given = int(os.environ.get("PETFOLIO_BASE_PORT") or ports.DEFAULT_BASE)
    return given or ports.search(os.environ)


def _detach(arguments: argparse.Namespace, console: Console) -> int:
    """Run the supervisor in a session of its own and follow its state until everything is ready."""
    root: Path = arguments.data_dir
    (root / "logs").mkdir(parents=True, exist_ok=True)
    log = root / "logs/supervisor.log"
    options = [f"--data-dir={root}"]
    options += [f"--base-port={arguments.base_port}"] if arguments.base_port is not None else []
    options += [f"--{name}" for name in ("once", "reload") if getattr(arguments, name)]
    with log.open("ab") as out:
        began = out.tell()
        child = subprocess.Popen(
            (sys.executable, "-m", "infra.local.cli", "up", *options),
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        with choose(console) as view:
            ready = _follow(child, root, view)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    if not ready:
        raise StackError(_last_words(log, began))
    return 0


def _follow(child: "subprocess.Popen[bytes]", root: Path, view: View) -> bool:
    """Show the child's progress; whether it became ready before it ended."""
    while child.poll() is None:
        now = state.read(root)
        if now and now.supervisor and now.supervisor.pid == child.pid:
            view.show(now)
            if now.ready:
                return True
        time.sleep(0.1)
    return False


def _last_words(log: Path, began: int) -> str:
    """What the supervisor said about its end, without its own prefix."""
    with log.open() as file:
        file.seek(began)
        _, found, sentence = file.read().rpartition("petfolio: ")
    return sentence.strip() if found else f"The supervisor ended; {log} says why."
