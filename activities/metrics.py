"""What operators watch of reminders, messages and calendars, under the names of `infra/observability/alerts.yml`."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from domain.reminder_series import ReminderClass

LATENESS: Final = Histogram(
    "petfolio_reminder_lateness_seconds",
    "From the time a notice was planned for to its claim; what waits for a provider afterwards is not in it.",
    ["klass"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400),
)
DELIVERIES: Final = Counter(
    "petfolio_deliveries",
    "Last words about a message: sent, failed, withdrawn or folded, by channel and reason.",
    ["channel", "state", "reason"],
)
ATTEMPTS: Final = Counter(
    "petfolio_delivery_attempts_put_off", "Attempts that a provider did not take, to be made again.", ["channel"]
)
AUDIT_BROKEN: Final = Gauge(
    "petfolio_audit_chain_broken", "1 when the last verification found the audit log other than it was sealed."
)
AUDIT_VERIFIED: Final = Gauge(
    "petfolio_audit_verified_timestamp_seconds", "When the whole chain over the audit log was last compared with it."
)
CALENDAR_SYNCS: Final = Histogram(
    "petfolio_calendar_sync_age_seconds",
    "When a calendar was brought into agreement: how long after the time before.",
    ["provider"],
    buckets=(5, 15, 60, 180, 600, 1_200, 3_600, 14_400, 86_400),
)
CALENDAR_REFUSALS: Final = Counter(
    "petfolio_calendar_refusals",
    "Answers of calendar providers that were no success, by their code.",
    ["provider", "code"],
)
CALENDAR_PAUSED: Final = Counter(
    "petfolio_calendar_deletes_paused", "Looks at a calendar that says many events are gone at once.", ["provider"]
)
CALENDAR_CHANGES: Final = Counter(
    "petfolio_calendar_changes",
    "Changes that both sides have now, by the side that was written to: `here` or `there`.",
    ["provider", "side"],
)
CALENDAR_CONFLICTS: Final = Counter(
    "petfolio_calendar_conflicts",
    "Values that lost because both sides had changed the same thing, by the side that won. Each is kept.",
    ["provider", "winner"],
)
CALENDAR_QUARANTINED: Final = Counter(
    "petfolio_calendar_quarantined", "Events that were left alone until either side changes.", ["provider", "reason"]
)


def fired(lateness: timedelta, klass: ReminderClass) -> None:
    """A notice was claimed so long after it was planned for."""
    LATENESS.labels(klass.value).observe(max(lateness.total_seconds(), 0.0))


def settled(channel: str, state: str, reason: str | None) -> None:
    """A delivery has its last word."""
    DELIVERIES.labels(channel, state, reason or "").inc()


def put_off(channel: str) -> None:
    """A provider did not take it this time."""
    ATTEMPTS.labels(channel).inc()


def audit_verified(intact: bool) -> None:
    """The chain was compared with the log."""
    AUDIT_BROKEN.set(0 if intact else 1)
    AUDIT_VERIFIED.set_to_current_time()


def synced(provider: str, age: timedelta) -> None:
    """A calendar is in agreement again."""
    CALENDAR_SYNCS.labels(provider).observe(max(age.total_seconds(), 0.0))


def calendar_refused(provider: str, code: str) -> None:
    """A provider did not do what was asked."""
    CALENDAR_REFUSALS.labels(provider, code).inc()


def deletes_paused(provider: str) -> None:
    """A list was not believed."""
    CALENDAR_PAUSED.labels(provider).inc()


def calendar_agreed(provider: str, *, here: bool, there: bool, winners: Iterable[str] = ()) -> None:
    """Both sides of an event are the same again; what was written for that, and who won what."""
    for side, written in (("here", here), ("there", there)):
        if written:
            CALENDAR_CHANGES.labels(provider, side).inc()
    for winner in winners:
        CALENDAR_CONFLICTS.labels(provider, winner).inc()


def calendar_quarantined(provider: str, reason: str) -> None:
    """An event is left alone."""
    CALENDAR_QUARANTINED.labels(provider, reason).inc()
