"""What is bigger than house-style.md §4.1 says to look at again is listed in `sizes.toml`, with the reason."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import Function, Module, dotted, functions, modules

FILE, WORKFLOW_FILE = 400, 250
FUNCTION, RUN, ACTIVITY, HANDLER, WORKER_ENTRY = 60, 60, 40, 20, 60
LISTING = Path(__file__).with_name("sizes.toml")


def length(function: Function) -> int:
    """Lines of a function, its signature and docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def body_length(function: Function) -> int:
    """Lines of the statements alone: a handler's signature is its dependencies, which we want to see."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def too_big(module: Module) -> Iterator[tuple[str, int, int]]:
    """(what, its size, the size to look at again)"""
    limit = {"workflows": WORKFLOW_FILE}.get(module.package, FILE)
    if module.name == "workers.__main__":
        limit = WORKER_ENTRY
    if len(module.lines) > limit:
        yield module.path, len(module.lines), limit
    for function in functions(module.tree):
        marks = {dotted(mark.func if isinstance(mark, ast.Call) else mark) for mark in function.decorator_list}
        size, limit = length(function), FUNCTION
        if "workflow.run" in marks:
            limit = RUN
        elif "activity.defn" in marks:
            limit = ACTIVITY
        elif any(mark.startswith("router.") for mark in marks):
            size, limit = body_length(function), HANDLER
        if size > limit:
            yield f"{module.path}::{function.name}", size, limit


def test_everything_big_is_explained() -> None:
    """Prevents the 4,000-line service that nobody decided to write: it grew a function at a time."""
    explained = tomllib.loads(LISTING.read_text())
    found = {what: (size, limit) for module in modules() for what, size, limit in too_big(module)}
    new = [
        f"{what}: {size} lines, look again at {limit}" for what, (size, limit) in found.items() if what not in explained
    ]
    assert not new, "take it apart, or say in tests/architecture/sizes.toml why it is better whole:\n" + "\n".join(new)
    gone = sorted(explained.keys() - found.keys())
    assert not gone, f"no longer too big; remove from sizes.toml: {gone}"
    assert all(len(reason) > 20 for reason in explained.values()), "a reason is a sentence"
