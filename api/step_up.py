"""Proving again that it is them, within a session: what operations with `Rule.fresh` ask for (§2.2; ASVS 7.5.1)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from api import proofs
from api.answer import Answer, access
from api.attempts import settle
from api.auth import lock_account, require_fresh
from api.ceremonies import Credential, step_up_of
from api.identity import Client, Identity
from api.proofs import Words
from api.sign_in import password_matches
from api.tokens import Caller
from api.trail import note
from core.errors import Forbidden
from models.queries import users
from models.queries.clock import database_now
from models.queries.users import Credentials


class ProofWrong(Forbidden):
    """403: the session stays as it is. The code says which proof: `password_wrong`."""

    code = "proof_wrong"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to prove themselves, within which session."""

    identity: Identity
    client: Client
    caller: Caller
    account: Credentials


Method = Callable[[Asked, Any], Awaitable[Words]]
"""A way to prove it: the words of what was shown (RFC 8176), none when it is refused. It counts the attempt against the
account before it looks at what was given, and raises `TooManyRequests` when there were too many."""


async def _password(asked: Asked, given: str) -> Words:
    identity, account = asked.identity, asked.account
    if not await password_matches(identity, asked.client, account.email_bidx, account, given):
        return ()
    await settle(identity, asked.client, account)
    return ("pwd",)


async def _code(asked: Asked, given: str) -> Words:
    return await proofs.prove_totp(asked.identity, asked.client, asked.account, given.replace(" ", ""))


async def _recovery_code(asked: Asked, given: str) -> Words:
    return await proofs.prove_recovery_code(asked.identity, asked.client, asked.account, given)


async def _passkey(asked: Asked, given: Credential) -> Words:
    scope = step_up_of(asked.caller.session_id)
    return await proofs.prove_passkey(asked.identity, asked.client, asked.account, given, scope)


METHODS: Final[Mapping[str, Method]] = {
    "password": _password,
    "code": _code,
    "recovery_code": _recovery_code,
    "passkey": _passkey,
}
"""By the member of `StepUpIn` that carries the proof: a further factor is a member there and a row here."""


async def step_up(identity: Identity, client: Client, caller: Caller, method: str, given: object) -> Answer:
    """A new access token of the same session, which has its proof now. Raises as `prove`, and `TokenRefused`."""
    words = await prove(identity, client, caller, method, given)
    who = caller.user_id
    async with identity.db.sessions.begin() as session:
        _, row = await lock_account(session, caller)
        row.auth_time = await database_now(session)
        row.amr = list(dict.fromkeys((*row.amr, *words)))
        await note(session, identity, client, "auth.step_up", actor=who, subject=who, sid=row.id)
    return Answer(orjson.dumps(access(identity, row)))


async def require_proof(identity: Identity, client: Client, caller: Caller, password: str | None) -> None:
    """The password, sent along, or else a proof of the last five minutes. Raises `StepUpRequired`, and as `prove`."""
    if password is None:
        return await require_fresh(identity, caller)
    await prove(identity, client, caller, "password", password)


async def prove(identity: Identity, client: Client, caller: Caller, method: str, given: object) -> Words:
    """What was shown. Raises `ProofWrong`, `TooManyRequests` and `HashingBusy` unless it holds for the caller's
    account."""
    account = await users.credentials_by_id(identity.db.reads, caller.user_id)
    if account is not None and (words := await METHODS[method](Asked(identity, client, caller, account), given)):
        return words
    who, sid = caller.user_id, caller.session_id
    async with identity.db.sessions.begin() as session:
        await note(session, identity, client, "auth.step_up", outcome="refused", actor=who, subject=who, sid=sid)
    raise ProofWrong("That is not right.", code=f"{method}_wrong")
