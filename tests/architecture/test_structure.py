"""Rules of the house that a machine can check. Each docstring names the bug it prevents."""

import ast
import re
import subprocess

import pytest

from core.db import API_POOL, WORKER_POOL
from tests.architecture.source import ROOT, Module, decorated, imports, modules, of
from workers import registry

OURS = {"core", "domain", "models", "integrations", "temporal", "activities", "workflows", "api", "workers", "infra"}
MAY_IMPORT = {
    "core": {"core"},
    "domain": {"domain", "core.errors"},
    "models": {"models", "domain", "core"},
    "integrations": {"integrations", "domain", "core"},
    "temporal": {"temporal", "domain", "core"},
    "activities": {"activities", "temporal", "integrations", "models", "domain", "core"},
    "workflows": {"workflows", "activities", "temporal", "domain"},
    "api": {
        "api",
        "models",
        "domain",
        "core",
        "integrations.storage",
        "integrations.identity",
        "integrations.keys",
        "integrations.payments",
        "temporal.gateway",
        "temporal.outbox",
        "temporal.ids",
        "temporal.contracts",
    },
}
EXTRA = {"temporal.outbox": {"models"}}


def allowed(module: Module, imported: str) -> bool:
    permitted = MAY_IMPORT[module.package] | EXTRA.get(module.name, set())
    return any(imported == name or imported.startswith(f"{name}.") for name in permitted)


def test_imports_flow_one_way() -> None:
    """A rule in a route, a query in a workflow: one import against the stream, and everything knows everything."""
    against = [
        f"{module.where(node)}: {module.package} may not import {name}"
        for module in of(*MAY_IMPORT)
        for name, node in imports(module)
        if name.partition(".")[0] in OURS and not allowed(module, name)
    ]
    assert against == []


def test_no_import_inside_a_function() -> None:
    """A function-level import hides a cycle, and the cycle is the bug. A vendor SDK whose cost is
    measured carries `noqa: PLC0415` and the figure."""
    hidden = [
        module.where(node)
        for module in modules()
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and "noqa: PLC0415" not in module.lines[node.lineno - 1]
    ]
    assert hidden == []


IMPURE = re.compile(
    r"datetime\.(now|utcnow|today)|date\.today|time\.(time|monotonic|sleep)|^open$|^print$|^input$|uuid[14]|os\.\w+|"
    r"^random|secrets\.\w+|asyncio\.\w+|socket\.\w+"
)


def test_domain_is_pure() -> None:
    """A clock or a random number in a rule makes workflows non-deterministic and tests a matter of luck."""
    impure = [
        f"{module.where(node)}: {called}"
        for module in of("domain")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and IMPURE.search(called := ast.unparse(node.func))
    ]
    standard = {"core", "domain", "dateutil", "tzdata"}
    foreign = [
        f"{module.where(node)}: {name}"
        for module in of("domain")
        for name, node in imports(module)
        if name.partition(".")[0] not in standard and name.partition(".")[0] not in _stdlib()
    ]
    assert impure + foreign == []


def _stdlib() -> frozenset[str]:
    import sys

    return frozenset(sys.stdlib_module_names)


SQL = re.compile(r"\.(commit|rollback|execute|fetch\w*|scalars?)$")


def test_routes_hold_no_sql_and_never_commit() -> None:
    """A commit in a handler splits the request's transaction: a 2xx whose outbox row is missing."""
    found = [
        f"{module.where(node)}: {ast.unparse(node)[:60]}"
        for module in of("api")
        if module.name.startswith("api.routes.")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and re.search(r"\.(commit|rollback|execute|fetch\w*|scalars?)$", ast.unparse(node.func))
    ]
    assert found == []


