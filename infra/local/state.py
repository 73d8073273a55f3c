"""`state.json`: what the supervisor knows, for `status`, `down` and the next `up`; replaced whole at each change."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

import psutil

from infra.local.process import Memory, find, fingerprint
from infra.local.site import write_private


class State(StrEnum):
    """Of one service. `restarting` waits for its next try; `external` was given by URL."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"
    EXTERNAL = "external"
    DONE = "done"
    """Only of steps that run once; `status` lists services, so it never shows."""


@dataclass(frozen=True, slots=True)
class Record:
    """A process as it can be recognised later: pids are used again, names prove nothing."""

    pid: int
    create_time: float
    command: str

    @classmethod
    def of(cls, pid: int, argv: Sequence[str] | None = None) -> "Record | None":
        """None when it has already ended. `argv` as it was started: the system shows it only a moment later."""
        try:
            process = psutil.Process(pid)
            return cls(pid, process.create_time(), fingerprint(argv or process.cmdline()))
        except psutil.Error:
            return None

    def alive(self) -> psutil.Process | None:
        """The process, if it still is this one."""
        return find(self.pid, self.create_time, self.command)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One line of the table. `seconds` is from spawn to ready; `note` is for people."""

    title: str
    state: State
    process: Record | None = None
    port: int | None = None
    url: str | None = None
    restarts: int = 0
    seconds: float | None = None
    note: str = ""
    oneshot: bool = False

    @property
    def pid(self) -> int | None:
        """The process' id while there is one."""
        return self.process.pid if self.process else None


@dataclass(frozen=True, slots=True)
class StackState:
    """The whole stack. `urls` are those of `status --json`; `seconds` is from `up` to ready, `memory` then."""

    data_dir: str
    base_port: int
    supervisor: Record | None
    ready: bool = False
    seconds: float | None = None
    memory: Memory | None = None
    urls: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, ServiceState] = field(default_factory=dict)

    def public(self) -> dict[str, object]:
        """What `petfolio status --json` prints; the shape is a contract (architecture.md)."""
        services = {
            name: {"state": service.state.value, "pid": service.pid, "port": service.port, "url": service.url}
            for name, service in self.services.items()
            if not service.oneshot
        }
        return {"ready": self.ready, "data_dir": self.data_dir, **self.urls, "services": services}


def path_in(root: Path) -> Path:
    """Where the state of a data folder lies."""
    return root / "state.json"


def write(root: Path, state: StackState) -> None:
    """Replace the file."""
    write_private(path_in(root), json.dumps(asdict(state), indent=1))


def read(root: Path) -> StackState | None:
    """None where no stack has ever run."""
    try:
        raw = json.loads(path_in(root).read_text())
    except FileNotFoundError:
        return None
    services = {
        name: ServiceState(**{**service, "state": State(service["state"]), "process": _record(service["process"])})
        for name, service in raw.pop("services").items()
    }
    memory = Memory(**raw["memory"]) if raw.get("memory") else None
    return StackState(**{**raw, "memory": memory, "supervisor": _record(raw["supervisor"]), "services": services})


def _record(raw: Mapping[str, object] | None) -> Record | None:
    return Record(**raw) if raw else None  # type: ignore[arg-type]
