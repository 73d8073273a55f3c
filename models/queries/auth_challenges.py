"""Things begun that only their bearer can finish: once, and within minutes. Rows are found by a hash of what the bearer
holds."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.read_pool import ReadPool
from models.mfa import ChallengeKind

# Who begins something sweeps up after others, so no job has to. `now()`, unlike `clock_timestamp()`, may use the index.
_BEGIN = text(
    """WITH swept AS (
           DELETE FROM auth_challenges WHERE id_hash IN (
               SELECT id_hash FROM auth_challenges WHERE expires_at < now() ORDER BY expires_at LIMIT 20
                  FOR UPDATE SKIP LOCKED))
       INSERT INTO auth_challenges (id_hash, kind, user_id, browser_hash, payload_ct, expires_at)
       VALUES (:id_hash, :kind, :user_id, :browser_hash, :payload_ct,
               clock_timestamp() + CAST(:lifetime AS interval))"""
)
_OPEN = "id_hash = :id_hash AND kind = :kind AND used_at IS NULL AND expires_at > clock_timestamp()"
_ATTEMPT = text(
    f"UPDATE auth_challenges SET attempts = attempts + 1 WHERE {_OPEN} RETURNING user_id, payload_ct, attempts"  # noqa: S608
)
_USE = text(f"UPDATE auth_challenges SET used_at = clock_timestamp() WHERE {_OPEN} RETURNING true")  # noqa: S608
_TAKE = text(
    f"""UPDATE auth_challenges SET used_at = clock_timestamp()
         WHERE {_OPEN} AND browser_hash IS NOT DISTINCT FROM CAST(:browser_hash AS bytea) RETURNING payload_ct"""  # noqa: S608
)
_USER_OF = """
    SELECT user_id FROM auth_challenges
     WHERE id_hash = $1 AND kind = $2 AND used_at IS NULL AND expires_at > clock_timestamp()"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The `number`-th try at a challenge, counted already."""

    user_id: UUID
    payload_ct: str
    number: int


async def begin(
    session: AsyncSession,
    kind: ChallengeKind,
    id_hash: bytes,
    lifetime: timedelta,
    *,
    user_id: UUID | None = None,
    browser_hash: bytes | None = None,
    payload_ct: str | None = None,
) -> None:
    """Wait for the bearer, in one browser if it is given. Expired rows of any kind go on the way."""
    values = {"id_hash": id_hash, "kind": kind, "lifetime": lifetime}
    await session.execute(_BEGIN, values | {"user_id": user_id, "browser_hash": browser_hash, "payload_ct": payload_ct})


async def attempt(session: AsyncSession, kind: ChallengeKind, id_hash: bytes) -> Attempt | None:
    """Count a try at an open challenge of a known person; None when there is no such challenge."""
    row = (await session.execute(_ATTEMPT, {"id_hash": id_hash, "kind": kind})).one_or_none()
    return Attempt(row.user_id, row.payload_ct, row.attempts) if row else None


async def user_of(reads: ReadPool, kind: ChallengeKind, id_hash: bytes) -> UUID | None:
    """Whom an open challenge waits for."""
    found: UUID | None = await reads.fetchval(_USER_OF, id_hash, kind)
    return found


async def use(session: AsyncSession, kind: ChallengeKind, id_hash: bytes) -> bool:
    """Finish an open challenge. Of several who try at once one succeeds."""
    return (await session.execute(_USE, {"id_hash": id_hash, "kind": kind})).scalar_one_or_none() is True


async def take(session: AsyncSession, kind: ChallengeKind, id_hash: bytes, browser_hash: bytes | None) -> str | None:
    """Finish it: its sealed payload. None when it is unknown, used, too old, or was begun in another browser."""
    values = {"id_hash": id_hash, "kind": kind, "browser_hash": browser_hash}
    payload_ct: str | None = (await session.execute(_TAKE, values)).scalar_one_or_none()
    return payload_ct
