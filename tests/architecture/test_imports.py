"""Imports flow one way (architecture.md, Folders), at the top of the file, in any order, without side effects."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from tests.architecture.source import (
    PACKAGES,
    ROOT,
    Function,
    Module,
    Violation,
    imported,
    imported_at_run_time,
    modules,
    parse,
    report,
)

ALLOWED: dict[str, tuple[str, ...]] = {
    "core": (),
    "domain": ("core.errors",),
    "models": ("core", "domain"),
    "integrations": ("core", "domain"),
    "temporal": ("core", "domain"),
    "activities": ("core", "domain", "models", "integrations", "temporal"),
    "workflows": ("domain", "temporal", "activities"),
    "api": (
        "core",
        "domain",
        "models",
        # The consent and what it gives; what speaks to calendars themselves is the workers' alone.
        "integrations.calendar.consents",
        "integrations.calendar.credentials",
        "integrations.calendar.oauth",
        "integrations.calendar.protocol",
        "integrations.outbound",
        "integrations.identity",
        "integrations.keys",
        "integrations.notify.feedback",
        "integrations.payments",
        "integrations.storage",
        "temporal.contracts",
        "temporal.gateway",
        "temporal.ids",
        "temporal.outbox",
    ),
    "workers": PACKAGES,
    "infra": PACKAGES,
}
"""What each layer may import besides itself."""

ALSO: dict[str, tuple[str, ...]] = {
    # the row is written here, so that it is written the same way everywhere; and which calendars hear of a change
    "temporal.outbox": ("models.outbox", "models.queries.calendar_links"),
    "api.feeds": ("integrations.calendar.ics",),  # a format, not a vendor: nothing waits, so no workflow writes it
    "api.routes.codec": ("temporal.codec",),  # the codec server is a route of the api (architecture.md, Processes)
}
"""What single modules may import besides that, with the reason."""


def _below(name: str, roots: Iterable[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


CHOOSERS = {
    "workers.__main__",
    "integrations.keys.factory",
    "integrations.calendar.factory",
    "integrations.payments.factory",
}
"""Load only what was chosen: a role of a process, a keeper of keys, a vendor of calendars, payments."""
STRIPE = ("integrations.payments.calls", "integrations.payments.client", "infra.local")
"""Who imports Stripe's SDK: the two modules behind `integrations.payments.factory`, and the local Stripe server, whose
requests are checked against the SDK's types."""


def against_the_flow(module: Module) -> Iterator[Violation]:
    """Prevents the cycle that starts as one convenient import and ends as a `service.py` everybody imports lazily."""
    allowed = (module.package, *ALLOWED[module.package], *ALSO.get(module.name, ()))
    for node, name in imported(module):
        if name.partition(".")[0] in PACKAGES and not _below(name, allowed):
            may = ", ".join(ALLOWED[module.package]) or "nothing of ours"
            yield module.violation(
                node,
                f"{module.package} imports {name}; it may import {may}. Move the code down to the layer that both may "
                "import, or let the value arrive as an argument from a composition root (api/services.py, workers/).",
            )


def inside_functions(module: Module) -> Iterator[Violation]:
    """Prevents hidden cycles: an import inside a function works until somebody calls it first (house-style.md §4.3).

    The exceptions say in a comment right above the imports what they cost: a vendor's package, measured, and the places
    that choose one of several parts of ours and must not load the others.
    """
    for function in (node for node in ast.walk(module.tree) if isinstance(node, Function)):
        for node in ast.walk(function):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            source = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
            ours = (isinstance(node, ast.ImportFrom) and node.level > 0) or source.partition(".")[0] in PACKAGES
            if ours and not (module.name in CHOOSERS and _explained(module, node.lineno)):
                yield module.violation(node, f"imports {source} inside a function; find the cycle it hides and undo it")
            elif not _explained(module, node.lineno):
                yield module.violation(
                    node, f"imports {source} inside a function; move it up, or say above it what it costs (measured)"
                )


def _explained(module: Module, line: int) -> bool:
    lines = module.lines
    while line > 1 and (not (above := lines[line - 2].strip()) or above.startswith(("import ", "from "))):
        line -= 1
    return line > 1 and lines[line - 2].strip().startswith("#")


def of_stripe(module: Module) -> Iterator[Violation]:
    """Prevents a second way to charge somebody, and 27 MB in processes that charge nobody."""
    for node, name in imported(module):
        if name.partition(".")[0] == "stripe" and not _below(module.name, STRIPE):
            yield module.violation(node, "imports stripe; ask `integrations.payments` instead")


def test_only_the_package_of_payments_imports_stripe() -> None:
    assert not (found := report(v for module in modules() for v in of_stripe(module))), found
    assert list(of_stripe(parse("import stripe", "activities/billing.py")))


def test_imports_flow_one_way() -> None:
    assert not (found := report(v for module in modules() for v in against_the_flow(module))), found


def test_no_import_hides_inside_a_function() -> None:
    assert not (found := report(v for module in modules() for v in inside_functions(module))), found


def test_workflow_modules_import_ours_passed_through_and_at_the_top() -> None:
    """Prevents a worker that cannot start: a table imported without pass-through fails validation (measured)."""
    assert not (found := report(v for module in modules("workflows") for v in _not_passed_through(module))), found


def _not_passed_through(module: Module) -> Iterator[Violation]:
    for node in module.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
            if source.partition(".")[0] in PACKAGES:
                yield module.violation(
                    node, f"{source} belongs under `with workflow.unsafe.imports_passed_through():` at the top"
                )


def test_no_module_imports_itself_by_a_detour() -> None:
    """Prevents modules that can be imported only in a certain order: without a cycle every order works."""
    graph = {module.name: set(_loaded_by(module)) for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(
            f"an import cycle: {' -> '.join(error.args[1])}; move what both need into one below"
        ) from None


def _loaded_by(module: Module) -> Iterator[str]:
    """What importing it executes first; the packages above it are being executed already."""
    names = {module.name for module in modules()}
    for name in imported_at_run_time(module):
        parts = name.split(".")
        for above in (".".join(parts[: n + 1]) for n in range(len(parts))):
            if above in names and not f"{module.name}.".startswith(f"{above}."):
                yield above


def test_importing_any_module_only_defines() -> None:
    """Prevents a process that opens files, sockets or threads because somebody imported it; last module first."""
    # Alembic runs the migrations itself, with a context that only exists then.
    names = [module.name for module in reversed(modules()) if not module.name.startswith("models.migrations")]
    run = subprocess.run(
        [sys.executable, "-m", "tests.architecture.import_all", *names], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    effects = json.loads(run.stdout)
    assert not effects, "\n".join(f"{name}: {'; '.join(done)}" for name, done in effects.items())


def test_the_checks_see_what_they_are_there_for() -> None:
    """A check that finds nothing because it looks at nothing would pass for ever."""
    wrong = parse(
        "from temporal import ids\n\ndef f():\n    from core.db import connect\n    import stripe\n", "domain/x.py"
    )
    assert len(list(against_the_flow(wrong))) == 2
    assert len(list(inside_functions(wrong))) == 2
    measured = parse("def f():\n    # 0.3 s at every start (measured)\n    import stripe\n", "api/x.py")
    assert not list(inside_functions(measured))
