"""What the text of the tree must and must not contain."""

import ast
import importlib
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import ROOT, Function, Module, Violation, called, modules, parse, report, tracked_files

MACHINES = re.compile(r"(?<![\w./-])/(?:work|root|Users|home/\w+)/(?!\.)")
REGISTRIES = re.compile(
    "|".join(("pypi" + r"\.org", "files" + r"\.pythonhosted", "registry" + r"\.npmjs", "/simple" + "/"))
)
_BINARY = (".png", ".jpg", ".ico", ".gz", ".woff2", ".bin")
_LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.comprehension)


def test_no_file_names_a_machine_or_a_registry() -> None:
    """Prevents a checkout that only works where it was written, and installs that go to somebody else's mirror."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked_files()
        if path.suffix not in _BINARY and path.stat().st_size < 2_000_000
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if MACHINES.search(line) or REGISTRIES.search(line)
    ]
    assert not found, "use a relative path, or a setting:\n" + "\n".join(found)


def without_docstring(module: Module) -> Iterator[Violation]:
    """Prevents contracts that exist only in somebody's head: what it promises, in which units, what it raises."""
    if module.text.strip() and not ast.get_docstring(module.tree):
        yield module.violation(module.tree, "module without a docstring")
    for owner in (
        module.tree,
        *(n for n in module.tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")),
    ):
        for node in owner.body:
            public = isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node) and not _overrides(module, owner, node):
                yield module.violation(node, f"{node.name} without a docstring; say the contract, not the name again")


def _overrides(module: Module, owner: ast.Module | ast.ClassDef, node: ast.AST) -> bool:
    """Whether a base class has the contract already: a protocol's callbacks, an overload, a property's setter."""
    if isinstance(owner, ast.Module) or not isinstance(node, Function):
        return False
    if any("overload" in ast.unparse(mark) or mark_is_setter(mark) for mark in node.decorator_list):
        return True
    bases = getattr(importlib.import_module(module.name), owner.name).__mro__[1:]
    return any(node.name in vars(base) for base in bases)


def mark_is_setter(mark: ast.expr) -> bool:
    """`@name.setter`."""
    return isinstance(mark, ast.Attribute) and mark.attr == "setter"


def test_every_public_name_says_what_it_promises() -> None:
    checked = (module for module in modules() if not module.name.startswith("models.migrations"))
    assert not (found := report(v for module in checked for v in without_docstring(module))), found


def fixed_sleeps(module: Module) -> Iterator[Violation]:
    """Prevents tests that pass on a fast machine and waste time on every machine: wait for the condition instead.

    A pause between two looks at a condition is in a loop; one that is itself what is tested says so in a comment.
    """
    inside = {id(node) for loop in ast.walk(module.tree) if isinstance(loop, _LOOPS) for node in ast.walk(loop)}
    for node in ast.walk(module.tree):
        if not (isinstance(node, ast.Call) and called(node) == "sleep" and node.args) or id(node) in inside:
            continue
        real = ast.unparse(node.func) in ("asyncio.sleep", "time.sleep", "sleep")
        yields = isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        around = module.lines[node.lineno - 2 : node.lineno]
        if real and not yields and not any("#" in line for line in around):
            yield module.violation(
                node, "sleeps for a fixed time; wait for the condition (tests/stack.py: until), or say why"
            )


def test_no_test_sleeps_for_a_fixed_time_without_a_reason() -> None:
    assert not (found := report(v for module in modules("tests") for v in fixed_sleeps(module))), found


def leftovers(module: Module) -> Iterator[Violation]:
    """Prevents promises nobody keeps: work that is not done is not announced in the code."""
    for number, line in enumerate(module.lines, 1):
        if re.search(r"#.*\b(TODO|FIXME|XXX|HACK)\b", line):
            yield Violation(module.path, number, "unfinished work in a comment; do it or leave it out")


def test_no_comment_announces_unfinished_work() -> None:
    assert not (found := report(v for module in modules() for v in leftovers(module))), found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("import asyncio\nasync def test_x():\n    await asyncio.sleep(3)", 1),
        ("import asyncio\nasync def test_x():\n    await asyncio.sleep(3)  # the outage itself", 0),
        ("import asyncio\nasync def test_x():\n    while not done():\n        await asyncio.sleep(0.1)", 0),
        ("import asyncio\nasync def test_x():\n    await asyncio.sleep(0)", 0),
    ],
)
def test_a_fixed_sleep_is_told_from_polling(text: str, count: int) -> None:
    assert len(list(fixed_sleeps(parse(text, "tests/x.py")))) == count


def test_a_machine_path_is_told_from_a_route() -> None:
    assert MACHINES.search('open("' + "/ro" + 'ot/x")')
    assert not MACHINES.search("GET /workflows/household/x")
