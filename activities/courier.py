"""What the activities know as notifier: one notice in words, handed to the channel it is meant for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from uuid import UUID

from activities.pusher import ChannelPending, Pusher
from domain import sms
from integrations.notify import gist, words
from integrations.notify.protocol import Channel as MessageChannel
from integrations.notify.protocol import Message, Push, Receipt
from integrations.notify.words import Kind, ReminderWords
from models.notification import Channel

_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Address:
    """Where a person is reached on a channel: an e-mail address, a phone number in E.164, or the id of the person whose
    devices are meant."""

    channel: Channel
    to: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeWords:
    """A notice that is about no occurrence: its mail, in clear, of which other channels tell the gist. `urgent`: worth
    waking a phone for."""

    mail: Message = field(repr=False)
    link: str = field(repr=False)
    urgent: bool = False


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
            return await self._pusher.push(_push(notice), idempotency_key)
        return await self._send(_MESSAGES[address.channel](notice, address.to), address, idempotency_key)

    async def send_notice(self, notice: NoticeWords, address: Address, *, idempotency_key: UUID) -> Receipt:
        """The same for a notice that is about no occurrence."""
        match address.channel:
            case Channel.PUSH:
                return await self._pusher.push(_push_of_notice(notice), idempotency_key)
            case Channel.SMS:
                message = Message(to=address.to, subject="", text=notice_text(notice))
            case _:
                message = replace(notice.mail, to=address.to)
        return await self._send(message, address, idempotency_key)

    async def _send(self, message: Message, address: Address, key: UUID) -> Receipt:
        channel = self._channels.get(address.channel)
        if channel is None:
            raise ChannelPending(f"{address.channel} is not spoken here")
        return await channel.send(message, idempotency_key=key)


def text_message(notice: ReminderWords) -> str:
    """The notice as a text message, shortened until it is cheap enough."""
    return words.sms(notice, sms.fits)


def notice_text(notice: NoticeWords) -> str:
    """`text_message` of a notice that is about no occurrence."""
    return gist.sms(notice.mail, notice.link, sms.fits)


def _text_message(notice: ReminderWords, to: str) -> Message:
    return Message(to=to, subject="", text=text_message(notice))


def _push(notice: ReminderWords) -> Push:
    shown = words.push(notice)
    return Push(
        title=shown.title,
        body=shown.body,
        link=notice.link,
        ttl_seconds=4 * _HOUR if notice.dose else 24 * _HOUR,
        urgent=notice.dose,
        withdrawn=notice.kind is Kind.WITHDRAWN,
    )


def _push_of_notice(notice: NoticeWords) -> Push:
    shown = gist.push(notice.mail)
    return Push(title=shown.title, body=shown.body, link=notice.link, ttl_seconds=24 * _HOUR, urgent=notice.urgent)


_MESSAGES: Final = {Channel.EMAIL: words.email, Channel.SMS: _text_message}
