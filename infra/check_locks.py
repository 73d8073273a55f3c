"""`make check-locks`: the committed locks fit pyproject.toml, and no lock records where its packages came from.

A lock that was not made again after a change installs yesterday's project; a recorded host sends everybody who
installs to somebody else's mirror (local-stack.md §6.3).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
RUNTIME, DEV = "requirements.lock", "requirements-dev.lock"
REFUSED = ("uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "yarn.lock", "pnpm-lock.yaml")
_NOT_OURS = (".venv", "node_modules", ".git", ".petfolio")
_COMPILE = ("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header")
# What uv says when it is the network that fails, and not the resolution.
_UNREACHABLE = re.compile(
    r"error sending request|failed to fetch|dns error|connect|timed out|network|temporary failure", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong and what to do about it; `skipped` when the answer could not be had."""

    check: str
    reason: str
    skipped: bool = False

    def __str__(self) -> str:
        return f"{'SKIPPED' if self.skipped else 'FAILED'} {self.check}: {self.reason}"


def hosts(root: Path) -> Iterator[Finding]:
    """Locks that name a host, or are of a kind that always does."""
    for name in (RUNTIME, DEV):
        if "://" in (root / name).read_text():
            yield Finding("hosts", f"{name} contains an address; make it again with `make lock`")
    for path in _files(root):
        if path.name in REFUSED:
            yield Finding("hosts", f"{path.relative_to(root)} records registry hosts; only requirements*.lock is ours")
        if path.name == "package-lock.json" and '"resolved"' in path.read_text():
            fix = "set omit-lockfile-registry-resolved=true in the .npmrc beside it and run `npm install` again"
            yield Finding("hosts", f'{path.relative_to(root)} contains "resolved"; {fix}')


def declared(root: Path) -> Iterator[Finding]:
    """Packages of pyproject.toml that a lock does not pin, or pins at a version that pyproject.toml excludes."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["dev"]
    for name, wanted in ((RUNTIME, project["dependencies"]), (DEV, project["dependencies"] + extra)):
        pinned = dict(re.findall(r"^([a-z0-9._-]+)==([^ \\;]+)", (root / name).read_text(), re.MULTILINE))
        for requirement in map(Requirement, wanted):
            version = pinned.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                found = f"has {version}" if version else "does not pin it"
                yield Finding("declared", f"pyproject.toml asks for {requirement}, {name} {found}; run `make lock`")


def compiled(root: Path) -> Iterator[Finding]:
    """Locks that uv would write differently. Versions already locked are kept, so a new release changes nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("pyproject.toml", RUNTIME, DEV):
            shutil.copy(root / file, folder)
        for lock, options in ((RUNTIME, ()), (DEV, ("--extra", "dev", "-c", RUNTIME))):
            result = subprocess.run(  # noqa: S603 - our own arguments
                [_uv(), *_COMPILE, "pyproject.toml", *options, "-o", lock],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            if result.returncode:
                yield _not_compiled(result.stderr)
                return
            if (folder / lock).read_text() != (root / lock).read_text():
                yield Finding("compiled", f"{lock} is not what pyproject.toml gives; run `make lock` and commit both")


def _not_compiled(said: str) -> Finding:
    lines = [line.strip(" ╰─▶×") for line in said.splitlines()]
    sentence = next((line for line in reversed(lines) if line), "uv said nothing")
    if _UNREACHABLE.search(said):
        return Finding("compiled", f"the package index cannot be reached ({sentence})", skipped=True)
    return Finding("compiled", sentence)


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv") or "uv"


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [each for each in folders if each not in _NOT_OURS]
        yield from (Path(folder, each) for each in names)


def main() -> int:
    """Print one line per finding; 1 when something is wrong, 0 also when something could only be skipped."""
    findings = [finding for check in (hosts, declared, compiled) for finding in check(ROOT)]
    for finding in findings:
        print(finding)
    failed = any(not finding.skipped for finding in findings)
    if not findings:
        print("OK locks: they fit pyproject.toml and name no host")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
