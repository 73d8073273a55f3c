"""Getting in, as one statement: every login makes it, and each round trip to Postgres is time that hashing has not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from core.read_pool import ReadPool
from domain.auth import DEVICE_LIFETIME
from models.queries.device_cookies import DEVICES

# The account is held up to the commit and locked first, as by everybody: nothing that ends sessions can overlook the
# one that begins here. Next comes the row of `login_throttle`, which who touches devices holds (`device_cookies`).
_ENTER = f"""
WITH account AS (
  SELECT id, clock_timestamp() AS now FROM users
   WHERE id = $1 AND token_epoch = $2 AND state = 'active' FOR SHARE),
forgiven AS (
  UPDATE login_throttle SET fails = 0, consecutive = 0, next_allowed_at = clock_timestamp()
   WHERE key = $3 AND EXISTS (SELECT FROM account) RETURNING key),
forgotten AS (
  DELETE FROM device_cookies
   WHERE user_id = (SELECT id FROM account) AND (SELECT count(*) FROM forgiven) <= 1
     AND (id_hash = $5 OR expires_at <= clock_timestamp()
          OR id_hash IN (SELECT id_hash FROM device_cookies WHERE user_id = $1
                          ORDER BY created_at DESC OFFSET {DEVICES - 1}))),
known AS (
  INSERT INTO device_cookies (id_hash, user_id, fails, expires_at) SELECT $4, id, 0, now + $17::interval FROM account),
noted AS (
  INSERT INTO audit_log (id, actor, subject, action, outcome, ip_hmac, request_id, sid)
  SELECT $6, 'user:' || id, 'user:' || id, 'auth.login', 'ok', $7, $8, $9 FROM account)
INSERT INTO sessions (id, user_id, epoch, gen, rt_hash, amr, ip_trunc, user_agent, in_cookie,
                      auth_time, last_seen, idle_expires_at, absolute_expires_at)
SELECT $9, id, $2, 1, $10, $11, $12, $13, $14, now, now, now + $15::interval, now + $16::interval FROM account
RETURNING auth_time, absolute_expires_at"""  # noqa: S608 - our own number


class Entry(NamedTuple):
    """What is written when somebody gets in, in the order of the statement's parameters. `epoch` is the account's as it
    was read before the proof; `former_device` the cookie that the new one replaces; `idle` and `absolute` are after
    how long the session ends without use, and in any case."""

    user_id: UUID
    epoch: int
    throttle_key: bytes
    device: bytes
    former_device: bytes | None
    entry_id: UUID
    ip_hmac: bytes
    request_id: str | None
    session_id: UUID
    rt_hash: bytes
    amr: list[str]
    ip_trunc: str | None
    user_agent: str | None
    in_cookie: bool
    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session, as far as its first tokens speak of it."""

    id: UUID
    user_id: UUID
    amr: list[str]
    in_cookie: bool
    auth_time: datetime
    absolute_expires_at: datetime


async def enter(reads: ReadPool, entry: Entry) -> OpenedSession | None:
    """Open the session, forgive what was counted against the account, know the device, and write it down. None, and
    nothing happened, where the account is closed or its sessions were ended since it was read."""
    row = await reads.fetchrow(_ENTER, *entry, DEVICE_LIFETIME)
    if row is None:
        return None
    return OpenedSession(
        entry.session_id, entry.user_id, entry.amr, entry.in_cookie, row["auth_time"], row["absolute_expires_at"]
    )
