"""`GET /occurrences/{id}/explain`: what is on record about one occurrence, and in one sentence why it did or did not
reach the caller."""

from collections import defaultdict
from collections.abc import Container
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from api.occurrences import OVERRIDE_REASON
from api.reminders import document_of, told_of
from core.crypto import FieldCipher
from domain import explanation, reminder_planning, reminder_steps
from domain.absence import AWAY
from domain.escalation import Step
from domain.explanation import Told
from domain.recurrence import Schedule
from domain.reminder_delivery import QUIET_HOURS
from domain.reminder_series import Occurrence, OccurrenceState, is_repeating
from domain.schedule_json import from_stored
from models.queries.explanations import Record
from models.queries.reminder_words import Telling
from models.queries.reminders import occurrence_of

_DELIVERY = (
    *"id user_id grant_id channel step state reason provider_id not_before folded_into".split(),
    *"retracted_at created_at at".split(),
)
_EVENT = "at kind device_id provider_id code".split()


async def present(cipher: FieldCipher, record: Record, caller: UUID) -> dict[str, Any]:
    """The document of `ExplanationOut`."""
    row, occurrence = record.occurrence, occurrence_of(record.occurrence)
    document = document_of(row["schedule"])
    schedule = from_stored(document)
    ledger, zone = [_told(delivery) for delivery in record.deliveries], occurrence.tzid or row["timezone"]
    passed_over = row["away_until"] and is_repeating(schedule) and occurrence.state is OccurrenceState.SCHEDULED
    asked = row["reminder_state"] == "active" and not passed_over
    planned = _planned(occurrence, told_of(row), zone, row["members"], row["away_until"]) if asked else []
    return {
        "occurrence_id": row["id"],
        "reminder_id": row["reminder_id"],
        "sentence": explanation.sentence(occurrence, ledger, caller, zone, row["away_until"]),
        "state": occurrence.state,
        "late": occurrence.late,
        "class": row["class"],
        "category": row["category"],
        "schedule": document,
        "tzid": occurrence.tzid,
        "tzdata": occurrence.tzdata_version,
        "nominal": occurrence.nominal,
        "instant": occurrence.instant,
        "shifts": _shifts(occurrence, schedule, record),
        "deliveries": _deliveries(record),
        "planned": planned,
        "doses": [await _dose(cipher, dose, row["id"]) for dose in record.doses],
    }


def _told(row: asyncpg.Record) -> Told:
    return Told(
        user_id=row["user_id"],
        channel=row["channel"],
        step=row["step"],
        state=row["state"],
        reason=row["reason"],
        at=row["at"],
        not_before=row["not_before"],
        attempts=row["attempt"],
        as_sitter=row["grant_id"] is not None,
    )


def _deliveries(record: Record) -> list[dict[str, Any]]:
    events: defaultdict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for event in record.events:
        events[event["delivery_id"]].append({field: event[field] for field in _EVENT})
    return [
        {field: row[field] for field in _DELIVERY} | {"attempts": row["attempt"], "events": events[row["id"]]}
        for row in record.deliveries
    ]


def _shifts(occurrence: Occurrence, schedule: Schedule, record: Record) -> list[dict[str, Any]]:
    """In the order in which they moved it: rule and clock, new zone data, people."""
    shifted = reminder_planning.shift_of(
        schedule, occurrence.key, occurrence.nominal, occurrence.instant, occurrence.tzid
    )
    kinds: list[dict[str, Any]] = [{"kind": kind, "at": occurrence.instant} for kind in shifted]
    kinds += [{"kind": "zone_data", "at": move["now"], "was": move["was"]} for move in record.moves]
    if occurrence.round_at is not None:
        kinds.append({"kind": "snoozed" if occurrence.snooze_count else AWAY, "at": occurrence.round_at})
    kinds += [
        {"kind": QUIET_HOURS, "at": row["not_before"]}
        for row in record.deliveries
        if row["reason"] == QUIET_HOURS and row["not_before"] is not None
    ]
    return kinds


def _planned(
    occurrence: Occurrence, told: Telling, zone: str, members: Container[UUID], away_until: datetime | None
) -> list[dict[str, Any]]:
    """The notices that are still to come if nobody acts, and those for people who have left. What nobody has heard of
    before an absence begins its round on the return."""
    if not occurrence.is_open:
        return []
    began = reminder_steps.round_began(occurrence)
    if away_until is not None and occurrence.notified_at is None:
        began = away_until
    first = told.policy[0]
    ahead = [
        (reminder_steps.lead_name(occurrence, at), at, first)
        for at in (reminder_steps.lead_time(lead, occurrence, zone) for lead in told.leads)
        if occurrence.state is OccurrenceState.SCHEDULED and occurrence.lead_at is not None and at >= occurrence.lead_at
    ]
    steps = reminder_steps.remaining(told.policy, occurrence)
    ahead += [
        (reminder_steps.named(occurrence, step), max(began + step.after, away_until or began), step) for step in steps
    ]
    return [
        {
            "step": name,
            "at": at,
            "channels": list(step.channels),
            "who": str(step.who),
            "skipped": _skipped(step, members),
        }
        for name, at, step in ahead
    ]


def _skipped(step: Step, members: Container[UUID]) -> str | None:
    return "not_a_member" if isinstance(step.who, UUID) and step.who not in members else None


async def _dose(cipher: FieldCipher, row: asyncpg.Record, occurrence_id: UUID) -> dict[str, Any]:
    reason = await cipher.open_optional(OVERRIDE_REASON, occurrence_id, row["override_reason_ct"])
    shown = ("state", "given_at", "recorded_at", "by_user_id")
    return {field: row[field] for field in shown} | {"override_reason": reason}
