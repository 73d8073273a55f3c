"""The append-only audit log, and the seals over it. An entry is written in the transaction of what it records."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core.crypto import chain_hash
from core.db import Database
from domain.audit import GENESIS, Place, Seal, canonical
from models.audit import AuditEntry, AuditSeal, AuditVerification

_ABOUT = """
SELECT id, ts, actor, action, object, outcome, ip_hmac, sid FROM audit_log
 WHERE subject = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"""

_OF_HOUSEHOLD = """
SELECT id, ts, actor, subject, action, object, outcome FROM audit_log
 WHERE household = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"""


async def record(
    session: AsyncSession,
    *,
    action: str,
    outcome: str,
    actor: UUID | None,
    subject: UUID | None = None,
    object: str | None = None,
    ip_hmac: bytes | None = None,
    request_id: str | None = None,
    sid: UUID | None = None,
    household: UUID | None = None,
) -> None:
    """Add an entry. `action` is `auth.login`, `outcome` a word like `ok` or `refused`; `actor` is the person who acted
    (None: nobody we know), `subject` whose account or data it was, `household` whose home it was about. Ids only: no
    address, no name, no secret. (`sign_in.enter` adds its own.)"""
    session.add(
        AuditEntry(
            actor=f"user:{actor}" if actor else "anonymous",
            subject=f"user:{subject}" if subject else None,
            action=action,
            object=object,
            outcome=outcome,
            ip_hmac=ip_hmac,
            request_id=request_id,
            sid=sid,
            household=f"household:{household}" if household else None,
        )
    )


async def of_household(db: Database, household_id: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """What was done in a household, the newest first, before an id: who, on whom, what. Not from where."""
    return await db.reads.fetch(_OF_HOUSEHOLD, f"household:{household_id}", before, limit)


async def record_operator(
    session: AsyncSession, *, operator: str, action: str, object: str, request_id: str | None
) -> None:
    """Add an entry of what an operator did: `operator` says how they were known, e.g. `operator:token`."""
    session.add(AuditEntry(actor=operator, action=action, object=object, outcome="ok", request_id=request_id))


async def record_finding(session: AsyncSession, *, engine: str | None, threat: str, object: str) -> None:
    """Add an entry of what a scanner found, by its name for it. Nobody's: who uploaded it is not told the rule, which
    would help to get round it; their own entry says that it was refused."""
    session.add(AuditEntry(actor=f"scanner:{engine}", action="media.found", object=object, outcome=threat))


async def about(db: Database, subject: UUID, before: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """What was done to a person's account and data, newest first, before an entry."""
    return await db.reads.fetch(_ABOUT, f"user:{subject}", before, limit)


async def seal_next(session: AsyncSession, key: bytes, *, settled_after: timedelta, limit: int) -> Seal | None:
    """Seal the next stretch: at most `limit` entries of one day, none younger than `settled_after`. None: there is
    nothing to seal, or another run was quicker."""
    before = await _newest_seal(session)
    upto = (await session.execute(select(func.clock_timestamp() - settled_after))).scalar_one()
    rows = _first_day(await _page(session, before.last if before else None, upto, limit))
    if not rows:
        return None
    last, prev_hash = rows[-1], before.hash if before else GENESIS
    seal = Seal(
        seq=before.seq + 1 if before else 1,
        day=last["ts"].date(),
        after=before.last if before else None,
        last=Place(last["ts"], last["id"]),
        entries=len(rows),
        prev_hash=prev_hash,
        hash=chain_hash(key, prev_hash, map(canonical, rows)),
    )
    row = insert(AuditSeal).values(
        seq=seal.seq,
        day=seal.day,
        after_ts=seal.after.ts if seal.after else None,
        after_id=seal.after.id if seal.after else None,
        last_ts=seal.last.ts,
        last_id=seal.last.id,
        entries=seal.entries,
        prev_hash=seal.prev_hash,
        hash=seal.hash,
    )
    made = await session.execute(row.on_conflict_do_nothing().returning(col(AuditSeal.seq)))
    return seal if made.scalar_one_or_none() is not None else None


async def seal_after(session: AsyncSession, before: Seal | None) -> Seal | None:
    """The seal that comes next; None after the last."""
    query = select(AuditSeal).where(col(AuditSeal.seq) > (before.seq if before else 0))
    return _seal((await session.scalars(query.order_by(col(AuditSeal.seq)).limit(1))).one_or_none())


async def entries(session: AsyncSession, after: Place | None, last: Place) -> Sequence[RowMapping]:
    """The entries of a stretch as they stand now, in order."""
    where = [tuple_(last.ts, last.id) >= _PLACE]
    if after is not None:
        where.append(tuple_(after.ts, after.id) < _PLACE)
    return (await session.execute(_ENTRIES.where(*where).order_by(*_ORDER))).mappings().all()


async def record_verification(session: AsyncSession, seals: int, entries: int, broken_seq: int | None) -> None:
    """Keep what a verification found."""
    session.add(AuditVerification(seals=seals, entries=entries, broken_seq=broken_seq))


async def most_seals_seen(session: AsyncSession) -> int:
    """How long the chain was when it was longest: it only grows."""
    found = await session.execute(select(func.max(col(AuditVerification.seals))))
    return int(found.scalar_one_or_none() or 0)


_TABLE = AuditEntry.metadata.tables["audit_log"]
_PLACE = tuple_(_TABLE.c.ts, _TABLE.c.id)
_ORDER = (_TABLE.c.ts, _TABLE.c.id)
_ENTRIES = select(_TABLE)


async def _newest_seal(session: AsyncSession) -> Seal | None:
    query = select(AuditSeal).order_by(col(AuditSeal.seq).desc()).limit(1)
    return _seal((await session.scalars(query)).one_or_none())


async def _page(session: AsyncSession, after: Place | None, upto: datetime, limit: int) -> Sequence[RowMapping]:
    query = _ENTRIES.where(_TABLE.c.ts <= upto)
    if after is not None:
        query = query.where(tuple_(after.ts, after.id) < _PLACE)
    return (await session.execute(query.order_by(*_ORDER).limit(limit))).mappings().all()


def _first_day(rows: Sequence[RowMapping]) -> list[Any]:
    return [row for row in rows if row["ts"].date() == rows[0]["ts"].date()]


def _seal(row: AuditSeal | None) -> Seal | None:
    if row is None:
        return None
    after = Place(row.after_ts, row.after_id) if row.after_ts is not None and row.after_id is not None else None
    last = Place(row.last_ts, row.last_id)
    return Seal(row.seq, row.day, after, last, row.entries, row.prev_hash, row.hash)
