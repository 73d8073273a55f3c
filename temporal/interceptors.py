"""What every activity shares: errors become failures Temporal understands, log lines know where they come from.

`temporal.md` §4.1: one plugin carries these to every worker. Workflows need no error mapping of their own: a refusal
of `domain/` inside a workflow is a bug, and failing the task (not the workflow) lets a corrected release go on.
"""

from datetime import timedelta
from time import perf_counter
from typing import Any

import structlog
from opentelemetry import trace
from prometheus_client import Histogram
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor
from temporalio.workflow import logger as workflow_logger

from core.errors import PetfolioError
from core.logging import describe
from core.telemetry import SECONDS

ACTIVITY_SECONDS = Histogram(
    "petfolio_activity_seconds",
    "How long an attempt of an activity took, by outcome (ok, refused, failed).",
    ["activity", "outcome"],
    buckets=SECONDS,
)


_TEXT_LIMIT = 500


def interceptors(*, traced: bool) -> list[Interceptor]:
    """For `temporal.client.plugin`. `traced` adds spans and needs the provider of `core.telemetry.tracing`."""
    # Ids and types become keys of the line; in the text they would only repeat.
    activity.logger.activity_info_on_message = False
    workflow_logger.workflow_info_on_message = False
    own: list[Interceptor] = [ActivityInterceptor()]
    if not traced:
        return own
    # Not at the top: it costs every start 0.17 s (measured), and few installations trace.
    from temporalio.contrib.opentelemetry import OpenTelemetryInterceptor  # noqa: PLC0415

    return [OpenTelemetryInterceptor(add_temporal_spans=True), *own]


class ActivityInterceptor(Interceptor):
    """Installs `_Activity` around every activity, local ones included."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK."""
        return _Activity(next)


class _Activity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        outcome, started = "failed", perf_counter()
        structlog.contextvars.bind_contextvars(
            workflow_id=info.workflow_id,
            run_id=info.workflow_run_id,
            activity=info.activity_type,
            attempt=info.attempt,
            **_trace_id(),
        )
        try:
            result = await self.next.execute_activity(input)
            outcome = "ok"
            return result
        except FailureError:
            raise
        except PetfolioError as error:
            outcome = "refused"
            raise as_failure(error) from None
        except Exception as error:
            raise as_failure(error) from None
        finally:
            ACTIVITY_SECONDS.labels(info.activity_type, outcome).observe(perf_counter() - started)


def as_failure(error: Exception) -> ApplicationError:
    """What a workflow history gets to know: a stable type, a bounded text without personal data, where it happened.

    Refusals of ours decide themselves whether a retry makes sense; those a person can cause are `BENIGN`, so they
    neither alarm nor count as errors. Anything unforeseen is retried.
    """
    if isinstance(error, PetfolioError):
        failure = ApplicationError(
            error.detail[:_TEXT_LIMIT],
            type=error.problem_code,
            non_retryable=not error.retryable,
            next_retry_delay=timedelta(seconds=error.retry_after) if error.retry_after else None,
            category=_category(error),
        )
    else:
        failure = ApplicationError(describe(error, _TEXT_LIMIT), type=type(error).__name__)
    return failure.with_traceback(error.__traceback__)


def _category(error: PetfolioError) -> ApplicationErrorCategory:
    return ApplicationErrorCategory.BENIGN if error.http_status < 500 else ApplicationErrorCategory.UNSPECIFIED


def _trace_id() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    return {"trace_id": f"{context.trace_id:032x}"} if context.is_valid else {}
