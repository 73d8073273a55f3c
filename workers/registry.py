"""What runs where: workflows and activities by task queue, and how each kind of outbox row is sent.

To add a feature: its workflow to `WORKFLOWS`, its activities to `activities`, and, if rows start it, its kind to
`OUTBOX`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from activities.audit import AuditActivities
from activities.courier import Courier
from activities.digest import DigestActivities
from activities.mail import MailActivities
from activities.pusher import Pusher
from activities.reconcile import ReconcileActivities
from activities.reminder import ReminderActivities
from activities.sitter_grant import SitterGrantActivities
from activities.strangers import StrangerMail
from activities.wording import Links, ReminderWording
from activities.zone_data import ZoneDataActivities
from core import unsubscribe
from core.unsubscribe import Unsubscriber
from domain.notification import Channel
from temporal import queues
from temporal.contracts import mail, reminder, sitter_grant
from temporal.contracts.mail import SendMail
from temporal.contracts.reminder import Bell
from temporal.contracts.sitter_grant import GrantChanged
from workers.composition import Parts
from workers.sender import OutboxKind
from workflows.audit import AuditWorkflow
from workflows.digest import DigestWorkflow
from workflows.mail import MailWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.reminder import ReminderWorkflow
from workflows.sitter_grant import SitterGrantWorkflow
from workflows.zone_data import ZoneDataWorkflow

WORKFLOWS: Final[Mapping[str, tuple[type, ...]]] = {
    queues.CORE: (
        AuditWorkflow,
        DigestWorkflow,
        MailWorkflow,
        ReconcileWorkflow,
        ReminderWorkflow,
        SitterGrantWorkflow,
        ZoneDataWorkflow,
    ),
}

Bound = Mapping[str, Sequence[Callable[..., Any]]]
"""Activities by queue."""

OUTBOX: Final[Mapping[str, OutboxKind]] = {
    reminder.KIND: OutboxKind(
        reminder.WORKFLOW,
        lambda row: reminder.first_state(row.args),
        signal=reminder.CHANGED,
        message=lambda row: Bell(row.seq),
    ),
    sitter_grant.KIND: OutboxKind(
        sitter_grant.WORKFLOW,
        lambda row: sitter_grant.first_state(row.args),
        signal=sitter_grant.CHANGED,
        message=lambda row: GrantChanged(row.seq),
    ),
    mail.KIND: OutboxKind(mail.WORKFLOW, lambda row: SendMail(UUID(str(row.args["delivery_id"])))),
}


def activities(parts: Parts) -> Bound:
    """Every activity, bound to what it needs, by queue."""
    audit = AuditActivities(parts.db.sessions, parts.secrets.derive("audit-chain"))
    reconcile = ReconcileActivities(parts.db.sessions, parts.temporal, parts.keys)
    links = Links(parts.settings.public_url, Unsubscriber(parts.secrets.derive(unsubscribe.KEY_PURPOSE)))
    grace = timedelta(days=parts.settings.erasure.grace_days)
    mails = MailActivities(parts.db.sessions, parts.cipher, parts.email, links=links, grace=grace)
    reminders = ReminderActivities(
        parts.db.sessions,
        ReminderWording(parts.cipher, links),
        Courier(
            {Channel.EMAIL: parts.email, Channel.SMS: parts.sms},
            Pusher(parts.db.sessions, parts.cipher, parts.push),
        ),
    )
    strangers = StrangerMail(parts.cipher, parts.email, parts.settings.public_url)
    grants = SitterGrantActivities(parts.db.sessions, strangers)
    return {
        queues.CORE: (
            audit.seal_entries,
            audit.verify_chain,
            DigestActivities(parts.db.sessions).enqueue_digests,
            grants.review_grant,
            grants.mail_grant,
            grants.start_grant,
            grants.summarise_grant,
            grants.end_grant,
            mails.send_mail,
            reconcile.ring_missing,
            reconcile.end_orphans,
            reminders.plan_reminder,
            reminders.deliver_occurrence,
            ZoneDataActivities(parts.db.sessions).move_occurrences,
        ),
    }
