"""Proving again that it is them, within a session: what operations with `Rule.fresh` ask for (§2.2; ASVS 7.5.1)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from api.answer import Answer, access
from api.identity import Client, Identity
from api.sign_in import password_matches
from api.tokens import Caller, TokenRefused
from api.trail import note
from core.errors import Forbidden
from models.queries import sessions, users
from models.queries.clock import database_now
from models.queries.users import Credentials


class ProofWrong(Forbidden):
    """403: the session stays as it is. The code says which proof: `password_wrong`."""

    code = "proof_wrong"


@dataclass(frozen=True, slots=True)
class Method:
    """A way to prove it. `amr` is its name in tokens (RFC 8176); `holds` counts the attempt against the account before
    it looks at what was given, and raises `TooManyRequests` when there were too many."""

    amr: str
    holds: Callable[[Identity, Credentials, Any], Awaitable[bool]]


async def _password(identity: Identity, account: Credentials, given: str) -> bool:
    return await password_matches(identity, account.email_bidx, account, given)


METHODS: Final[Mapping[str, Method]] = {"password": Method("pwd", _password)}
"""By the member of `StepUpIn` that carries the proof: a further factor is a member there and a row here."""


async def step_up(identity: Identity, client: Client, caller: Caller, method: str, given: object) -> Answer:
    """A new access token of the same session, which has its proof now. Raises as `prove`, and `TokenRefused`."""
    await prove(identity, client, caller, method, given)
    who, amr = caller.user_id, METHODS[method].amr
    async with identity.db.sessions.begin() as session:
        row = await sessions.lock(session, caller.session_id)
        if row is None or row.revoked_at is not None:
            raise TokenRefused("The session has ended.")
        row.auth_time = await database_now(session)
        row.amr = row.amr if amr in row.amr else [*row.amr, amr]
        await note(session, identity, client, "auth.step_up", actor=who, subject=who, sid=row.id)
    return Answer(orjson.dumps(access(identity, row)))


async def prove(identity: Identity, client: Client, caller: Caller, method: str, given: object) -> None:
    """Raises `ProofWrong`, `TooManyRequests` and `HashingBusy` unless what is given holds for the caller's account."""
    account = await users.credentials_by_id(identity.db.reads, caller.user_id)
    if account is not None and await METHODS[method].holds(identity, account, given):
        return
    who, sid = caller.user_id, caller.session_id
    async with identity.db.sessions.begin() as session:
        await note(session, identity, client, "auth.step_up", outcome="refused", actor=who, subject=who, sid=sid)
    raise ProofWrong("That is not right.", code=f"{method}_wrong")
