"""Half signed in: who proved one factor holds a challenge, not a session, until they prove the second (§2.6, §4.4)."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from api.identity import Client, Identity
from api.trail import note
from core.crypto import Subject
from core.errors import TooManyRequests, Unauthorized
from domain.mfa import CHALLENGE_LIFETIME, MAX_ATTEMPTS
from models.mfa import ChallengeKind
from models.queries import auth_challenges
from models.queries.users import Credentials

_PAYLOAD = "auth_challenges.payload_ct"


class ChallengeRefused(Unauthorized):
    """401: the challenge has expired, was used, or never was; begin with the first factor again."""

    code = "invalid_challenge"


class ChallengeExhausted(TooManyRequests):
    """429: five proofs were tried. Waiting does not help; begin with the first factor again."""

    code = "challenge_exhausted"
    retryable = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whose second factor is waited for, and how they got this far: `epoch` as of their first proof."""

    user_id: UUID
    epoch: int
    amr: tuple[str, ...]


async def open_challenge(identity: Identity, client: Client, account: Credentials, amr: Sequence[str]) -> bytes:
    """Wait for the second factor of somebody who gave the proofs `amr`; the body of the answer."""
    raw = secrets.token_urlsafe(32)
    id_hash, owner = _hash(raw), account.user_id
    words = orjson.dumps({"epoch": account.epoch, "amr": list(amr)}).decode()
    payload = await identity.cipher.seal(Subject.user(owner), _PAYLOAD, _row_id(id_hash), words)
    async with identity.db.sessions.begin() as session:
        await auth_challenges.begin(
            session, ChallengeKind.MFA, id_hash, CHALLENGE_LIFETIME, user_id=owner, payload_ct=payload
        )
        await note(session, identity, client, "auth.login", outcome="challenged", actor=owner, subject=owner)
    expires_in = int(CHALLENGE_LIFETIME.total_seconds())
    return orjson.dumps({"challenge": raw, "methods": account.methods, "expires_in": expires_in})


async def attempt(identity: Identity, raw: str) -> Waiting:
    """Count one try, before anything is compared. Raises `ChallengeRefused`, `ChallengeExhausted`."""
    id_hash = _hash(raw)
    async with identity.db.sessions.begin() as session:
        tried = await auth_challenges.attempt(session, ChallengeKind.MFA, id_hash)
    if tried is None:
        raise refused()
    if tried.number > MAX_ATTEMPTS:
        raise ChallengeExhausted("Too many attempts. Sign in again from the beginning.")
    payload = orjson.loads(await identity.cipher.open(_PAYLOAD, _row_id(id_hash), tried.payload_ct))
    return Waiting(tried.user_id, payload["epoch"], tuple(payload["amr"]))


async def waiting_user(identity: Identity, raw: str) -> UUID:
    """Whose open challenge it is; nothing is counted. Raises `ChallengeRefused`."""
    user_id = await auth_challenges.user_of(identity.db.reads, ChallengeKind.MFA, _hash(raw))
    if user_id is None:
        raise refused()
    return user_id


async def finish(identity: Identity, raw: str) -> None:
    """The second factor is proven. Raises `ChallengeRefused` for whoever comes second."""
    async with identity.db.sessions.begin() as session:
        if not await auth_challenges.use(session, ChallengeKind.MFA, _hash(raw)):
            raise refused()


def scope_of(raw: str) -> str:
    """The scope of passkey assertions that answer this challenge, and no other."""
    return f"mfa/{_hash(raw).hex()}"


def refused() -> ChallengeRefused:
    """The same for every reason."""
    return ChallengeRefused("The challenge is not valid, or no longer. Sign in again from the beginning.")


def _hash(raw: str) -> bytes:
    return hashlib.sha256(raw.encode()).digest()


def _row_id(id_hash: bytes) -> UUID:
    """What binds the payload to its row, whose key is no UUID."""
    return UUID(bytes=id_hash[:16])
