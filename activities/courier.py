"""What the activities know as notifier: one notice in words, handed to the channel it is meant for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from activities.pusher import ChannelPending, Pusher
from domain import sms
from integrations.notify import words
from integrations.notify.protocol import Channel as MessageChannel
from integrations.notify.protocol import Message, Receipt
from integrations.notify.words import ReminderWords
from models.notification import Channel


@dataclass(frozen=True, slots=True)
class Address:
    """Where a person is reached on a channel: an e-mail address, a phone number in E.164, or the id of the person whose
    devices are meant."""

    channel: Channel
    to: str = field(repr=False)


class Notifier(Protocol):
    """Words and channels in one. Raises `ProviderRefused` and `ProviderUnavailable`."""

    async def send_reminder(self, notice: ReminderWords, address: Address, *, idempotency_key: UUID) -> Receipt:
        """Hand it over; the same key again is the same message."""
        ...


class Courier:
    """Speaks the channels it is given; the others are refused as pending."""

    def __init__(self, channels: Mapping[Channel, MessageChannel], pusher: Pusher) -> None:
        self._channels, self._pusher = channels, pusher

    async def send_reminder(self, notice: ReminderWords, address: Address, *, idempotency_key: UUID) -> Receipt:
        """See `Notifier`."""
        if address.channel is Channel.PUSH:
            return await self._pusher.push(notice, idempotency_key)
        channel = self._channels.get(address.channel)
        if channel is None:
            raise ChannelPending(f"{address.channel} is not spoken here")
        message = _MESSAGES[address.channel](notice, address.to)
        return await channel.send(message, idempotency_key=idempotency_key)


def text_message(notice: ReminderWords) -> str:
    """The notice as a text message, shortened until it is cheap enough."""
    return words.sms(notice, sms.fits)


def _text_message(notice: ReminderWords, to: str) -> Message:
    return Message(to=to, subject="", text=text_message(notice))


_MESSAGES: Final = {Channel.EMAIL: words.email, Channel.SMS: _text_message}
