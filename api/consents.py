"""What a person agreed to: added as events, read as the last one of each purpose (reliability-and-privacy.md §4.6)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.identity import Client, Identity
from api.schemas.consents import ConsentIn
from api.trail import note
from core.errors import NotFound
from core.read_pool import ReadPool
from domain.auth import truncated_ip
from domain.consent import WORDINGS, ConsentAction, ConsentSource, Purpose, Wording, wording_for
from models.notification import Consent
from models.queries import consents as queries
from models.queries import notification_preferences, users


@dataclass(frozen=True, slots=True)
class _Said:
    """What a person says about one purpose, and the words they were shown."""

    purpose: Purpose
    action: ConsentAction
    wording: Wording
    locale: str
    source: ConsentSource

    def repeats(self, last: Consent) -> bool:
        """Whether this was said already. Agreeing to newer words is something new."""
        same = last.action == self.action
        return same and (self.action is ConsentAction.WITHDRAWN or last.wording == self.wording.version)


async def show(reads: ReadPool, client: Client, caller: Caller) -> list[dict[str, Any]]:
    """Every purpose with its state and the words to show. A browser's signal counts from the first request with it."""
    locale = await _locale(reads, caller)
    events = {row["purpose"]: row for row in await queries.latest(reads, caller.user_id)}
    return [present(purpose, events.get(purpose), locale, client) for purpose in Purpose]


async def record(
    session: AsyncSession, identity: Identity, client: Client, caller: Caller, body: ConsentIn
) -> dict[str, Any]:
    """Add what the person says now; saying the same again adds nothing. Raises `Invalid`, `WordingOutdated`,
    `SignalSaysNo`."""
    wording = wording_for(body.purpose, body.action, body.wording, refused_by_signal=client.opts_out)
    locale = body.locale or await _locale(identity.db.reads, caller)
    if client.opts_out:
        await heed_signal(session, identity, client, caller.user_id)
    said = _Said(body.purpose, body.action, wording, locale, ConsentSource.APP)
    event = await _add(session, identity, client, caller.user_id, said)
    return present(body.purpose, event, locale, client)


async def heed_signal(session: AsyncSession, identity: Identity, client: Client, user_id: UUID) -> None:
    """Record `Sec-GPC: 1` as an opt-out of sale and sharing, unless that is the state already."""
    purpose = Purpose.SALE_OR_SHARE
    said = _Said(purpose, ConsentAction.WITHDRAWN, WORDINGS[purpose], "en", ConsentSource.GPC)
    await _add(session, identity, client, user_id, said)


def present(
    purpose: Purpose, event: asyncpg.Record | Mapping[str, Any] | None, locale: str, client: Client
) -> dict[str, Any]:
    """The document of `ConsentOut`."""
    language, words = WORDINGS[purpose].text(locale)
    overruled = client.opts_out and purpose is Purpose.SALE_OR_SHARE
    return {
        "purpose": purpose,
        "granted": event is not None and event["action"] == ConsentAction.GRANTED and not overruled,
        "decided_at": event["created_at"] if event else None,
        "source": event["source"] if event else None,
        "agreed_wording": event["wording"] if event and event["action"] == ConsentAction.GRANTED else None,
        "wording": WORDINGS[purpose].version,
        "locale": language,
        "text": words,
    }


async def _add(
    session: AsyncSession, identity: Identity, client: Client, user_id: UUID, said: _Said
) -> Mapping[str, Any]:
    """The event that now is the state of the purpose: the last one where it says the same already."""
    if await notification_preferences.lock(session, user_id) is None:
        raise NotFound("the account is gone")
    last = await queries.last(session, user_id, said.purpose)
    if last is not None and said.repeats(last):
        return last.model_dump()
    event = await queries.add(
        session,
        user_id,
        said.purpose,
        said.action,
        after=last,
        wording=said.wording.version,
        text_hash=hashlib.sha256(said.wording.text(said.locale)[1].encode()).digest(),
        source=said.source,
        ip_trunc=truncated_ip(client.address),
    )
    what = f"{said.purpose}@{said.wording.version}"
    await note(session, identity, client, f"consent.{said.action}", actor=user_id, subject=user_id, object=what)
    return event.model_dump()


async def _locale(reads: ReadPool, caller: Caller) -> str:
    user = await users.find(reads, caller.user_id)
    if user is None:
        raise NotFound("the account is gone")
    return str(user["locale"])
