"""How a reminder is told: category, channels, escalation steps, pre-due notices and dose guard, over HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from api.schemas.reminders import ReminderIn, ReminderUpdate
from core.errors import FieldProblem, Invalid
from domain import escalation
from domain.reminder_actions import Configure
from domain.reminder_series import ReminderClass
from models.queries.reminder_words import Telling

NEW: Final = Telling("other", ())
"""A reminder of which nothing is said yet, not even on which channels."""


def present(told: Telling) -> dict[str, Any]:
    """The fields of `ReminderOut`: what is in force, defaults included."""
    guard = told.guard
    return {
        "notification_methods": list(told.methods),
        "pending_channel": [],
        "lead_minutes": [lead.minutes for lead in told.leads],
        "steps": escalation.to_json(told.policy[1:]),
        "dose_guard": {
            "early_window_minutes": int(guard.early_window.total_seconds() // 60),
            "min_gap_minutes": told.min_gap_minutes,
        }
        if told.klass is ReminderClass.DOSE
        else None,
        "class": told.klass,
        "category": told.category,
    }


def asked(body: ReminderIn | ReminderUpdate, told: Telling) -> Telling:
    """What the body makes of it. Absent fields, and those sent back as they were shown, keep what is stored; null goes
    back to the default. Raises `Invalid`."""
    shown = present(told)
    given = body.model_dump(include=set(_CHANGES), exclude_unset=True)
    for field, change in _CHANGES.items():
        if field in given and given[field] != shown[field]:
            told = change(told, given[field])
    if not told.methods:
        told = replace(told, methods=escalation.DEFAULT_METHODS[told.category])
    if told.klass is ReminderClass.DOSE:
        return told
    if given.get("dose_guard") is not None:
        problem = FieldProblem("/dose_guard", "not_a_dose", "only reminders of the category medication give doses")
        raise Invalid("There is no dose to guard.", errors=(problem,))
    return replace(told, early_window_minutes=None, min_gap_minutes=None)


def _category(told: Telling, category: str | None) -> Telling:
    """Channels that are those of the former category become those of the new one, as steps and leads do."""
    usual = told.methods == escalation.DEFAULT_METHODS[told.category]
    return replace(told, category=category or NEW.category, methods=() if usual else told.methods)


def _leads(told: Telling, minutes: list[int] | None) -> Telling:
    return replace(told, lead_minutes=None if minutes is None else tuple(sorted(set(minutes), reverse=True)))


def _guard(told: Telling, guard: dict[str, int | None] | None) -> Telling:
    limits = guard or {}
    return replace(
        told,
        early_window_minutes=limits.get("early_window_minutes"),
        min_gap_minutes=limits.get("min_gap_minutes"),
    )


_CHANGES: Final[Mapping[str, Callable[[Telling, Any], Telling]]] = {
    "category": _category,
    "notification_methods": lambda told, methods: replace(told, methods=tuple(methods or ())),
    "lead_minutes": _leads,
    "steps": lambda told, steps: replace(told, steps=escalation.parse_steps(steps)),
    "dose_guard": _guard,
}


def configure(told: Telling) -> Configure:
    """The action that makes a series follow it."""
    return Configure(told.klass, told.policy, told.leads, told.guard)
