"""The project's own source as the checks read it: parsed, never run.

A check is a function of modules to `Violation`s. A line that has to break a rule says so where everybody sees it:
`# lint-skip: <rule>: <reason>` on the line or alone on the line above. Without a reason it counts for nothing.
"""

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "core",
    "domain",
    "models",
    "integrations",
    "temporal",
    "activities",
    "workflows",
    "api",
    "workers",
    "infra",
)  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef
_ESCAPE = re.compile(r"# lint-skip: (?P<rule>[a-z-]+): \S")


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a rule is broken and what to do instead."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True, eq=False)
class Module:
    """One Python file. `name` is how it is imported; `path` is relative to the checkout."""

    name: str
    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The first segment: the layer."""
        return self.name.partition(".")[0]

    @property
    def lines(self) -> list[str]:
        """The text, by line."""
        return self.text.splitlines()

    def excused(self, line: int, rule: str) -> bool:
        """Whether the line, or a comment of its own right above it, skips `rule` with a reason."""
        above = self.lines[line - 2].strip() if line > 1 else ""
        texts = (self.lines[line - 1], above if above.startswith("#") else "")
        return any((found := _ESCAPE.search(text)) is not None and found["rule"] == rule for text in texts)

    def violation(self, node: ast.AST, what: str) -> Violation:
        """The rule is broken at `node`."""
        return Violation(self.path, getattr(node, "lineno", 1), what)


@cache
def modules(*packages: str) -> tuple[Module, ...]:
    """Every module of these packages; all of the product's without an argument."""
    found = (path for package in packages or PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return tuple(parse(path.read_text(), path.relative_to(ROOT).as_posix()) for path in found)


def parse(text: str, path: str) -> Module:
    """A module from its text, also from one that only exists in a test."""
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Module(name, path, text, ast.parse(text, filename=path))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method, nested ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute chain; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return ""


def called(node: ast.Call) -> str:
    """The last segment of what is called: `commit` of `session.commit()`, whatever the session is called."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def imported(module: Module, tree: ast.AST | None = None) -> Iterator[tuple[ast.stmt, str]]:
    """What is imported, as module names where they are modules of ours: `from temporal import ids` is `temporal.ids`.

    With a `tree`, only below that node of the module.
    """
    for node in ast.walk(tree or module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            for alias in node.names:
                deeper = f"{source}.{alias.name}"
                yield node, deeper if _is_module(deeper) else source


def imported_at_run_time(module: Module) -> Iterator[str]:
    """What importing the module imports: not what only a type checker or a called function does."""
    for statement in module.tree.body:
        for_types = isinstance(statement, ast.If) and dotted(statement.test).endswith("TYPE_CHECKING")
        if not for_types and not isinstance(statement, Function | ast.ClassDef):
            yield from (name for _, name in imported(module, statement))


@cache
def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def tracked_files() -> Iterator[Path]:
    """What a commit would hold: known to git or not ignored by it. Without git, everything but caches."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True
    )
    if listed.returncode == 0:
        return (path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())
    return _walked()


def _walked() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("node_modules", "build")]
        yield from (Path(folder, name) for name in names)


def report(violations: Iterator[Violation]) -> str:
    """All of them, one per line, for the message of a failing assertion. Empty when there are none."""
    return "\n".join(sorted(set(map(str, violations))))
