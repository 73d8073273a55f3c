"""What a reminder says and how it is told: the columns that are no part of its schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain import escalation
from domain.escalation import Lead, Policy
from domain.reminder_series import EARLY_WINDOW, DoseGuard, ReminderClass, class_of


@dataclass(frozen=True, slots=True)
class Telling:
    """How a reminder is told, as it is stored: None leaves it to the default of the category."""

    category: str
    methods: tuple[str, ...]
    lead_minutes: tuple[int, ...] | None = None
    steps: Policy | None = None
    early_window_minutes: int | None = None
    min_gap_minutes: int | None = None

    @property
    def klass(self) -> ReminderClass:
        """What is at stake."""
        return class_of(self.category)

    @property
    def policy(self) -> Policy:
        """All steps."""
        return escalation.policy(self.category, self.methods, self.steps)

    @property
    def leads(self) -> tuple[Lead, ...]:
        """How long ahead each pre-due notice goes out."""
        return escalation.leads(self.category, self.lead_minutes)

    @property
    def guard(self) -> DoseGuard:
        """When a dose may be given."""
        early = EARLY_WINDOW if self.early_window_minutes is None else timedelta(minutes=self.early_window_minutes)
        return DoseGuard(early, None if self.min_gap_minutes is None else timedelta(minutes=self.min_gap_minutes))

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Telling":
        """From a row of `reminders` whose documents are decoded."""
        leads = row["lead_minutes"]
        return cls(
            category=row["category"],
            methods=tuple(row["notification_methods"]),
            lead_minutes=None if leads is None else tuple(leads),
            steps=escalation.parse_steps(row["steps"]),
            early_window_minutes=row["early_window_minutes"],
            min_gap_minutes=row["min_gap_minutes"],
        )


@dataclass(frozen=True, slots=True)
class Words:
    """What a reminder says, sealed, and how it is told: the columns that are no part of the schedule."""

    title_ct: str
    description_ct: str | None
    telling: Telling

    @property
    def row(self) -> dict[str, object]:
        """As the statements take it."""
        told = self.telling
        return {
            "title_ct": self.title_ct,
            "description_ct": self.description_ct,
            "category": told.category,
            "klass": told.klass,
            "methods": list(told.methods),
            "lead_minutes": None if told.lead_minutes is None else list(told.lead_minutes),
            "steps": escalation.to_json(told.steps),
            "early_window_minutes": told.early_window_minutes,
            "min_gap_minutes": told.min_gap_minutes,
        }
