"""Workflow ids: `{scope}/{scope_id}/{kind}[/{object_id}]`, made here and nowhere else.

The first two segments name whose key encrypts the payloads, so the codec needs no lookup. Ids are never encrypted and
never hold anything personal.
"""

from dataclasses import dataclass
from uuid import UUID

from core.crypto import SYSTEM, Subject


class UnknownWorkflowId(ValueError):
    """An id whose first segment is no scope of ours: never a silent fall-back to the system key."""


@dataclass(frozen=True, slots=True)
class WorkflowId:
    """An id taken apart: who it belongs to, what it is, and which object it looks after (if any)."""

    subject: Subject
    kind: str
    object_id: UUID | None


def reminder(household_id: UUID, reminder_id: UUID) -> str:
    """The entity of one reminder."""
    return f"household/{household_id}/reminder/{reminder_id}"


def invitation(household_id: UUID, invitation_id: UUID) -> str:
    """The entity of one invitation to a household."""
    return f"household/{household_id}/invitation/{invitation_id}"


def transfer(household_id: UUID, transfer_id: UUID) -> str:
    """The entity of one pet's move away from a household."""
    return f"household/{household_id}/transfer/{transfer_id}"


def grant(household_id: UUID, grant_id: UUID) -> str:
    """The entity of one sitter's grant."""
    return f"household/{household_id}/grant/{grant_id}"


def lost_case(household_id: UUID, case_id: UUID) -> str:
    """The entity of one search for a pet."""
    return f"household/{household_id}/lost/{case_id}"


def media(household_id: UUID, asset_id: UUID) -> str:
    """The entity of one uploaded content."""
    return f"household/{household_id}/media/{asset_id}"


def calendar(user_id: UUID, calendar_link_id: UUID) -> str:
    """The entity of one connected calendar."""
    return f"user/{user_id}/calendar/{calendar_link_id}"


def billing(account_id: UUID) -> str:
    """The entity of one account's subscription."""
    return f"user/{account_id}/billing"


def refund(account_id: UUID, refund_id: UUID) -> str:
    """One payment's way back."""
    return f"user/{account_id}/refund/{refund_id}"


def billing_resolve(event_id: str) -> str:
    """The search for whose an event of Stripe's is."""
    return f"system/billing-resolve/{event_id}"


def mail(user_id: UUID, delivery_id: UUID) -> str:
    """One mail to one person: verification, reset, notices."""
    return f"user/{user_id}/mail/{delivery_id}"


def job(name: str) -> str:
    """A job of the operators, started by a Temporal Schedule."""
    return f"system/{name}"


def zone_data(version: str) -> str:
    """The roll-over to a version of the zone data."""
    return f"system/zone-data/{version}"


def subject_of(workflow_id: str | None) -> Subject:
    """Whose key: from the id; the system's where there is no workflow. Raises `UnknownWorkflowId`."""
    if workflow_id is None:
        return SYSTEM
    scope, _, rest = workflow_id.partition("/")
    if scope == "system":
        return SYSTEM
    scope_id = rest.partition("/")[0]
    try:
        if scope == "user":
            return Subject.user(UUID(scope_id))
        if scope == "household":
            return Subject.household(UUID(scope_id))
    except ValueError as error:
        raise UnknownWorkflowId("the second segment of the workflow id is no uuid") from error
    raise UnknownWorkflowId(f"{scope!r} is no scope of ours")


def parse(workflow_id: str) -> WorkflowId:
    """The inverse of the makers above. Raises `UnknownWorkflowId`."""
    subject = subject_of(workflow_id)
    segments = workflow_id.split("/")
    if subject.kind == "system":
        return WorkflowId(subject, "/".join(segments[1:]), None)
    if len(segments) not in (3, 4) or not segments[2]:
        raise UnknownWorkflowId("a workflow id has a scope, its id, a kind and perhaps an object id")
    try:
        return WorkflowId(subject, segments[2], UUID(segments[3]) if len(segments) == 4 else None)
    except ValueError as error:
        raise UnknownWorkflowId("the object id of the workflow id is no uuid") from error


def household_of(workflow_id: str) -> UUID | None:
    """The household whose workflow this is; None for everybody else's, and for the made-up ids of a replay."""
    scope, _, rest = workflow_id.partition("/")
    return subject_of(workflow_id).id if scope == "household" and rest else None


def owner_attribute(workflow_id: str) -> str:
    """`PfOwner`: the first two segments, e.g. `household/0190…`."""
    return "/".join(workflow_id.split("/")[:2])
