"""How we speak to Temporal stays in `temporal/`, and everything that can run is registered once."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from temporalio import activity, workflow

from temporal.queues import CALENDARS, ROLES
from tests.architecture.registered import activities_by_queue
from tests.architecture.source import Module, Violation, called, dotted, modules, parse, report
from workers.registry import OUTBOX, WORKFLOWS

_WORKFLOW_ID = re.compile(r"^(?:(?:household|user)/[^/]+/.|system/.)")


def inline_policies(module: Module) -> Iterator[Violation]:
    """Prevents the sixth copy of a retry policy with other numbers: policies have names and reasons in one file."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node) == "RetryPolicy":
            yield module.violation(
                node, "an inline RetryPolicy; use or add a policy named by intent in temporal/policies.py"
            )


def literal_ids(module: Module) -> Iterator[Violation]:
    """Prevents two workflows for one object, and payloads under the wrong key: the id decides whose key encrypts."""
    for node in ast.walk(module.tree):
        is_id = isinstance(node, ast.JoinedStr | ast.Constant) and _WORKFLOW_ID.match(_shape(node))
        if is_id and not module.excused(node.lineno, "workflow-ids"):
            yield module.violation(node, "builds a workflow id; make it in temporal/ids.py and call that")


def literal_queues(module: Module) -> Iterator[Violation]:
    """Prevents a task queue nobody polls because one of two spellings changed."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.keyword) and node.arg == "task_queue" and isinstance(node.value, ast.Constant):
            yield module.violation(node.value, "names a task queue; use the constant of temporal/queues.py")


def named_by_string(module: Module) -> Iterator[Violation]:
    """Prevents calls that no type checker sees: activities and child workflows are called by reference."""
    for node in ast.walk(module.tree):
        calls = isinstance(node, ast.Call) and dotted(node.func).startswith(("workflow.execute_", "workflow.start_"))
        if calls and node.args and isinstance(node.args[0], ast.Constant):
            yield module.violation(node, f"{called(node)} by name; pass the method itself")


def _shape(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def _outside_temporal() -> Iterator[Module]:
    return (module for module in modules() if module.package != "temporal")


def test_retry_policies_have_names() -> None:
    assert not (found := report(v for module in _outside_temporal() for v in inline_policies(module))), found


def test_workflow_ids_are_made_in_one_place() -> None:
    assert not (found := report(v for module in _outside_temporal() for v in literal_ids(module))), found


def test_task_queues_are_named_in_one_place() -> None:
    assert not (found := report(v for module in _outside_temporal() for v in literal_queues(module))), found


def test_activities_are_called_by_reference() -> None:
    assert not (found := report(v for module in modules("workflows") for v in named_by_string(module))), found


def _defined(layer: str, decorator: str, kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> set[str]:
    return {
        f"{module.name}.{node.name}"  # type: ignore[attr-defined]
        for module in modules(layer)
        for node in ast.walk(module.tree)
        if isinstance(node, kind)
        for mark in node.decorator_list  # type: ignore[attr-defined]
        if dotted(mark.func if isinstance(mark, ast.Call) else mark) == decorator
    }


def _one_of_each(by_queue: Mapping[str, Iterable[Any]]) -> dict[str, Iterable[Any]]:
    """The queues of the calendar providers hold the same, each for its own: one of them stands for all."""
    first, *others = CALENDARS.values()
    assert all(list(by_queue[each]) == list(by_queue[first]) for each in others)
    return {queue: held for queue, held in by_queue.items() if queue not in others}


def test_every_workflow_is_registered_on_exactly_one_queue() -> None:
    """Prevents a workflow that starts and then waits for ever, because no worker knows its type."""
    found = Counter(f"{each.__module__}.{each.__name__}" for each in chain(*_one_of_each(WORKFLOWS).values()))
    assert found == Counter(_defined("workflows", "workflow.defn", ast.ClassDef)), (
        "see WORKFLOWS in workers/registry.py"
    )


def test_every_activity_is_registered_on_exactly_one_queue() -> None:
    """Prevents an activity task that is retried for ever, because no worker of its queue has it."""
    queues = _one_of_each(activities_by_queue())
    found = Counter(f"{each.__module__}.{each.__name__}" for each in chain(*queues.values()))
    defined = _defined("activities", "activity.defn", (ast.FunctionDef, ast.AsyncFunctionDef))
    assert found == Counter(defined), "see activities() in workers/registry.py"


def test_names_of_workflows_and_activities_are_unique() -> None:
    """Prevents `ValueError` at worker start: names are one flat namespace per worker, whatever the class."""
    workflows, activities = _one_of_each(WORKFLOWS), _one_of_each(activities_by_queue())
    names = [workflow._Definition.must_from_class(each).name for each in chain(*workflows.values())]
    names += [activity._Definition.must_from_callable(each).name for each in chain(*activities.values())]
    assert not [name for name, count in Counter(names).items() if count > 1]


def test_every_queue_is_polled_by_a_role_and_every_outbox_kind_starts_something_activities_by_queue() -> None:
    """Prevents rows that the relay hands over and nobody runs."""
    polled = [queue for queues in ROLES.values() for queue in queues]
    assert set(WORKFLOWS) | set(activities_by_queue()) == set(polled)
    known = {workflow._Definition.must_from_class(each).name for each in chain(*WORKFLOWS.values())}
    assert {kind.workflow for kind in OUTBOX.values()} <= known


def test_the_checks_see_what_they_are_there_for() -> None:
    wrong = parse(
        'a = f"household/{h}/reminder/{r}"\nb = "system/sweep"\nc = f"user/{u}"\nRetryPolicy()\nf(task_queue="core")',
        "api/x.py",
    )
    assert len(list(literal_ids(wrong))) == 2, "an outbox aggregate of two segments is no workflow id"
    assert len(list(inline_policies(wrong))) == len(list(literal_queues(wrong))) == 1
    excused = parse('a = "system/x"  # lint-skip: workflow-ids: shown in the documentation', "api/x.py")
    assert not list(literal_ids(excused))
