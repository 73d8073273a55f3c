"""`make check-infra`: the production side, checked without network and without an engine.

Each check prints OK, FAILED or `SKIPPED <check>: <reason>`; `PETFOLIO_REQUIRE=compose,dockerfile` turns a skip of those
into a failure. Exit code 1 when anything failed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"
FRONT = {"proxy"}
PROXY = ROOT / "infra" / "proxy" / "haproxy.cfg"
DRAIN_SECONDS = {"api": 23, "worker": 30}
"""What a process may take to end on SIGTERM, by the beginning of its name; its grace must be longer."""


class Skipped(Exception):
    """The check cannot run here; the text says why."""


def main() -> int:
    """Run every check; answer the exit code."""
    required = set(filter(None, os.environ.get("PETFOLIO_REQUIRE", "").split(",")))
    failed = False
    for name, check in CHECKS.items():
        try:
            problems = list(check())
        except Skipped as reason:
            print(f"SKIPPED {name}: {reason}")
            problems = [f"required by PETFOLIO_REQUIRE: {reason}"] if name in required else []
        else:
            print(f"{'FAILED' if problems else 'OK'} {name}")
        for problem in problems:
            print(f"  {problem}")
        failed = failed or bool(problems)
    return 1 if failed else 0


def compose() -> Iterator[str]:
    """The compose file is valid with the example settings, and says what production needs."""
    run = _run("docker-compose", "--env-file", str(ROOT / "infra/docker/example.env"), "-f", str(COMPOSE), "config",
               "--format", "json")  # fmt: skip
    if run.returncode:
        yield run.stderr.strip()[-500:]
        return
    yield from compose_problems(json.loads(run.stdout))


def compose_problems(config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a rendered compose file, one sentence each."""
    for name, service in config["services"].items():
        image = str(service.get("image", ""))
        if ":" not in image.rpartition("/")[2] or image.endswith(":latest"):
            yield f"{name}: the image is not pinned to a version ({image or 'none'})"
        if "healthcheck" not in service:
            yield f"{name}: has no healthcheck"
        if service.get("ports") and name not in FRONT:
            yield f"{name}: publishes a port; only {', '.join(sorted(FRONT))} may"
        grace = _seconds(str(service.get("stop_grace_period", "10s")))
        kind = name.partition("-")[0]
        if grace <= DRAIN_SECONDS.get(kind, 5):
            yield f"{name}: stop_grace_period of {grace} s is not longer than its drain"
        if kind in {"api", "worker", "setup"} and not service.get("read_only"):
            yield f"{name}: its root file system can be written to"


def dockerfile() -> Iterator[str]:
    """hadolint, and no root at run time."""
    run = _run("hadolint", "--no-color", "--failure-threshold", "warning", str(DOCKERFILE))
    if run.returncode:
        yield run.stdout.strip()
    text = DOCKERFILE.read_text()
    if "\nUSER " not in text or "HEALTHCHECK" not in text:
        yield "the image runs as root or has no HEALTHCHECK"


def proxy() -> Iterator[str]:
    """The proxy's own parser takes its configuration."""
    run = _run("haproxy", "-c", "-q", "-f", str(PROXY), PETFOLIO_API_HOST="127.0.0.1", PETFOLIO_S3_HOST="127.0.0.1")
    if run.returncode:
        yield run.stderr.strip()[-500:]


CHECKS: dict[str, Callable[[], Iterator[str]]] = {
    "compose": compose,
    "dockerfile": dockerfile,
    "proxy": proxy,
}


def _run(program: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise Skipped(f"{program} is not installed for this platform")
    whole = os.environ | env
    return subprocess.run([found, *arguments], cwd=ROOT, env=whole, capture_output=True, text=True, check=False)  # noqa: S603


def _seconds(period: str) -> int:
    """Compose prints durations like `1m30s`."""
    total, number = 0, ""
    for character in period:
        if character.isdigit():
            number += character
        else:
            total += int(number or 0) * {"h": 3600, "m": 60, "s": 1}.get(character, 0)
            number = ""
    return total


if __name__ == "__main__":
    sys.exit(main())
