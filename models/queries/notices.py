"""The one way any feature tells a person something that is about no occurrence: billing, calendars, privacy, security.

A notice is claimed once per event, however often its cause is seen; the in-app line is there at once, the other
channels are rows that a worker sends and that ask the person's standing when they leave.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core import live
from core.crypto import FieldCipher, Subject
from core.ids import new_id
from domain.notification import Category, Channel, Forbidden, forbidden
from models.notification import DeliveryState
from models.queries import notification_preferences

STEP: Final = "due"
PARAMS: Final = "deliveries.params_ct"

_CLAIM = text(
    """WITH claimed AS (
           INSERT INTO deliveries
                  (id, event_key, user_id, channel, step, template, category, params_ct, state, reason, attempt)
           SELECT t.id, :event_key, :user_id, t.channel, :step, :template, :category, t.params_ct, t.state, t.reason, 0
             FROM unnest(CAST(:ids AS uuid[]), CAST(:channels AS text[]), CAST(:params AS text[]),
                         CAST(:states AS text[]), CAST(:reasons AS text[])) AS t (id, channel, params_ct, state, reason)
           ON CONFLICT (event_key, user_id, channel, step) DO NOTHING
           RETURNING id, channel, state),
       shown AS (
           INSERT INTO notifications (id, user_id, delivery_id)
           SELECT :notification_id, :user_id, c.id FROM claimed c WHERE c.channel = 'in_app' AND c.state = 'sent')
       SELECT id, channel, state FROM claimed"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What to tell one person. `event_key` is what happened (`subscription/{id}/past_due/{period}`): ids only, and the
    same for the same event. `template` names the words of its mail and the `kind` of its line in the app; `params`
    (JSON: names, amounts, instants as text) fill them and are sealed under the person's key. `step` tells several
    notices about the same event apart."""

    user_id: UUID
    category: Category
    template: str
    event_key: str
    channels: tuple[Channel, ...]
    step: str = STEP
    params: Mapping[str, object] = field(default_factory=dict, repr=False)


async def claim(session: AsyncSession, cipher: FieldCipher, notice: Notice) -> list[UUID]:
    """Write the notice; answers the deliveries a worker has to send (`temporal.outbox.send`). Claimed ones stay as they
    are, so repeating it answers nothing. Raises `SubjectErased`: nobody is there to be told."""
    channels = tuple(dict.fromkeys(notice.channels))
    ids = [new_id() for _ in channels]
    standing = await notification_preferences.standing(session, notice.user_id)
    if standing is None or not channels:
        return []
    words = orjson.dumps(dict(notice.params)).decode()
    subject = Subject.user(notice.user_id)
    born = [_born(channel, forbidden(notice.category, channel, standing)) for channel in channels]
    values = {
        "event_key": notice.event_key,
        "user_id": notice.user_id,
        "step": notice.step,
        "template": notice.template,
        "category": notice.category,
        "ids": ids,
        "channels": channels,
        "params": [await cipher.seal(subject, PARAMS, delivery_id, words) for delivery_id in ids],
        "states": [state for state, _ in born],
        "reasons": [reason for _, reason in born],
        "notification_id": new_id(),
    }
    claimed = (await session.execute(_CLAIM, values)).all()
    if any(row.channel == Channel.IN_APP and row.state == DeliveryState.SENT for row in claimed):
        said = {"notification_id": values["notification_id"]}
        live.say(session, (notice.user_id,), live.Name.NOTIFICATION_CREATED, **said)
    return [row.id for row in claimed if row.state == DeliveryState.PLANNED]


def _born(channel: Channel, refused: Forbidden | None) -> tuple[DeliveryState, str | None]:
    """A line in the app is there at once, or the person wants none. Everything else is decided when it leaves."""
    if channel is not Channel.IN_APP:
        return DeliveryState.PLANNED, None
    return (DeliveryState.SENT, None) if refused is None else (DeliveryState.WITHDRAWN, refused)
