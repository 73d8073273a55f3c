"""How the stack looks in a terminal, and on paper where there is none."""

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from infra.local.process import memory_of
from infra.local.state import ServiceState, StackState, State

_COLOURS: Mapping[State, str] = {
    State.STARTING: "yellow",
    State.RUNNING: "green",
    State.RESTARTING: "magenta",
    State.FAILED: "bold red",
    State.STOPPED: "bright_black",
    State.EXTERNAL: "cyan",
    State.DONE: "green",
}


def table(state: StackState, *, memory: bool = False) -> Table:
    """One line per service; `memory` asks the system, so only where it is wanted."""
    result = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Service", "State", "Ready", "Pid", "Where", *(("Memory",) if memory else ())):
        result.add_column(column, no_wrap=True)
    result.add_column("")
    for service in state.services.values():
        result.add_row(*_row(service), *((_megabytes(service),) if memory else ()), Text(service.note, style="yellow"))
    return result


def _row(service: ServiceState) -> list[RenderableType]:
    seconds = f"{service.seconds:.1f} s" if service.seconds is not None else ""
    where = service.url or (f"127.0.0.1:{service.port}" if service.port else "")
    busy = service.state in (State.STARTING, State.RESTARTING)
    style = _COLOURS[service.state]
    label = Text(service.state.value + (f" ({service.restarts}×)" if service.restarts else ""), style=style)
    shown: RenderableType = Spinner("dots", label, style=style) if busy else label
    return [service.title, shown, seconds, str(service.pid or ""), where]


def _megabytes(service: ServiceState) -> str:
    return f"{memory_of(service.pid).fair / 2**20:.0f} MB" if service.pid else ""


def summary(state: StackState) -> Text:
    """The lines under the table once everything is ready."""
    memory = ""
    if state.memory:
        resident, fair = (value / 2**20 for value in (state.memory.resident, state.memory.fair))
        memory = f" · {resident:.0f} MB resident, {fair:.0f} MB with shared pages counted once"
    return Text.assemble(
        (f"Ready in {state.seconds:.1f} s{memory}\n", "bold green"),
        f"  API          {state.urls['api_url']}   documentation at {state.urls['api_url']}/docs\n",
        f"  Temporal UI  {state.urls['temporal_ui_url']}\n",
        f"  Inbox        {state.urls['inbox_url']}\n",
        f"  Data         {state.data_dir}\n",
        "  Next: `make demo` in a second terminal. Ctrl-C or `petfolio down` stops everything.",
    )


class LiveView:
    """The table in a terminal, drawn anew at each change."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, state: StackState) -> None:
        """Draw this state."""
        self._live.update(Group(table(state), "", summary(state)) if state.ready else table(state))


class PlainView:
    """One line per change, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, State] = {}
        self._ready = False

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, state: StackState) -> None:
        """Print what changed."""
        for name, service in state.services.items():
            if self._seen.get(name, State.STOPPED) is not service.state:
                self._seen[name] = service.state
                after = f" after {service.seconds:.1f} s" if service.seconds and service.state is State.RUNNING else ""
                self._print(f"{name:<12} {service.state.value}{after} {service.note}".rstrip())
        if state.ready and not self._ready:
            self._print(summary(state).plain)
        self._ready = state.ready

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


View = LiveView | PlainView


def choose(console: Console) -> View:
    """The live table in a terminal, lines elsewhere."""
    return LiveView(console) if console.is_terminal else PlainView(console)
