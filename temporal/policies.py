"""How often, how long, who gives up: policies named by intent. No call site invents numbers of its own.

Retries are Temporal's (SDK-internal ones are off) and unlimited unless there is a domain reason: an effect that became
useless is ended by the activity itself, which knows why.
"""

from datetime import timedelta
from typing import Final, TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType


class ActivityPolicy(TypedDict):
    """Keyword arguments of `workflow.execute_activity_method`."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class BoundedPolicy(ActivityPolicy):
    """As `ActivityPolicy`, with an end."""

    schedule_to_close_timeout: timedelta


class CalendarPolicy(BoundedPolicy):
    """As `BoundedPolicy`, for what heartbeats."""

    heartbeat_timeout: timedelta


class MediaPolicy(ActivityPolicy):
    """As `ActivityPolicy`, for what heartbeats, and is waited for when it is cancelled: it leaves nothing behind."""

    heartbeat_timeout: timedelta
    cancellation_type: ActivityCancellationType


class LocalActivityPolicy(ActivityPolicy):
    """Keyword arguments of `workflow.execute_local_activity_method`."""

    local_retry_threshold: timedelta


# 5 s is the statement limit of the database; a first retry after 0.5 s outlives a fail-over of a pooled connection,
# and half a minute between tries keeps a long outage cheap. Above the threshold the SDK backs off on a server timer
# instead of holding a workflow task open.
DB_WRITE: Final[LocalActivityPolicy] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
    ),
    "local_retry_threshold": timedelta(seconds=5),
}

# Outbound calls connect within 2 s and answer within 10 s; the rest is our own database work around them. A provider
# that is down is asked at most every 60 s; `Retry-After` overrules this through next_retry_delay.
PROVIDER_CALL: Final[ActivityPolicy] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=60)
    ),
}

# A run of a connected calendar: pages of its list, or twenty pairs. It beats while it waits, so that a worker that
# died keeps a calendar from the others for twenty seconds only. Three attempts tell a hiccup from an outage, in which
# the workflow makes the pauses: longer each time, and over when its person acts. After ten minutes it looks around in
# any case; the provider's `Retry-After` is obeyed before that, and by the workflow beyond it.
CALENDAR_RUN: Final[CalendarPolicy] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "schedule_to_close_timeout": timedelta(minutes=10),
    "heartbeat_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=60),
        maximum_attempts=3,
    ),
}

# A read of an account: a few calls of twenty seconds each, and a transaction. Fewer attempts than a fence has room for
# (`temporal.contracts.billing.ATTEMPTS`); after half a day of them the workflow counts on.
BILLING_READ: Final[ActivityPolicy] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2,
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=900,
    ),
}

# What is written at Stripe has a key that Stripe keeps for a day. Who gives up after half an hour, looks for what was
# done and writes again under a new clock, makes no attempt when the key may be forgotten
# (`models.queries.billing_operations.KEPT_HOURS`).
BILLING_WRITE: Final[BoundedPolicy] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "schedule_to_close_timeout": timedelta(minutes=30),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
}

# What an account's workflow writes holds up its reads, and Stripe may repeat a failure of its own under a key for a
# day: a few tries, then the account is read anew. What is still to be done then is done under the same key.
BILLING_ACT: Final[BoundedPolicy] = {
    "start_to_close_timeout": timedelta(minutes=2),
    "schedule_to_close_timeout": timedelta(minutes=3),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
}

# A few calls to a provider that nobody needs: bells wait meanwhile, and the workflow tries again an hour later.
PUSH_RENEWAL: Final[BoundedPolicy] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": timedelta(minutes=1),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=2), backoff_coefficient=2, maximum_interval=timedelta(seconds=60)
    ),
}

# A step of an upload: 200 MB through a slow line, a scanner that takes its time, a decoding child with limits of its
# own. It beats, so that a worker that died keeps an upload from the others for twenty seconds only. Unlimited: storage
# and scanner that are away are waited for, and nothing is published meanwhile.
MEDIA_JOB: Final[MediaPolicy] = {
    "start_to_close_timeout": timedelta(minutes=15),
    "heartbeat_timeout": timedelta(seconds=20),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=60)
    ),
}

# A page of a sweep over many rows: minutes of work, heartbeating, resumed from its cursor.
BULK_PAGE: Final[ActivityPolicy] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=5), backoff_coefficient=2, maximum_interval=timedelta(minutes=5)
    ),
}
