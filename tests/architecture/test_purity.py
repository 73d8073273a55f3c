"""`domain/` decides and nothing else: no clock, no randomness, no I/O (architecture.md, fourth sentence)."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Module, Violation, called, dotted, imported, modules, parse, report

LIBRARIES = frozenset(
    "abc base64 bisect calendar collections contextlib copy dataclasses datetime dateutil decimal difflib enum "
    "fractions functools hashlib heapq hmac importlib ipaddress itertools json math numbers operator re string types "
    "typing unicodedata uuid zoneinfo tzdata".split()
)
"""What rules may be written with; `importlib` and `tzdata` for the pinned zone data, whose version
belongs to each result."""

CLOCKS = frozenset(
    "datetime.now datetime.utcnow datetime.today date.today time.time time.monotonic time.perf_counter".split()
)
DICE = frozenset({"uuid1", "uuid4", "uuid6", "uuid7", "getrandom", "urandom"})
OUTSIDE = frozenset({"open", "print", "input", "exec", "eval", "__import__", "getenv"})


def impure(module: Module) -> Iterator[Violation]:
    """Prevents a rule that cannot be tested, simulated or replayed: workflow code passes `domain/` through unwatched,
    so a clock in there differs at replay and nobody warns (temporal.md §4.2)."""
    for node, name in imported(module):
        if name.partition(".")[0] not in LIBRARIES | {"domain", "core"}:
            yield module.violation(node, f"imports {name}; rules are plain Python. Pass the value in instead")
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        # Both `datetime.now()` and `datetime.datetime.now()`; a field called `time` is no clock.
        name = ".".join(dotted(node.func).split(".")[-2:])
        if name in CLOCKS:
            yield module.violation(node, f"reads the clock with {name}(); take `now` as an argument")
        elif called(node) in DICE:
            yield module.violation(node, f"{called(node)}() is random; take the id as an argument")
        elif isinstance(node.func, ast.Name) and node.func.id in OUTSIDE:
            yield module.violation(node, f"{node.func.id}() reaches outside; do that in an activity or a route")


def zone_arithmetic(module: Module) -> Iterator[Violation]:
    """Prevents NondeterminismError after an update of the zone data: workflows take zone-dependent values from
    activity results (temporal.md T5)."""
    for node, name in imported(module):
        if name.partition(".")[0] in ("zoneinfo", "dateutil", "random", "time", "secrets", "tzdata"):
            yield module.violation(node, f"a workflow imports {name}; let an activity compute the value and record it")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ".".join(dotted(node.func).split(".")[-2:]) in CLOCKS:
            yield module.violation(node, "reads the process clock; use workflow.now()")


def settings_read(module: Module) -> Iterator[Violation]:
    """Prevents rules and effects that behave differently by environment: values arrive by constructor or input."""
    for node, name in imported(module):
        if name == "core.settings" or name.startswith("core.settings."):
            yield module.violation(node, "reads settings; let the composition root pass the value in")


def test_domain_has_no_clock_no_randomness_and_no_io() -> None:
    assert not (found := report(v for module in modules("domain") for v in impure(module))), found


def test_workflows_compute_no_times_of_their_own() -> None:
    assert not (found := report(v for module in modules("workflows") for v in zone_arithmetic(module))), found


def test_rules_workflows_and_activities_read_no_settings() -> None:
    pure = modules("domain", "workflows", "activities")
    assert not (found := report(v for module in pure for v in settings_read(module))), found


def test_the_checks_see_what_they_are_there_for() -> None:
    wrong = parse(
        "import random\nfrom datetime import datetime\nx = datetime.now()\nopen('y')\nimport uuid\nuuid.uuid4()",
        "domain/x.py",
    )
    assert len(list(impure(wrong))) == 4
    assert not list(impure(parse("start.time()\nself.open()\n", "domain/x.py")))
    assert len(list(zone_arithmetic(parse("import zoneinfo\ndatetime.datetime.now()", "workflows/x.py")))) == 2
