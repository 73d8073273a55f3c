"""What runs where: workflows and activities by task queue, and how each kind of outbox row is sent.

To add a feature: its workflow to `WORKFLOWS`, its activities to `activities`, and, if rows start it, its kind to
`OUTBOX`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from activities.audit import AuditActivities
from activities.billing import BillingActivities
from activities.billing_ledger import BillingLedgerActivities
from activities.billing_prices import BillingPriceActivities
from activities.billing_reconcile import BillingReconcileActivities
from activities.billing_resolve import BillingResolveActivities
from activities.billing_sweep import BillingSweepActivities
from activities.calendar_open import Calendars
from activities.calendar_push import CalendarPushActivities
from activities.calendar_sync import CalendarSyncActivities
from activities.courier import Courier
from activities.data_keys import DataKeyActivities
from activities.digest import DigestActivities
from activities.invitation import KEY_PURPOSE as INVITATION_KEY
from activities.invitation import InvitationActivities
from activities.lost_case import LostCaseActivities
from activities.lost_sweep import LostSweepActivities
from activities.mail import MailActivities
from activities.media import MediaActivities
from activities.media_compare import MediaCompareActivities
from activities.media_examination import MediaExaminationActivities
from activities.media_renew import MediaRenewActivities
from activities.media_store import MediaStore
from activities.media_sweep import MediaSweepActivities
from activities.pusher import Pusher
from activities.reconcile import ReconcileActivities
from activities.refund import RefundActivities
from activities.reminder import ReminderActivities
from activities.sessions import SessionActivities
from activities.signing_keys import SigningKeyActivities
from activities.sitter_grant import SitterGrantActivities
from activities.strangers import StrangerMail
from activities.transfer import TransferActivities
from activities.wording import Links, ReminderWording
from activities.zone_data import ZoneDataActivities
from core import unsubscribe
from core.unsubscribe import Unsubscriber
from domain.notification import Channel
from models.queries.keys import KeyTable
from temporal import priorities, queues
from temporal.contracts import (
    billing,
    billing_resolve,
    calendar_sync,
    invitation,
    lost_case,
    mail,
    media,
    refund,
    reminder,
    sitter_grant,
    transfer,
)
from temporal.contracts.billing import Nudge
from temporal.contracts.billing_resolve import ResolveEvent
from temporal.contracts.calendar_sync import Dirty
from temporal.contracts.invitation import InvitationChanged
from temporal.contracts.lost_case import SearchChanged
from temporal.contracts.mail import SendMail
from temporal.contracts.media import MediaChanged
from temporal.contracts.refund import RefundChanged
from temporal.contracts.reminder import Bell
from temporal.contracts.sitter_grant import GrantChanged
from temporal.contracts.transfer import TransferChanged
from workers.composition import Parts
from workers.sender import OutboxKind
from workflows.audit import AuditWorkflow
from workflows.billing import BillingWorkflow
from workflows.billing_ledger import BillingLedgerWorkflow
from workflows.billing_reconcile import BillingReconcileWorkflow
from workflows.billing_resolve import BillingResolveWorkflow
from workflows.billing_sweep import BillingSweepWorkflow
from workflows.calendar_sync import CalendarSyncWorkflow
from workflows.data_keys import DataKeysWorkflow
from workflows.digest import DigestWorkflow
from workflows.invitation import InvitationWorkflow
from workflows.lost_case import LostCaseWorkflow
from workflows.lost_sweep import LostSweepWorkflow
from workflows.mail import MailWorkflow
from workflows.media import MediaWorkflow
from workflows.media_compare import MediaCompareWorkflow
from workflows.media_renew import MediaRenewWorkflow
from workflows.media_sweep import MediaSweepWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.refund import RefundWorkflow
from workflows.reminder import ReminderWorkflow
from workflows.sessions import SessionSweepWorkflow
from workflows.signing_keys import SigningKeyWorkflow
from workflows.sitter_grant import SitterGrantWorkflow
from workflows.transfer import TransferWorkflow
from workflows.zone_data import ZoneDataWorkflow

WORKFLOWS: Final[Mapping[str, tuple[type, ...]]] = {
    queues.CORE: (
        AuditWorkflow,
        DataKeysWorkflow,
        DigestWorkflow,
        InvitationWorkflow,
        LostCaseWorkflow,
        LostSweepWorkflow,
        MailWorkflow,
        ReconcileWorkflow,
        ReminderWorkflow,
        SessionSweepWorkflow,
        SigningKeyWorkflow,
        SitterGrantWorkflow,
        TransferWorkflow,
        ZoneDataWorkflow,
    ),
    queues.MEDIA: (MediaCompareWorkflow, MediaRenewWorkflow, MediaSweepWorkflow, MediaWorkflow),
    queues.BILLING: (
        BillingLedgerWorkflow,
        BillingReconcileWorkflow,
        BillingResolveWorkflow,
        BillingSweepWorkflow,
        BillingWorkflow,
        RefundWorkflow,
    ),
    **dict.fromkeys(queues.CALENDARS.values(), (CalendarSyncWorkflow,)),
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
    calendar_sync.KIND: OutboxKind(
        calendar_sync.WORKFLOW,
        lambda row: calendar_sync.first_state(row.args),
        signal=calendar_sync.DIRTY,
        message=lambda row: Dirty(row.seq),
        queue=lambda row: queues.CALENDARS[str(row.args["provider"])],
        summary="A connected calendar: looks at both sides whenever one of them rings, and now and then",
    ),
    billing.KIND: OutboxKind(
        billing.WORKFLOW,
        lambda row: billing.first_state(row.args),
        signal=billing.NUDGE,
        message=lambda row: Nudge(row.seq),
        queue=lambda _: queues.BILLING,
        summary="An account's subscription: read at Stripe whenever something may have changed, and told what is due",
    ),
    refund.KIND: OutboxKind(
        refund.WORKFLOW,
        lambda row: refund.first_state(row.args),
        signal=refund.CHANGED,
        message=lambda row: RefundChanged(row.seq),
        queue=lambda _: queues.BILLING,
        summary="A payment on its way back: asked for once, followed until the bank has it",
    ),
    billing_resolve.KIND: OutboxKind(
        billing_resolve.WORKFLOW,
        lambda row: ResolveEvent(str(row.args["event_id"])),
        queue=lambda _: queues.BILLING,
        is_repeatable=True,
        summary="An event of Stripe's that names nobody we know: whose it is",
    ),
    lost_case.KIND: OutboxKind(
        lost_case.WORKFLOW,
        lambda row: lost_case.first_state(row.args),
        signal=lost_case.CHANGED,
        message=lambda row: SearchChanged(row.seq),
        summary="One search for a lost pet: asks every day, closes what nobody answers for, forgets what was written",
    ),
    media.KIND: OutboxKind(
        media.WORKFLOW,
        lambda row: media.first_state(row.args),
        signal=media.CHANGED,
        message=lambda row: MediaChanged(row.seq),
        queue=lambda _: queues.MEDIA,
        priority=lambda row: priorities.media(row.workflow_id, is_urgent=media.is_urgent(row.args)),
        summary="An uploaded file: verified, scanned, decoded, and published or refused; removed when nobody uses it",
    ),
    mail.KIND: OutboxKind(
        mail.WORKFLOW, lambda row: SendMail(UUID(str(row.args["delivery_id"]))), summary="One message to one person"
    ),
    invitation.KIND: OutboxKind(
        invitation.WORKFLOW,
        lambda row: invitation.first_state(row.args),
        signal=invitation.CHANGED,
        message=lambda row: InvitationChanged(row.seq),
        summary="An invitation into a household, until it is answered or runs out",
    ),
    transfer.KIND: OutboxKind(
        transfer.WORKFLOW,
        lambda row: transfer.first_state(row.args),
        signal=transfer.CHANGED,
        message=lambda row: TransferChanged(row.seq),
        summary="A pet on offer to another household, and its move",
    ),
    sitter_grant.KIND: OutboxKind(
        sitter_grant.WORKFLOW,
        lambda row: sitter_grant.first_state(row.args),
        signal=sitter_grant.CHANGED,
        message=lambda row: GrantChanged(row.seq),
        summary="A sitter's time with some pets: asked, begun, told of every evening, over",
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
    strangers = StrangerMail(parts.cipher, parts.email, parts.settings.public_url)
    grants = SitterGrantActivities(parts.db.sessions, strangers)
    invitations = InvitationActivities(parts.db.sessions, strangers, parts.secrets.derive(INVITATION_KEY))
    transfers = TransferActivities(parts.db.sessions, strangers)
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
            grants.review_grant,
            grants.mail_grant,
            grants.start_grant,
            grants.summarise_grant,
            grants.end_grant,
            invitations.review_invitation,
            invitations.mail_invitation,
            transfers.review_transfer,
            transfers.mail_offer,
            transfers.move_pet,
            transfers.reseal_pet,
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
        **_billing_activities(parts),
        **_media_activities(parts),
        **dict.fromkeys(queues.CALENDARS.values(), _calendar_activities(parts)),
    }


def _billing_activities(parts: Parts) -> Bound:
    """Those that ask Stripe, where this process does."""
    if parts.payments is None:
        return {}
    sessions, payments, cipher = parts.db.sessions, parts.payments, parts.cipher
    environment = "live" if parts.settings.stripe_livemode else "test"
    accounts = BillingActivities(sessions, payments, cipher, environment)
    refunds = RefundActivities(sessions, payments, cipher, environment)
    sweeps = BillingSweepActivities(sessions, payments, parts.settings.stripe_livemode)
    comparisons = BillingReconcileActivities(sessions, payments)
    return {
        queues.BILLING: (
            accounts.load_fence,
            accounts.pull_and_apply,
            accounts.pay_invoice,
            accounts.cancel_surplus,
            accounts.void_invoice,
            accounts.close_checkouts,
            refunds.cancel_before_refund,
            refunds.send_refund,
            refunds.check_refund,
            refunds.conclude_refund,
            BillingResolveActivities(sessions, payments).resolve_event,
            sweeps.nudge_waiting,
            sweeps.find_missed,
            BillingPriceActivities(sessions, payments).read_prices,
            comparisons.compare_theirs,
            comparisons.compare_ours,
            comparisons.compare_money,
            BillingLedgerActivities(sessions, payments).compare_balance,
        )
    }


def _media_activities(parts: Parts) -> Bound:
    """Those that look at uploads, where this process does."""
    if parts.media is None:
        return {}
    sessions, storage, scanner = parts.db.sessions, parts.media.storage, parts.media.scanner
    store, scratch = MediaStore(storage), parts.media.scratch
    uploads = MediaActivities(sessions, parts.cipher, store, scanner, scratch)
    examination = MediaExaminationActivities(sessions, parts.cipher, store, parts.media.imaging, scanner, scratch)
    return {
        queues.MEDIA: (
            uploads.review_media,
            examination.verify_media,
            examination.scan_media,
            examination.render_media,
            uploads.publish_media,
            uploads.refuse_media,
            uploads.remove_media,
            MediaSweepActivities(sessions).sweep_media,
            MediaCompareActivities(sessions, storage).compare_page,
            MediaRenewActivities(sessions, scanner).ring_outdated,
        )
    }


def _calendar_activities(parts: Parts) -> tuple[Callable[..., Any], ...]:
    """Those of the providers' queues: the same for all of them."""
    sessions, cipher, settings = parts.db.sessions, parts.cipher, parts.settings
    calendars = Calendars(sessions, cipher, parts.calendars)
    syncs = CalendarSyncActivities(
        sessions, cipher, calendars, poll_seconds=settings.calendars.poll_seconds, push_url=settings.push_url
    )
    pushes = CalendarPushActivities(sessions, calendars, settings.push_url)
    return syncs.pull_changes, syncs.reconcile_batch, pushes.renew_push
