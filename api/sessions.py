"""Device sessions: opened, kept open, ended (identity-and-security.md §4.1). The ways in are in `api/sign_in.py`.

These flows own their transactions: a stolen refresh token ends its session although the answer is an error.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.answer import Answer, seal, tokens, unseal
from api.auth import mark_revoked
from api.identity import Client, Identity
from api.mail import MailTemplate, Notice, notify
from api.tokens import Caller
from api.trail import note
from core.errors import NotFound, Unauthorized
from domain.auth import Refresh, RefreshChain, judge_refresh
from domain.notification import Category, Channel
from models.queries import sessions
from models.queries.sessions import Standing
from models.session import Session


class GrantRefused(Unauthorized):
    """401: the refresh token is not the live one of a live session."""

    code = "invalid_grant"


async def refresh(identity: Identity, client: Client, raw: str, *, in_cookie: bool) -> Answer:
    """The next pair of tokens; for the immediate parent, inside the window, the very bytes answered before.

    `in_cookie`: how the token came; a session's tokens never change their way. Raises `GrantRefused`. An older token
    was stolen: its session ends, and its owner is told.
    """
    presented = token_hash(raw)
    window = timedelta(seconds=identity.settings.auth.refresh_replay_window_seconds)
    async with identity.db.sessions.begin() as session:
        row = await sessions.lock_by_token(session, presented)
        if row is None or row.in_cookie != in_cookie:
            raise _bad_grant()
        standing = await sessions.standing(session, row.user_id)
        match judge_refresh(_chain(row, standing), presented, now=standing.now, window=window):
            case Refresh.ROTATE:
                return await _rotate(session, identity, row, raw, standing.now)
            case Refresh.REPLAY:
                await _note_refresh(session, identity, client, row, "replayed")
                return _replayed(row, raw)
            case Refresh.REFUSE:
                raise _bad_grant()
            case Refresh.REUSED:
                await sessions.revoke(session, row.id, "refresh_reuse")
                await _note_refresh(session, identity, client, row, "reused")
                await notify(session, identity.cipher, _reuse_of(row))
    await mark_revoked(identity, row.user_id, [row.id])
    raise _bad_grant()


async def sign_out(identity: Identity, client: Client, caller: Caller) -> None:
    """End the caller's own session."""
    await end_session(identity, client, caller, caller.session_id, reason="logout")


async def sign_out_browser(identity: Identity, client: Client, raw: str) -> None:
    """End the session of a browser's cookie, whichever token of its chain that is; nothing if there is none."""
    async with identity.db.sessions.begin() as session:
        row = await sessions.lock_by_token(session, token_hash(raw))
        if row is None or not row.in_cookie or not await sessions.revoke(session, row.id, "logout"):
            return
        who = row.user_id
        await note(session, identity, client, "auth.logout", actor=who, subject=who, sid=row.id)
    await mark_revoked(identity, row.user_id, [row.id])


async def sign_out_everywhere(identity: Identity, client: Client, caller: Caller) -> None:
    """End every session of the caller, this one included."""
    async with identity.db.sessions.begin() as session:
        ended = await sessions.revoke_all(session, caller.user_id, "logout_all")
        await _note_own(session, identity, client, caller, "auth.logout_all")
    await mark_revoked(identity, caller.user_id, {*ended, caller.session_id})


async def end_session(identity: Identity, client: Client, caller: Caller, session_id: UUID, *, reason: str) -> None:
    """End one of the caller's sessions; ending it again changes nothing. Raises `NotFound` for anybody else's."""
    async with identity.db.sessions.begin() as session:
        row = await sessions.lock(session, session_id)
        if row is None or row.user_id != caller.user_id:
            raise NotFound("There is no such session.")
        await sessions.revoke(session, session_id, reason)
        await _note_own(session, identity, client, caller, f"auth.{reason}", f"session:{session_id}")
    await mark_revoked(identity, caller.user_id, [session_id])


async def live(identity: Identity, caller: Caller) -> list[Session]:
    """The caller's devices."""
    async with identity.db.sessions() as session:
        return await sessions.live_sessions(session, caller.user_id)


async def end_other_sessions(identity: Identity, client: Client, caller: Caller) -> None:
    """End every session of the caller but this one."""
    async with identity.db.sessions.begin() as session:
        ended = await sessions.revoke_others(session, caller.user_id, caller.session_id, "logout_others")
        await _note_own(session, identity, client, caller, "auth.logout_others")
    await mark_revoked(identity, caller.user_id, ended)


def _reuse_of(row: Session) -> Notice:
    return Notice(
        user_id=row.user_id,
        category=Category.SECURITY,
        template=MailTemplate.SESSION_REUSE,
        event_key=f"session/{row.id}/reuse",
        channels=tuple(Channel),
    )


async def _rotate(session: AsyncSession, identity: Identity, row: Session, raw: str, now: datetime) -> Answer:
    if row.prev_hash is not None:
        await sessions.retire(session, row.prev_hash, row.id, now)
    successor = new_token()
    row.prev_hash, row.rt_hash = row.rt_hash, token_hash(successor)
    row.gen += 1
    row.rotated_at = row.last_seen = now
    row.idle_expires_at = now + timedelta(days=identity.settings.auth.refresh_idle_days)
    answer = tokens(identity, row, successor, now)
    row.replay_ct = seal(answer, raw, row.id)
    return answer


def _replayed(row: Session, raw: str) -> Answer:
    if row.replay_ct is None:
        raise _bad_grant()
    return unseal(row.replay_ct, raw, row.id)


def _chain(row: Session, standing: Standing) -> RefreshChain:
    return RefreshChain(
        live=row.rt_hash,
        parent=row.prev_hash,
        rotated_at=row.rotated_at,
        idle_expires_at=row.idle_expires_at,
        absolute_expires_at=row.absolute_expires_at,
        revoked=row.revoked_at is not None,
        user_active=standing.active,
        epoch_current=row.epoch == standing.epoch,
    )


def new_token() -> str:
    """A refresh token."""
    return secrets.token_urlsafe(32)


def token_hash(raw: str) -> bytes:
    """What is kept of it."""
    # 256 random bits need no slow hash (ASVS 6.5.2).
    return hashlib.sha256(raw.encode()).digest()


def _bad_grant() -> GrantRefused:
    return GrantRefused("The refresh token is not valid.")


async def _note_refresh(session: AsyncSession, identity: Identity, client: Client, row: Session, outcome: str) -> None:
    await note(session, identity, client, "auth.refresh", outcome=outcome, actor=None, subject=row.user_id, sid=row.id)


async def _note_own(
    session: AsyncSession, identity: Identity, client: Client, caller: Caller, action: str, object: str | None = None
) -> None:
    who, sid = caller.user_id, caller.session_id
    await note(session, identity, client, action, actor=who, subject=who, sid=sid, object=object)
