"""A push message to every device of a person: reached is who has one device that took it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from core.crypto import CiphertextInvalid, FieldCipher
from core.db import SessionFactory, single_statement
from integrations.notify.protocol import (
    ProviderRefused,
    ProviderUnavailable,
    Push,
    PushChannel,
    Receipt,
    TargetGone,
)
from models.notification import DeliveryEventKind, DeviceKind
from models.queries import devices
from models.queries.deliveries import ACKNOWLEDGEMENT_LOST
from models.queries.devices import Target

Outcome = Receipt | ProviderRefused | ProviderUnavailable
"""What became of a message on one device."""


class NoDevice(ProviderRefused):
    """None of the person's devices can be reached."""

    code = "no_device"


class ChannelPending(ProviderRefused):
    """A channel that this installation does not speak."""

    code = "pending_channel"


class Pusher:
    """One service per kind of device."""

    def __init__(
        self, sessions: SessionFactory, cipher: FieldCipher, services: Mapping[DeviceKind, PushChannel]
    ) -> None:
        self._sessions, self._cipher, self._services = sessions, cipher, services

    async def push(self, push: Push, delivery_id: UUID) -> Receipt:
        """Hand it to the devices that have not taken it yet, all at once.

        Raises `NoDevice`, and `ProviderUnavailable` while no device took it. What is taken back is tried until every
        device that may show it has taken it; `ProviderRefused`: one never will.
        """
        async with single_statement(self._sessions) as session:
            targets = await devices.targets(session, delivery_id)
        outcomes = await asyncio.gather(*(self._one(target, push, delivery_id) for target in targets))
        receipt = next((outcome for outcome in outcomes if isinstance(outcome, Receipt)), Receipt(""))
        refused = [outcome for outcome in outcomes if isinstance(outcome, ProviderRefused)]
        if not push.withdrawn:
            if await self._has_reached_one(delivery_id):
                return receipt
            refused = [NoDevice("no device took it")]
        if away := [outcome for outcome in outcomes if isinstance(outcome, ProviderUnavailable)]:
            raise _together(away)
        if kept := [outcome for outcome in refused if not isinstance(outcome, TargetGone)]:
            raise kept[0]
        return receipt

    async def _has_reached_one(self, delivery_id: UUID) -> bool:
        async with single_statement(self._sessions) as session:
            return await devices.has_reached_one(session, delivery_id)

    async def _one(self, target: Target, push: Push, delivery_id: UUID) -> Outcome:
        """Exceptions are answers here: what happens on one device is no reason to leave out another."""
        outcome: Outcome
        try:
            token = await self._cipher.open("devices.token_ct", target.id, target.token_ct)
            service = self._services.get(target.kind)
            if service is None:
                raise ChannelPending(f"{target.kind} is not spoken here")
            shown = replace(push, collapse_key=str(target.occurrence_id or delivery_id))
            outcome = await service.push(shown, token, idempotency_key=delivery_id)
        except CiphertextInvalid:
            outcome = TargetGone("the token does not open")
        except (ProviderRefused, ProviderUnavailable) as error:
            outcome = error
        taken = DeliveryEventKind.RETRACTED if push.withdrawn else DeliveryEventKind.ACCEPTED
        await self._record(target, delivery_id, outcome, taken)
        return outcome

    async def _record(self, target: Target, delivery_id: UUID, outcome: Outcome, taken: DeliveryEventKind) -> None:
        async with self._sessions.begin() as session:
            match outcome:
                case Receipt(provider_id):
                    await devices.record(session, delivery_id, target.id, taken, provider_id=provider_id)
                case ProviderRefused():
                    kind, code = DeliveryEventKind.REFUSED, outcome.problem_code
                    await devices.record(session, delivery_id, target.id, kind, code=code)
                case ProviderUnavailable():
                    kind = DeliveryEventKind.UNAVAILABLE
                    code = ACKNOWLEDGEMENT_LOST if outcome.ambiguous else outcome.problem_code
                    await devices.record(session, delivery_id, target.id, kind, code=code)
            if isinstance(outcome, TargetGone):
                await devices.disable(session, target.id, outcome.problem_code)


def _together(away: Sequence[ProviderUnavailable]) -> ProviderUnavailable:
    asked = [each.retry_after for each in away if each.retry_after is not None]
    return ProviderUnavailable(
        "no push service took it",
        retry_after=max(asked, default=None),
        ambiguous=any(each.ambiguous for each in away),
    )
