"""What runs where: workflows and activities by task queue, and how each kind of outbox row is sent.

To add a feature: its workflow to `WORKFLOWS`, its activities to `activities`, and, if rows start it, its kind to
`OUTBOX`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from activities.courier import Courier
from activities.digest import DigestActivities
from activities.invitation import KEY_PURPOSE as INVITATION_KEY
from activities.invitation import InvitationActivities
from activities.mail import MailActivities
from activities.pusher import Pusher
from activities.reconcile import ReconcileActivities
from activities.reminder import ReminderActivities
from activities.strangers import StrangerMail
from activities.transfer import TransferActivities
from activities.wording import Links, ReminderWording
from activities.zone_data import ZoneDataActivities
from core import unsubscribe
from core.unsubscribe import Unsubscriber
from domain.notification import Channel
from temporal import queues
from temporal.contracts import invitation, mail, reminder, transfer
from temporal.contracts.invitation import InvitationChanged
from temporal.contracts.mail import SendMail
from temporal.contracts.reminder import Bell
from temporal.contracts.transfer import TransferChanged
from workers.composition import Parts
from workers.sender import OutboxKind
from workflows.digest import DigestWorkflow
from workflows.invitation import InvitationWorkflow
from workflows.mail import MailWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.reminder import ReminderWorkflow
from workflows.transfer import TransferWorkflow
from workflows.zone_data import ZoneDataWorkflow

WORKFLOWS: Final[Mapping[str, tuple[type, ...]]] = {
    queues.CORE: (
        DigestWorkflow,
        InvitationWorkflow,
        MailWorkflow,
        ReconcileWorkflow,
        ReminderWorkflow,
        TransferWorkflow,
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
    invitation.KIND: OutboxKind(
        invitation.WORKFLOW,
        lambda row: invitation.first_state(row.args),
        signal=invitation.CHANGED,
        message=lambda row: InvitationChanged(row.seq),
    ),
    transfer.KIND: OutboxKind(
        transfer.WORKFLOW,
        lambda row: transfer.first_state(row.args),
        signal=transfer.CHANGED,
        message=lambda row: TransferChanged(row.seq),
    ),
    mail.KIND: OutboxKind(mail.WORKFLOW, lambda row: SendMail(UUID(str(row.args["delivery_id"])))),
}


def activities(parts: Parts) -> Bound:
    """Every activity, bound to what it needs, by queue."""
    reconcile = ReconcileActivities(parts.db.sessions, parts.temporal, parts.keys)
    links = Links(parts.settings.public_url, Unsubscriber(parts.secrets.derive(unsubscribe.KEY_PURPOSE)))
    grace = timedelta(days=parts.settings.erasure.grace_days)
    mails = MailActivities(parts.db.sessions, parts.cipher, parts.email, links=links, grace=grace)
    strangers = StrangerMail(parts.cipher, parts.email, parts.settings.public_url)
    invitations = InvitationActivities(parts.db.sessions, strangers, parts.secrets.derive(INVITATION_KEY))
    transfers = TransferActivities(parts.db.sessions, strangers)
    reminders = ReminderActivities(
        parts.db.sessions,
        ReminderWording(parts.cipher, links),
        Courier(
            {Channel.EMAIL: parts.email, Channel.SMS: parts.sms},
            Pusher(parts.db.sessions, parts.cipher, parts.push),
        ),
    )
    return {
        queues.CORE: (
            DigestActivities(parts.db.sessions).enqueue_digests,
            invitations.review_invitation,
            invitations.mail_invitation,
            transfers.review_transfer,
            transfers.mail_offer,
            transfers.move_pet,
            transfers.reseal_pet,
            mails.send_mail,
            reconcile.ring_missing,
            reconcile.end_orphans,
            reminders.plan_reminder,
            reminders.deliver_occurrence,
            ZoneDataActivities(parts.db.sessions).move_occurrences,
        ),
    }
