"""What crosses a workflow boundary may only grow: histories of months ago are read with today's code.

`contracts.txt` is what has been promised. After adding a field with a default:
`.venv/bin/python -m tests.architecture.contracts > tests/architecture/contracts.txt`.
"""

import re
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import formatannotation, signature

import pytest

from tests.architecture.contracts import LISTING, Shape, boundary, crossing, shapes

STRIPES = {"surplus_id", "void_invoice_id", "subscription_id", "invoice_id", "payment_method_id", "event_id"}
"""Ids that Stripe gives: words, and nothing personal."""
KEYS = {"after", "occurrence", "step", "tzid", "version", "difference", *STRIPES}
"""Strings that are keys of ours: where a listing of storage stands (its keys are made of ids), the nominal of an
occurrence, the step of its escalation; of the world: zones, and the
versions of their data, currencies (of a `difference`)."""


def _promised() -> dict[str, Shape]:
    return dict(Shape.read(line) for line in LISTING.read_text().splitlines())


def test_one_argument_in_and_it_is_a_frozen_dataclass() -> None:
    """Prevents a second positional argument, which no running history can be given later."""
    wrong = [
        f"{name}{signature(function)}"
        for name, function in boundary()
        if len(signature(function).parameters) > 2  # self and the one message
    ]
    assert not wrong, f"put the arguments into one dataclass of temporal/contracts: {wrong}"
    thawed = [
        each.__qualname__
        for each in crossing()
        if not (issubclass(each, Enum) or (is_dataclass(each) and each.__dataclass_params__.frozen))  # type: ignore[attr-defined]
    ]
    assert not thawed, f"@dataclass(frozen=True, slots=True), or a StrEnum: {thawed}"


def test_contracts_change_only_by_fields_with_defaults() -> None:
    """Prevents histories that cannot be decoded any more after a deploy: workflows stuck with open reminders."""
    now = shapes()
    broken = [
        f"{name}: {problem}"
        for name, promised in _promised().items()
        for problem in (promised.broken_by(now[name]) if name in now else ["is gone or renamed"])
    ]
    assert not broken, "keep the old field beside the new one, or version the workflow:\n" + "\n".join(broken)


def test_the_listing_of_contracts_is_up_to_date() -> None:
    """Prevents a field that is promised to running histories and that nobody knows to be."""
    assert shapes() == _promised(), "accept it: see the top of this file"


def test_only_ids_instants_and_small_values_cross() -> None:
    """Prevents personal data in histories: free text has no field to travel in (architecture.md, third sentence)."""
    texts = [
        f"{each.__qualname__}.{field.name}"
        for each in crossing()
        if is_dataclass(each)
        for field in fields(each)
        if re.search(r"\b(str|bytes|dict|Any|object)\b", formatannotation(field.type)) and field.name not in KEYS
    ]
    assert not texts, f"pass an id and read the text in the activity: {texts}"


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ("a.B(x: int, y: str = …)", None),
        ("a.B(x: int, y: str)", "y was added without a default"),
        ("a.B(x: str)", "x was int and is str"),
        ("a.B()", "x is gone"),
    ],
)
def test_a_change_that_breaks_histories_is_told_from_one_that_does_not(after: str, problem: str | None) -> None:
    assert Shape.read("a.B(x: int)")[1].broken_by(Shape.read(after)[1]) == ([problem] if problem else [])
