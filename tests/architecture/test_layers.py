"""Who may speak SQL, who may commit, and what a route looks like (house-style.md §4.7)."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Module, Violation, called, modules, parse, report

SQL_CALLS = frozenset(
    "execute executemany fetch fetchrow fetchval fetch_row fetch_value scalar scalars select insert".split()
)
BOUNDARIES = ("api.deps", "core.db", "models.migrate")
"""Where a transaction may end by name: the request's dependency, the pools, the migrations."""
_STATEMENT = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s", re.IGNORECASE)


def speaks_sql(module: Module) -> Iterator[Violation]:
    """Prevents the 200-handler application whose queries live in its routes: SQL belongs in models/queries."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node) in SQL_CALLS:
            yield module.violation(node, f"{called(node)}() in a route; write a function in models/queries and call it")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
            yield module.violation(node, "SQL in a route; write a function in models/queries and call it")


def commits(module: Module) -> Iterator[Violation]:
    """Prevents half a change: one request, one activity, one transaction. A commit below its boundary splits it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node) in ("commit", "rollback"):
            what = f"{called(node)}() below the boundary; the request's UnitOfWork or the activity's begin() does that"
            yield module.violation(node, what)


def table_with_behaviour(module: Module) -> Iterator[Violation]:
    """Prevents rules that only run with a database: a table holds columns, `domain/` holds what they mean."""
    for node in ast.walk(module.tree):
        is_table = isinstance(node, ast.ClassDef) and any(word.arg == "table" for word in node.keywords)
        for method in node.body if is_table else ():  # type: ignore[attr-defined]
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module.violation(method, f"table with a method {method.name}; move the rule to domain/")


def swallowed(module: Module) -> Iterator[Violation]:
    """Prevents failures nobody hears of, and workflows that mistake their eviction for an error."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        broad = node.type is None or (
            isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
        )
        silent = all(isinstance(each, ast.Pass | ast.Continue) for each in node.body)
        if node.type is None or (broad and silent) or (broad and module.package == "workflows"):
            yield module.violation(node, "swallows everything; catch what can be handled here, by its class")


def test_routes_contain_no_sql() -> None:
    routes = (module for module in modules("api") if module.name.startswith(("api.routes", "api.webhooks")))
    assert not (found := report(v for module in routes for v in speaks_sql(module))), found


def test_only_boundaries_commit() -> None:
    below = (module for module in modules() if not module.name.startswith((*BOUNDARIES, "infra")))
    assert not (found := report(v for module in below for v in commits(module))), found


def test_tables_have_no_behaviour() -> None:
    assert not (found := report(v for module in modules("models") for v in table_with_behaviour(module))), found


def test_no_failure_is_swallowed() -> None:
    assert not (found := report(v for module in modules() for v in swallowed(module))), found


def test_the_checks_see_what_they_are_there_for() -> None:
    wrong = parse(
        'async def f(session):\n    await session.execute(text("SELECT 1"))\n    await session.commit()',
        "api/routes/x.py",
    )
    assert len(list(speaks_sql(wrong))) == 2
    assert len(list(commits(wrong))) == 1
    assert len(list(swallowed(parse("try:\n    f()\nexcept Exception:\n    pass", "api/x.py")))) == 1
    assert len(list(table_with_behaviour(parse("class A(B, table=True):\n    def f(self): ...", "models/x.py")))) == 1
