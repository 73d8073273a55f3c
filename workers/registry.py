"""What runs where: workflows and activities by task queue, queues by role, and how each kind of outbox row is sent.

To add a feature: its workflow to `WORKFLOWS`, its activities to `activities`, and, if rows start it, its kind to
`OUTBOX`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from activities.reconcile import ReconcileActivities
from temporal import queues
from workers.composition import Parts
from workers.relay import OutboxKind
from workflows.reconcile import ReconcileWorkflow

ROLES: Final[Mapping[str, tuple[str, ...]]] = {"core": (queues.CORE,)}
"""Queues each role polls. The relay runs beside the role `core`."""

WORKFLOWS: Final[Mapping[str, tuple[type, ...]]] = {
    queues.CORE: (ReconcileWorkflow,),
}

Bound = Mapping[str, Sequence[Callable[..., Any]]]
"""Activities by queue."""

OUTBOX: Final[Mapping[str, OutboxKind]] = {}


def activities(parts: Parts) -> Bound:
    """Every activity, bound to what it needs, by queue."""
    reconcile = ReconcileActivities(parts.db.sessions, parts.temporal, parts.keys)
    return {
        queues.CORE: (reconcile.ring_missing, reconcile.end_orphans),
    }
