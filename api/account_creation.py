"""A new account with its keys and its home, however somebody came to it."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Identity
from core.crypto import Subject
from core.ids import new_id
from models.household import Household
from models.queries import households, users
from models.user import User


@dataclass(frozen=True, slots=True)
class NewAccount:
    """Not stored yet; its keys are."""

    user: User
    household_id: UUID


async def prepare(identity: Identity, address: str, email_bidx: bytes) -> NewAccount:
    """Make the keys, which are committed before the first row that needs them. Outside of any transaction."""
    user_id, household_id = new_id(), new_id()
    owner = Subject.user(user_id)
    await asyncio.gather(identity.keys.create(owner), identity.keys.create(Subject.household(household_id)))
    address_ct = await identity.cipher.seal(owner, "users.email_ct", user_id, address)
    return NewAccount(User(id=user_id, email_ct=address_ct, email_bidx=email_bidx), household_id)


async def insert(session: AsyncSession, account: NewAccount) -> bool:
    """The account and its home; False when another request was quicker with the same address."""
    user = account.user
    if not await users.add(session, user):
        return False
    await households.create(session, Household(id=account.household_id, home_tzid=user.timezone), user.id)
    return True


async def fill_in(
    identity: Identity, user: User, *, first_name: str | None, last_name: str | None, phone: str | None = None
) -> None:
    """What a person tells about themselves, in place of what stood there."""
    owner, cipher = Subject.user(user.id), identity.cipher
    user.first_name_ct = await cipher.seal_optional(owner, "users.first_name_ct", user.id, first_name)
    user.last_name_ct = await cipher.seal_optional(owner, "users.last_name_ct", user.id, last_name)
    user.phone_ct = await cipher.seal_optional(owner, "users.phone_ct", user.id, phone)
