"""The commands of each workflow in source order, read from its syntax tree; nothing is imported.

Model: PostHog's `workflow_fingerprints.py`. It cannot see a changed decision of `domain/`: only histories can.
"""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
COMMANDS: Final = frozenset(
    {
        "execute_activity",
        "execute_activity_method",
        "start_activity",
        "start_activity_method",
        "execute_local_activity",
        "execute_local_activity_method",
        "start_local_activity",
        "start_local_activity_method",
        "execute_child_workflow",
        "start_child_workflow",
        "sleep",
        "upsert_search_attributes",
        "upsert_memo",
        "continue_as_new",
        "patched",
        "deprecate_patch",
    }
)


def fingerprints() -> dict[str, list[str]]:
    """Workflow name in the code → its commands, e.g. `deliver: execute_activity_method(ReminderActivities.…)`."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "workflows").glob("*.py")):
        tree = ast.parse(path.read_text())
        for workflow in (node for node in tree.body if isinstance(node, ast.ClassDef) and _is_workflow(node)):
            found[workflow.name] = [
                f"{function.name}: {command}"
                for function in workflow.body
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
                for command in _commands(function)
            ]
    return found


def _is_workflow(node: ast.ClassDef) -> bool:
    return any(ast.unparse(decorator).startswith("workflow.defn") for decorator in node.decorator_list)


def _commands(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _name(node)]
    return [_describe(call) for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset))]


def _name(call: ast.Call) -> str | None:
    """The command a call makes; a wait without time-out makes none."""
    match call.func:
        case ast.Attribute(ast.Name("workflow"), "wait_condition"):
            return "wait_condition" if any(keyword.arg == "timeout" for keyword in call.keywords) else None
        case ast.Attribute(ast.Name("workflow"), name) if name in COMMANDS:
            return name
        case _:
            return None


def _describe(call: ast.Call) -> str:
    """What decides about the command: its target, a child's id, a patch's name."""
    name = _name(call) or ""
    parts = []
    if name in {"patched", "deprecate_patch"} or name.startswith(("execute", "start")):
        parts.append(ast.unparse(call.args[0]))
    parts += [f"id={ast.unparse(keyword.value)}" for keyword in call.keywords if keyword.arg == "id"]
    return f"{name}({', '.join(parts)})"
