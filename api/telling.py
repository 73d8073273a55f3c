"""How a reminder is told: category, channels, escalation steps, pre-due notices and dose guard, over HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from api.schemas.reminders import ReminderIn, ReminderUpdate
from core.errors import FieldProblem, Invalid
from domain import escalation
from domain.reminder_actions import Configure
from domain.reminder_series import ReminderClass
from models.notification import Channel
from models.queries.reminder_words import Telling

DEFAULT_METHODS = (Channel.EMAIL, Channel.IN_APP)
NEW: Final = Telling("other", DEFAULT_METHODS)
"""A reminder of which nothing is said yet."""


def present(told: Telling) -> dict[str, Any]:
    """The fields of `ReminderOut`: what is in force, defaults included."""
    guard = told.guard
    return {
        "notification_methods": list(told.methods),
        "pending_channel": [],
        "lead_minutes": [int(lead.total_seconds() // 60) for lead in told.leads],
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
    for field, value in given.items():
        if value != shown[field]:
            told = _CHANGES[field](told, value)
    if told.klass is ReminderClass.DOSE:
        return told
    if given.get("dose_guard") is not None:
        problem = FieldProblem("/dose_guard", "not_a_dose", "only reminders of the category medication give doses")
        raise Invalid("There is no dose to guard.", errors=(problem,))
    return replace(told, early_window_minutes=None, min_gap_minutes=None)


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
    "category": lambda told, category: replace(told, category=category or "other"),
    "notification_methods": lambda told, methods: replace(told, methods=tuple(methods or DEFAULT_METHODS)),
    "lead_minutes": _leads,
    "steps": lambda told, steps: replace(told, steps=escalation.parse_steps(steps)),
    "dose_guard": _guard,
}


def configure(told: Telling) -> Configure:
    """The action that makes a series follow it."""
    return Configure(told.klass, told.policy, told.leads, told.guard)
