"""Rate limits: GCRA in Redis, announced in headers, counted in this process while Redis is away.

On authenticated routes the limit and the session's state come from one script, one round trip. Header fields follow
draft-ietf-httpapi-ratelimit-headers-10.
"""

import time
from collections.abc import Callable, MutableMapping
from typing import Any, Literal, NamedTuple
from uuid import UUID

from core.errors import TooManyRequests
from core.redis import Redis, RedisAway, Script
from core.settings import RateLimit, RateLimits
from domain.auth import Admission, Quota, admit

Policy = Literal[
    "default",
    "anonymous",
    "login",
    "login_hourly",
    "login_account",
    "registration",
    "mails",
    "reset_mails",
    "reset_network",
    "credentials",
    "payments",
    "feeds",
    "invitations",
    "sightings",
    "tag_sightings",
    "pushes",
]

_GCRA = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local rate, period, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local step = period * 1000000 / rate
local tat = math.max(tonumber(redis.call('GET', limit) or now), now)
local new = tat + step
local wait = new - step * burst - now
if wait > 0 then
  return {0, 0, math.ceil(wait / 1000000), math.ceil((tat - now) / 1000000), state}
end
redis.call('SET', limit, string.format('%.0f', new), 'PX', math.ceil((new - now) / 1000))
return {1, math.floor((step * burst - (new - now)) / step), 0, math.ceil((new - now) / 1000000), state}
"""
_LIMIT = Script.of("local limit, state = KEYS[1], false\n" + _GCRA)
_SESSION_AND_LIMIT = Script.of("local limit, state = KEYS[2], redis.call('GET', KEYS[1])\n" + _GCRA)

_LOCAL_KEYS = 20_000


class RateLimitState(NamedTuple):
    """Where one caller stands with one policy, as `RateLimit` and `RateLimit-Policy` announce it."""

    policy: Policy
    quota: int
    window: int
    remaining: int
    reset: int
    retry_after: int
    allowed: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit-Policy` and `RateLimit`, ready for ASGI."""
        return [
            (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (self.policy.encode(), self.quota, self.window)),
            (b"ratelimit", b'"%b";r=%d;t=%d' % (self.policy.encode(), self.remaining, self.reset)),
        ]

    def refusal(self) -> TooManyRequests:
        """The 429 to raise."""
        return TooManyRequests(
            "Too many requests.",
            retry_after=max(1, self.retry_after),
            extra={
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "violated-policies": [self.policy],
            },
        )


def rate_limit_headers(scope: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The headers of the limit this request was counted against, none if it was not counted. For the middleware."""
    state = scope.get("state")
    limit = state.get("rate_limit") if state else None
    return limit.headers() if isinstance(limit, RateLimitState) else []


class RateLimiter:
    """Counts requests. Never fails: without Redis the same arithmetic runs on this process's share of the quota."""

    def __init__(
        self, redis: Redis, limits: RateLimits, *, processes: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis, self._clock = redis, clock
        self._limits: dict[str, RateLimit] = {name: getattr(limits, name) for name in RateLimits.model_fields}
        self._arguments = {
            name: (str(limit.quota), str(limit.window), str(limit.burst)) for name, limit in self._limits.items()
        }
        self._local = _LocalLimits(self._limits, processes)

    async def hit(self, policy: Policy, key: str) -> RateLimitState:
        """Count one request of `key`, which is no personal data in the clear (an address goes in as HMAC)."""
        try:
            reply = await self._redis.run(_LIMIT, "1", f"rl:{{{key}}}:{policy}", *self._arguments[policy])
            return self._state(policy, _admission(reply))
        except RedisAway:
            return self._locally(policy, key)

    async def require(self, policy: Policy, key: str) -> RateLimitState:
        """`hit` that raises `TooManyRequests`."""
        state = await self.hit(policy, key)
        if not state.allowed:
            raise state.refusal()
        return state

    async def hit_with_session(self, user_id: UUID, session_key: str) -> tuple[bytes | None, RateLimitState]:
        """(what Redis says of the session, the user's standing) in one round trip; None = Redis does not know.

        Both keys carry the user's id as hash tag, so they are on one node of a cluster.
        """
        try:
            reply = await self._redis.run(
                _SESSION_AND_LIMIT, "2", session_key, f"rl:{{{user_id}}}:default", *self._arguments["default"]
            )
            return _word(reply), self._state("default", _admission(reply))
        except RedisAway:
            return None, self._locally("default", str(user_id))

    def _locally(self, policy: Policy, key: str) -> RateLimitState:
        return self._state(policy, self._local.hit(policy, key, self._clock()))

    def _state(self, policy: Policy, admission: Admission) -> RateLimitState:
        limit = self._limits[policy]
        return RateLimitState(
            policy,
            limit.quota,
            limit.window,
            admission.remaining,
            admission.reset,
            admission.retry_after,
            admission.allowed,
        )


class _LocalLimits:
    """This process's share: the quota divided by the number of processes, at least one."""

    def __init__(self, limits: dict[str, RateLimit], processes: int) -> None:
        self._quotas = {
            name: Quota(max(1, limit.quota // processes), limit.window, max(1, limit.burst // processes))
            for name, limit in limits.items()
        }
        self._arrivals: dict[tuple[str, str], float] = {}

    def hit(self, policy: str, key: str, now: float) -> Admission:
        admission, arrival = admit(self._quotas[policy], self._arrivals.get((policy, key), 0.0), now)
        self._arrivals[policy, key] = arrival
        if len(self._arrivals) > _LOCAL_KEYS:
            self._forget(now)
        return admission

    def _forget(self, now: float) -> None:
        """Drop callers who have their whole burst back; a flood of others must not push them out."""
        self._arrivals = {key: arrival for key, arrival in self._arrivals.items() if arrival > now}
        if len(self._arrivals) > 10 * _LOCAL_KEYS:  # memory is bounded whatever comes
            self._arrivals.clear()


def _admission(reply: object) -> Admission:
    match reply:
        case [int(allowed), int(remaining), int(retry_after), int(reset), _]:
            return Admission(bool(allowed), remaining, retry_after, reset)
    raise RedisAway("an answer of another shape")


def _word(reply: object) -> bytes | None:
    match reply:
        case [_, _, _, _, bytes(state)]:
            return state
    return None
