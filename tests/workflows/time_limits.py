"""What the test server forgets: an activity that is scheduled at a full second, to the millisecond, never runs into its
`schedule_to_close_timeout` and is tried for ever, its clock skipping from one retry to the next (1 in 1,000, measured).
"""

from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class TimeLimits(Interceptor):
    """Installs `_Limited` around every activity of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK."""
        return _Limited(next)


class _Limited(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        """Unless a server would not have asked for it any more."""
        info = activity.info()
        limit = info.schedule_to_close_timeout or timedelta()
        if limit and info.current_attempt_scheduled_time - info.scheduled_time > limit:
            raise ApplicationError("its time is over", non_retryable=True)
        return await self.next.execute_activity(input)
