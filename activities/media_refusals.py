"""What becomes known of a file that was not taken, in the transaction that refuses it: the audit trail has it, and who
uploaded it is told once, in the app and by mail."""

from contextlib import suppress
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from activities import media_metrics as metrics
from core import live
from core.crypto import FieldCipher, SubjectErased
from core.logging import logger
from domain.media.reasons import GERMAN, SENTENCES, Reason
from domain.media.state import AssetState
from domain.notification import Category, Channel
from models.media import MediaAsset, MediaLink
from models.notification import MailTemplate
from models.queries import audit, media_withdrawn, media_work, notices
from models.queries.notices import Notice
from temporal import outbox

log = logger(__name__)

NAME: Final = "media_links.name_ct"


async def refuse(session: AsyncSession, cipher: FieldCipher, asset: MediaAsset, reason: Reason) -> None:
    """Settle a content, which is locked as its pets are. One that was published before is withdrawn, and its people
    hear of that once, however often it is looked at until it is shown again."""
    is_news, places = asset.withdrawn_at is None, await media_work.links(session, asset.id)
    was_published = not is_news or any(link.shown_at is not None for link in places)
    state = AssetState.QUARANTINED if was_published or reason is Reason.THREAT else AssetState.REJECTED
    await media_work.settle(session, asset, state, reason)
    if was_published and is_news:
        asset.withdrawn_at = asset.updated_at
    former = await media_withdrawn.withdraw(session, asset)
    if is_news:
        log.warning(
            "media_refused", asset_id=str(asset.id), reason=reason, threat=asset.threat, engine=asset.scan_engine
        )
        if asset.threat is not None:
            found = f"media-asset:{asset.id}"
            await audit.record_finding(session, engine=asset.scan_engine, threat=asset.threat, object=found)
        await media_work.tell(session, asset, live.Name.MEDIA_REJECTED, state=state, reason=reason)
        for link in places:
            await write_down(session, link, state)
            await tell(session, cipher, link, reason, asset.version)
        metrics.SETTLED.labels(state).inc()
        metrics.REFUSED.labels(reason).inc()
    for link in former:
        await media_work.tell_of(session, link, live.Name.MEDIA_READY)


async def write_down(session: AsyncSession, link: MediaLink, state: AssetState) -> None:
    """That it was refused, and whose it was."""
    await audit.record(
        session,
        action=f"media.{state}",
        outcome="refused",
        actor=link.by_user_id,
        subject=link.by_user_id,
        object=f"media:{link.id}",
        household=link.household_id,
    )


async def tell(session: AsyncSession, cipher: FieldCipher, link: MediaLink, reason: Reason, version: int) -> None:
    """Tell who uploaded it of this refusal. Whoever left meanwhile is not told."""
    with suppress(SubjectErased):
        notice = Notice(
            user_id=link.by_user_id,
            category=Category.MEDIA,
            template=MailTemplate.MEDIA_REFUSED,
            event_key=f"media/{link.id}/refused/{version}",
            channels=(Channel.IN_APP, Channel.EMAIL),
            params={
                "name": await cipher.open(NAME, link.id, link.name_ct),
                "why": {"en": SENTENCES[reason], "de": GERMAN[reason]},
            },
        )
        await outbox.send(session, link.by_user_id, await notices.claim(session, cipher, notice))
