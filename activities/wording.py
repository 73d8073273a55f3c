"""Sealed rows made into words: what a notice, or a line of a digest, says. They leave for a channel only."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from activities.courier import Address
from core.crypto import FieldCipher
from core.unsubscribe import Unsubscriber, Wish
from domain import notification
from domain.notification import Category, Channel
from domain.reminder_series import Occurrence, OccurrenceState, ReminderClass
from integrations.notify.protocol import ProviderRefused
from integrations.notify.words import Outcome, ReminderWords
from models.queries.reminder_notices import Leased

_OUTCOMES: Final = {
    OccurrenceState.DONE: Outcome.DONE,
    OccurrenceState.SKIPPED: Outcome.SKIPPED,
    OccurrenceState.MISSED: Outcome.MISSED,
}


class PhoneUnusable(ProviderRefused):
    """The number on record is none that a text message could go to."""

    code = "phone_unusable"


@dataclass(frozen=True, slots=True)
class Links:
    """Where messages lead: never what a request said of itself."""

    public_url: str
    unsubscriber: Unsubscriber

    def token(self, user_id: UUID, category: Category, channel: Channel, issued: datetime) -> str | None:
        """What switches the category off on the channel with one click; None where that cannot be."""
        if not notification.may_be_stopped(category, channel):
            return None
        return self.unsubscriber.mint(Wish(user_id, category, channel, issued.date()))


class ReminderWording:
    """Opens what a notice needs, and nothing else."""

    def __init__(self, cipher: FieldCipher, links: Links) -> None:
        self.cipher, self.links = cipher, links

    async def words(self, leased: Leased) -> ReminderWords:
        """What one notice says. Raises `CiphertextInvalid`, and what the key store raises."""
        zone = ZoneInfo(leased.occurrence.tzid or leased.timezone)
        done_by = None
        if leased.closer_id is not None:
            done_by = await self.cipher.open_optional("users.first_name_ct", leased.closer_id, leased.closer_name_ct)
        words = ReminderWords(
            locale=leased.locale,
            title=await self.cipher.open("reminders.title_ct", leased.reminder_id, leased.title_ct),
            description=await self.cipher.open_optional(
                "reminders.description_ct", leased.reminder_id, leased.description_ct
            ),
            pet_name=await self.pet_name(leased.pet_id, leased.pet_name_ct),
            step=leased.step,
            late=leased.occurrence.late,
            due=leased.occurrence.instant.astimezone(zone),
            nominal=leased.occurrence.nominal,
            tzid=leased.occurrence.tzid,
            timezone=leased.timezone,
            now=leased.now,
            missed=leased.missed,
            missed_from=leased.missed_from,
            dose=leased.klass is ReminderClass.DOSE,
            outcome=_OUTCOMES.get(leased.occurrence.state, Outcome.GONE),
            done_by=done_by,
            done_at=leased.occurrence.completed_at or leased.occurrence.closed_at,
            public_url=self.links.public_url,
            link=self.links.public_url,
            unsubscribe_token=self.links.token(
                leased.user_id, Category(leased.category), leased.channel, leased.claimed_at
            ),
        )
        return words if leased.may_know else _to_a_stranger(words)

    async def pet_name(self, pet_id: UUID | None, name_ct: str | None) -> str | None:
        """The name of the pet it is about, if it is about one."""
        return None if pet_id is None else await self.cipher.open_optional("pets.name_ct", pet_id, name_ct)

    async def address(self, leased: Leased) -> Address:
        """Where the person is reached on this channel. Raises `PhoneUnusable`."""
        if leased.channel is Channel.SMS:
            phone = await self.cipher.open_optional("users.phone_ct", leased.user_id, leased.phone_ct)
            return Address(leased.channel, e164(phone or ""))
        if leased.channel is Channel.PUSH:
            return Address(leased.channel, str(leased.user_id))
        return Address(leased.channel, await self.cipher.open("users.email_ct", leased.user_id, leased.email_ct))


def _to_a_stranger(words: ReminderWords) -> ReminderWords:
    """What is taken back from somebody who has no access any more: neither what it is called today, nor who did it."""
    return replace(
        words, title="Petfolio", description=None, pet_name=None, outcome=Outcome.GONE, done_by=None, done_at=None
    )


@dataclass(frozen=True, slots=True)
class Reader:
    """The language and the clock of whoever reads it."""

    locale: str
    timezone: str


def line(
    occurrence: Occurrence, *, title: str, pet_name: str | None, klass: ReminderClass, reader: Reader, public_url: str
) -> ReminderWords:
    """One line of a digest."""
    return ReminderWords(
        locale=reader.locale,
        title=title,
        pet_name=pet_name,
        step="due",
        late=occurrence.late,
        due=occurrence.instant.astimezone(ZoneInfo(occurrence.tzid or reader.timezone)),
        nominal=occurrence.nominal,
        tzid=occurrence.tzid,
        timezone=reader.timezone,
        now=datetime.now(UTC),
        dose=klass is ReminderClass.DOSE,
        public_url=public_url,
        link=public_url,
    )


def e164(phone: str) -> str:
    """The number as providers take it. Raises `PhoneUnusable`."""
    try:
        parsed = phonenumbers.parse(phone)
    except NumberParseException:
        raise PhoneUnusable("the number names no country, or is no number") from None
    if not phonenumbers.is_possible_number(parsed):
        raise PhoneUnusable("no such number can exist")
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
