"""Whether a password may be set: the facts are gathered here, `domain/password.py` decides (§2.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from api.identity import Client, Identity
from api.trail import note
from core.crypto import FieldCipher
from core.errors import NotFound
from domain.password import (
    MIN_ALONE,
    MIN_WITH_SECOND_FACTOR,
    Exposure,
    context_words,
    is_enough_alone,
    normalize_password,
    refuse,
    weaknesses_of_exposure,
    weaknesses_of_form,
)
from integrations.identity import guesses
from integrations.identity.breaches import BreachesUnavailable
from models.queries import passwords


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose password it is to be: what others know of them, and how long it must be. `user_id` is None for somebody
    who is signing up: nothing about an account that exists may show in the answer."""

    address: str
    names: Sequence[str | None]
    minimum: int = MIN_ALONE
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class NewPassword:
    """The hash of a password that may be set, and whether it may be the only factor."""

    hash: str
    enough_alone: bool


async def accept(
    identity: Identity, client: Client, text: str, owner: Owner, *, pointer: str = "/password"
) -> NewPassword:
    """Judge and hash it. Raises `PasswordRefused` with every reason (`pointer`: where it stood), `HashingBusy`."""
    password = normalize_password(text)
    words = context_words(owner.address, owner.names)
    refuse(weaknesses_of_form(password, words, owner.minimum), owner.minimum, pointer)
    exposure = await identity.passwords.in_pool(lambda: _exposure(identity, password, words))
    refuse(weaknesses_of_exposure(exposure), pointer=pointer)
    if await _is_breached(identity, client, password, owner):
        refuse(weaknesses_of_exposure(Exposure(False, True, exposure.score)), pointer=pointer)
    return NewPassword(await identity.passwords.hash(password), is_enough_alone(password))


async def owner_of(identity: Identity, user_id: UUID) -> Owner:
    """Somebody with an account. Raises `NotFound`."""
    found = await passwords.owner(identity.db.reads, user_id)
    if found is None:
        raise NotFound("the account is gone")
    cipher: FieldCipher = identity.cipher
    names = [
        await cipher.open_optional("users.first_name_ct", user_id, found.first_name_ct),
        await cipher.open_optional("users.last_name_ct", user_id, found.last_name_ct),
        *[await cipher.open("pets.name_ct", pet_id, name_ct) for pet_id, name_ct in found.pets],
    ]
    return Owner(
        address=await cipher.open("users.email_ct", user_id, found.email_ct),
        names=names,
        minimum=MIN_WITH_SECOND_FACTOR if found.second_factor else MIN_ALONE,
        user_id=user_id,
    )


def _exposure(identity: Identity, password: str, words: frozenset[str]) -> Exposure:
    return Exposure(
        common=guesses.is_common(password),
        breached=identity.breaches.in_file(password),
        score=guesses.score(password, words),
    )


async def _is_breached(identity: Identity, client: Client, password: str, owner: Owner) -> bool:
    """Asked last, of what nothing else speaks against. While the list is away nobody is kept from a new password."""
    try:
        return await identity.breaches.in_api(password)
    except BreachesUnavailable:
        who = owner.user_id
        async with identity.db.sessions.begin() as session:
            await note(
                session, identity, client, "password.breach_check", outcome="unavailable", actor=who, subject=who
            )
        return False