def test_retry_policies_and_workflow_ids_are_made_in_temporal_only() -> None:
    """Six copies of one policy drift apart; a workflow id made elsewhere is a second workflow for one object."""
    found = []
    for module in of("activities", "workflows", "api", "workers", "models", "integrations"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("RetryPolicy"):
                found.append(f"{module.where(node)}: RetryPolicy")
            if isinstance(node, ast.JoinedStr) and re.match(r"f'(household|user)/\{[^}]*\}/\w", ast.unparse(node)):
                found.append(f"{module.where(node)}: workflow id")
    assert found == []


def test_every_workflow_and_activity_is_registered_on_exactly_one_queue() -> None:
    """An unregistered activity waits for a worker for ever; a name used twice is answered by the wrong one."""
    workflows = [node.name for module in of("workflows") for node in decorated(module, "workflow.defn")]
    registered = [cls.__name__ for classes in registry.WORKFLOWS.values() for cls in classes]
    assert sorted(workflows) == sorted(registered)
    defined = [node.name for module in of("activities") for node in decorated(module, "activity.defn")]
    source = (ROOT / "workers" / "registry.py").read_text()
    bound = re.findall(r"\w+\.(\w+),?", source.partition("def activities")[2].partition("queues.CORE")[2])
    assert sorted(defined) == sorted(name for name in bound if name in defined)
    assert len(set(defined)) == len(defined)


def test_contracts_are_frozen_dataclasses_that_only_grow() -> None:
    """Histories of months ago are read with today's code: a field may be added with a default, nothing else."""
    shapes = {}
    for module in of("temporal"):
        if not module.name.startswith("temporal.contracts."):
            continue
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                assert "dataclass(frozen=True, slots=True)" in [ast.unparse(d) for d in node.decorator_list], node.name
                fields = [entry for entry in node.body if isinstance(entry, ast.AnnAssign)]
                shapes[f"{module.name.rpartition('.')[2]}.{node.name}"] = [
                    f"{ast.unparse(field.target)}: {ast.unparse(field.annotation)}" + (" = …" if field.value else "")
                    for field in fields
                ]
    committed = (ROOT / "tests" / "architecture" / "contracts.txt").read_text()
    shown = "".join(f"{name}({', '.join(fields)})\n" for name, fields in sorted(shapes.items()))
    assert shown == committed, "fields may be added with a default; then write the new listing into contracts.txt"


def test_everything_public_says_what_it_promises() -> None:
    """A name alone does not tell units, errors and who may call it."""
    silent = [
        f"{module.where(node)}: {node.name}"
        for module in modules()
        for node in (*module.tree.body, *_methods(module.tree))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
        and not any("overload" in ast.unparse(entry) for entry in node.decorator_list)
    ]
    silent += [module.name for module in modules() if module.text and ast.get_docstring(module.tree) is None]
    assert silent == []


def _methods(tree: ast.Module) -> list[ast.stmt]:
    return [
        entry
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for entry in node.body
        if isinstance(entry, ast.FunctionDef | ast.AsyncFunctionDef) and not entry.name.startswith("_")
    ]


LARGE = {
    "domain/recurrence.py": "one algorithm, told from the rule to the instant; its parts mean nothing alone",
    "domain/schedule_json.py": "one reader per field of one object, side by side with the writer it must mirror",
}


def test_files_and_functions_stay_small_enough_to_read() -> None:
    """Every application that grew has one 4,000-line file. Over it: look again, split, or explain it in LARGE."""
    large = [
        f"{module.path.relative_to(ROOT)}: {len(module.lines)} lines"
        for module in modules()
        if len(module.lines) > 400 and "migrations" not in module.name
    ]
    long = [
        f"{module.where(node)}: {node.name} has {length} lines"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
        and "migrations" not in module.name
    ]
    assert [entry for entry in large if entry.partition(":")[0] not in LARGE] + long == []


def test_tests_wait_for_conditions_and_never_for_time() -> None:
    """A fixed sleep is too short on a loaded machine and too long everywhere else. Polling is a sleep inside a loop; a
    time that the requirement itself asks for says so in a comment on its line or the line above."""
    found = []
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text()
        lines, tree = text.splitlines(), ast.parse(text)
        polled = {
            node
            for loop in ast.walk(tree)
            if isinstance(loop, ast.While | ast.For | ast.AsyncFor)
            for node in ast.walk(loop)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and re.fullmatch(r"(asyncio|time)\.sleep\((?!0\)).*", ast.unparse(node)):
                explained = "#" in lines[node.lineno - 1] + lines[node.lineno - 2]
                if node not in polled and not explained:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_nothing_of_this_machine_is_committed() -> None:
    """A path of one machine works on that machine; a registry's address in a lock breaks every other."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if path.suffix in {".png", ".ico", ".woff2"} or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if re.search(r"(?<![\w.])/(root|home/\w+|work)/", text) and "architecture" not in name:
            found.append(name)
    assert found == []


@pytest.mark.parametrize(("apis", "workers"), [(2, 5)])
def test_all_pools_together_fit_the_database(apis: int, workers: int) -> None:
    """`too many clients already` at the worst moment: when everything restarts at once. 300 is `max_connections` of the
    local stack and of compose; LISTEN, migrations and the superuser need some of them."""
    assert apis * API_POOL.total + workers * WORKER_POOL.total <= 300 - 40
