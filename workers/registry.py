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
from activities.data_keys import DataKeyActivities
from activities.digest import DigestActivities
from activities.lost_case import LostCaseActivities
from activities.lost_sweep import LostSweepActivities
from activities.mail import MailActivities
from activities.pusher import Pusher
from activities.reconcile import ReconcileActivities
from activities.reminder import ReminderActivities
from activities.sessions import SessionActivities
from activities.signing_keys import SigningKeyActivities
from activities.wording import Links, ReminderWording
from activities.zone_data import ZoneDataActivities
from core import unsubscribe
from core.unsubscribe import Unsubscriber
from domain.notification import Channel
from models.queries.keys import KeyTable
from temporal import queues
from temporal.contracts import lost_case, mail, reminder
from temporal.contracts.lost_case import SearchChanged
from temporal.contracts.mail import SendMail
from temporal.contracts.reminder import Bell
from workers.composition import Parts
from workers.sender import OutboxKind
from workflows.audit import AuditWorkflow
from workflows.data_keys import DataKeysWorkflow
from workflows.digest import DigestWorkflow
from workflows.lost_case import LostCaseWorkflow
from workflows.lost_sweep import LostSweepWorkflow
from workflows.mail import MailWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.reminder import ReminderWorkflow
from workflows.sessions import SessionSweepWorkflow
from workflows.signing_keys import SigningKeyWorkflow
from workflows.zone_data import ZoneDataWorkflow

WORKFLOWS: Final[Mapping[str, tuple[type, ...]]] = {
    queues.CORE: (
        AuditWorkflow,
        DataKeysWorkflow,
        DigestWorkflow,
        LostCaseWorkflow,
        LostSweepWorkflow,
        MailWorkflow,
        ReconcileWorkflow,
        ReminderWorkflow,
        SessionSweepWorkflow,
        SigningKeyWorkflow,
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
        summary="One reminder: waits until it is due, tells, asks again until somebody has acted",
    ),
    lost_case.KIND: OutboxKind(
        lost_case.WORKFLOW,
        lambda row: lost_case.first_state(row.args),
        signal=lost_case.CHANGED,
        message=lambda row: SearchChanged(row.seq),
        summary="One search for a lost pet: asks every day, closes what nobody answers for, forgets what was written",
    ),
    mail.KIND: OutboxKind(
        mail.WORKFLOW, lambda row: SendMail(UUID(str(row.args["delivery_id"]))), summary="One message to one person"
    ),
}


def activities(parts: Parts) -> Bound:
    """Every activity, bound to what it needs, by queue."""
    data_keys = DataKeyActivities(parts.keys, KeyTable(parts.db.reads))
    audit = AuditActivities(parts.db.sessions, parts.secrets.derive("audit-chain"))
    reconcile = ReconcileActivities(parts.db.sessions, parts.temporal, parts.keys)
    links = Links(parts.settings.public_url, Unsubscriber(parts.secrets.derive(unsubscribe.KEY_PURPOSE)))
    grace = timedelta(days=parts.settings.erasure.grace_days)
    courier = Courier(
        {Channel.EMAIL: parts.email, Channel.SMS: parts.sms}, Pusher(parts.db.sessions, parts.cipher, parts.push)
    )
    searches = LostCaseActivities(parts.db.sessions, parts.cipher)
    mails = MailActivities(parts.db.sessions, parts.cipher, courier, links=links, grace=grace)
    reminders = ReminderActivities(parts.db.sessions, ReminderWording(parts.cipher, links), courier)
    auth = parts.settings.auth
    return {
        queues.CORE: (
            audit.seal_entries,
            audit.verify_chain,
            data_keys.rewrap_keys,
            data_keys.renew_keys,
            DigestActivities(parts.db.sessions).enqueue_digests,
            searches.review_search,
            searches.ask_whether_lost,
            searches.close_search,
            searches.wipe_search,
            LostSweepActivities(parts.db.sessions).sweep_lost,
            mails.send_mail,
            reconcile.ring_missing,
            reconcile.end_orphans,
            reminders.plan_reminder,
            reminders.deliver_occurrence,
            SessionActivities(parts.db.sessions, lifetime=timedelta(days=auth.refresh_absolute_days)).sweep_sessions,
            SigningKeyActivities(parts.secret_store, token_seconds=auth.access_token_seconds).rotate_signing_keys,
            ZoneDataActivities(parts.db.sessions).move_occurrences,
        ),
    }
