"""Sealing the audit log and comparing it with its seals. Every method may run twice: a stretch is sealed once."""

from temporalio import activity

from activities import metrics
from core.crypto import chain_hash
from core.db import SessionFactory
from core.logging import logger
from domain.audit import MOST, SETTLED_AFTER, Seal, canonical, follows
from models.queries import audit
from temporal.contracts.audit import ChainVerified, EntriesSealed, SealEntries, VerifyChain

log = logger(__name__)


class AuditActivities:
    """`key` is of the application's secrets, so that the database alone cannot make the chain anew."""

    def __init__(self, sessions: SessionFactory, key: bytes) -> None:
        self._sessions, self._key = sessions, key

    @activity.defn
    async def seal_entries(self, _: SealEntries) -> EntriesSealed:
        """Stretch by stretch until nothing settled is left. Each hash goes to the log as well, out of the database's
        reach."""
        seals = entries = 0
        while True:
            async with self._sessions.begin() as session:
                seal = await audit.seal_next(session, self._key, settled_after=SETTLED_AFTER, limit=MOST)
            if seal is None:
                return EntriesSealed(seals, entries)
            seals, entries = seals + 1, entries + seal.entries
            log.info("audit_sealed", seq=seal.seq, entries=seal.entries, hash=seal.hash.hex())
            activity.heartbeat(seal.seq)

    @activity.defn
    async def verify_chain(self, _: VerifyChain) -> ChainVerified:
        """From the first seal to the last; the finding is on record, and rings when something does not fit."""
        before, entries, broken = await self._compared()
        found = ChainVerified(before.seq if before else 0, entries, broken)
        async with self._sessions.begin() as session:
            await audit.record_verification(session, found.seals, found.entries, found.broken_seq)
        metrics.audit_verified(broken is None)
        if broken is not None:
            log.error("audit_chain_broken", seq=broken)
        return found

    async def _compared(self) -> tuple[Seal | None, int, int | None]:
        """(the last seal that fits, the entries up to it, the first seal that does not)."""
        before: Seal | None = None
        total = 0
        while True:
            async with self._sessions.begin() as session:
                seal = await audit.seal_after(session, before)
                if seal is None:
                    known, seen = await audit.most_seals_seen(session), before.seq if before else 0
                    return before, total, seen + 1 if seen < known else None  # the end was cut off
                rows = await audit.entries(session, seal.after, seal.last)
            same = chain_hash(self._key, seal.prev_hash, map(canonical, rows)) == seal.hash
            if not (same and len(rows) == seal.entries and follows(seal, before)):
                return before, total, seal.seq
            before, total = seal, total + len(rows)
            activity.heartbeat(seal.seq)
