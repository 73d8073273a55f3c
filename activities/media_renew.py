"""Which published contents are not as this release would make them."""

import asyncio
from dataclasses import dataclass

from temporalio import activity

from core.db import SessionFactory
from domain.media.variants import PLAN_VERSION
from integrations.scanning.protocol import Scanner
from models.queries import media_sweep
from temporal import outbox
from temporal.contracts.media_renew import OutdatedRung, RingOutdated


@dataclass(frozen=True, slots=True)
class MediaRenewActivities:
    """See the module."""

    sessions: SessionFactory
    scanner: Scanner

    @activity.defn
    async def ring_outdated(self, request: RingOutdated) -> OutdatedRung:
        """Ring a page of them. Raises `ScannerUnavailable`: nobody says what the rules are."""
        signatures = await asyncio.to_thread(self.scanner.signatures)
        async with self.sessions.begin() as session:
            page = await media_sweep.outdated(session, PLAN_VERSION, signatures, request.after, request.page_size)
            for each in page:
                await outbox.ring_media(session, each.stored_under, each.asset_id, is_urgent=False)
        after = page[-1].asset_id if len(page) == request.page_size else None
        return OutdatedRung(after, len(page))
