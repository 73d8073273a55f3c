"""The source tree as syntax: what the architecture tests read."""

import ast
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
)


@dataclass(frozen=True, slots=True)
class Module:
    """One file. `name` is dotted, `package` its first word."""

    name: str
    path: Path
    tree: ast.Module
    text: str

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def where(self, node: ast.AST) -> str:
        """`path:line`, as editors open it."""
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


@cache
def modules() -> tuple[Module, ...]:
    """Every module of ours, parsed once."""
    return tuple(_module(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


def of(*packages: str) -> Iterator[Module]:
    """The modules of these packages."""
    return (module for module in modules() if module.package in packages)


def imports(module: Module) -> Iterator[tuple[str, ast.stmt]]:
    """Every imported module name, `from x import y` as `x.y`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def decorated(module: Module, decorator: str) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Classes and functions under `@decorator` or `@decorator(…)`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [ast.unparse(entry.func if isinstance(entry, ast.Call) else entry) for entry in node.decorator_list]
            if decorator in names:
                yield node


def _module(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    text = path.read_text()
    return Module(".".join(parts).removesuffix(".__init__"), path, ast.parse(text), text)
