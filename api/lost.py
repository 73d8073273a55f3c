"""The search for a lost pet: opened, confirmed and closed by its people, and what finders write to them."""

from collections.abc import Mapping
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api import tags
from api.identity import Client
from api.mail import MailTemplate, notify
from api.schemas.lost import EndIn, SearchIn, SightingIn
from api.services import Services
from api.tokens import Caller
from core.crypto import Subject
from core.ids import new_id
from domain.access import Role
from domain.lost import CONTACT, DEFAULT, AlreadyLost, NotLost, NotSearchable
from models.lost import LostCase, LostCaseState, Sighting
from models.pet import Pet, PetStatus
from models.queries import lost, users
from models.queries.clock import database_now
from temporal import ids, outbox

_NOTE: Final = "lost_cases.note_ct"
_WRITTEN: Final = ("message", "place", "contact")


async def begin(
    session: AsyncSession, services: Services, client: Client, caller: Caller, pet: Pet, body: SearchIn
) -> LostCase:
    """Open the search and tell every member. The pet's row is locked. Raises `AlreadyLost`, `NotSearchable`."""
    if (running := await lost.open_case(session, pet)) is not None:
        raise AlreadyLost("somebody is looking for this pet already", extra={"case_id": str(running.id)})
    if pet.status not in (PetStatus.ACTIVE, PetStatus.LOST):
        raise NotSearchable(f"a pet that is {pet.status} cannot be lost")
    await lost.close_foreign(session, pet)
    case_id, now = new_id(), await database_now(session)
    case = LostCase(
        id=case_id,
        pet_id=pet.id,
        household_id=pet.household_id,
        opened_by=caller.user_id,
        shown=await _shown(session, caller, pet, body),
        note_ct=await services.cipher.seal_optional(Subject.household(pet.household_id), _NOTE, case_id, body.note),
        answered_at=now,
    )
    session.add(case)
    await _mark(session, pet, PetStatus.LOST)
    await _changed(session, services, client, caller, case, "lost.opened")
    await session.refresh(case)
    params = {"note": body.note, "by": await _first_name(session, services, caller)}
    await _tell(session, services, pet, MailTemplate.PET_LOST, lost.opened_key(case.id), params)
    return case


async def change(
    session: AsyncSession, services: Services, client: Client, caller: Caller, pet: Pet, body: SearchIn
) -> LostCase:
    """Say something else on the page; the contact stays whoever opened the search, and only they can show it.

    Raises `NotLost`.
    """
    case = await running_case(session, pet)
    home = Subject.household(case.household_id)
    if body.shown is not None:
        of_others = CONTACT - set(case.shown) if case.opened_by != caller.user_id else frozenset()
        case.shown = [field for field in dict.fromkeys(body.shown) if field not in of_others]
    if "note" in body.model_fields_set:
        case.note_ct = await services.cipher.seal_optional(home, _NOTE, case.id, body.note)
    await _touch(session, case)
    await _changed(session, services, client, caller, case, "lost.changed")
    return case


async def confirm(session: AsyncSession, services: Services, client: Client, caller: Caller, pet: Pet) -> LostCase:
    """It is still missing: the search goes on for another 30 days. Raises `NotLost`."""
    case = await running_case(session, pet)
    await lost.withdraw_question(session, case)
    case.answered_at = await _touch(session, case)
    await _changed(session, services, client, caller, case, "lost.confirmed")
    return case


async def end(
    session: AsyncSession, services: Services, client: Client, caller: Caller, pet: Pet, body: EndIn
) -> LostCase:
    """Close the search and tell every member; the page shows again what the tag says. Raises `NotLost`."""
    case = await running_case(session, pet)
    await lost.withdraw_question(session, case)
    case.state, case.closed_reason, case.closed_by = LostCaseState.CLOSED, body.reason, caller.user_id
    case.closed_at = await _touch(session, case)
    await _mark(session, pet, PetStatus.ACTIVE)
    await _changed(session, services, client, caller, case, "lost.closed")
    params = {"ending": body.reason, "by": await _first_name(session, services, caller)}
    await _tell(session, services, pet, MailTemplate.SEARCH_ENDED, lost.event_key(case.id, "ended"), params)
    return case


async def pet_gone(session: AsyncSession, pet: Pet) -> None:
    """A pet was removed: the search for it ends, and what was written is forgotten in its time."""
    if (case := await lost.open_case(session, pet)) is not None:
        await outbox.LOST_CASE.ring(session, case.household_id, case.id)


async def running_case(session: AsyncSession, pet: Pet) -> LostCase:
    """The search that is on. Raises `NotLost`."""
    case = await lost.open_case(session, pet)
    if case is None:
        raise NotLost("nobody is looking for this pet now")
    return case


async def present(services: Services, case: LostCase) -> dict[str, Any]:
    """The document of `SearchOut`."""
    same = "id state shown opened_by answered_at asked_at closed_at closed_reason".split()
    return {field: getattr(case, field) for field in same} | {
        "note": await services.cipher.open_optional(_NOTE, case.id, case.note_ct),
        "opened_at": case.created_at,
    }


async def report(session: AsyncSession, services: Services, client: Client, code: str, body: SightingIn) -> None:
    """Seal what a finder wrote for the household and tell its people: all members while they search, else the owners.

    Nothing is kept of who the finder is but what they wrote. Raises `NotFound` and `TooManyRequests`.
    """
    limiter = services.identity.limiter
    await limiter.require("sightings", tags.network(services, client))
    page = await tags.page_of(services, code)
    await limiter.require("tag_sightings", str(page["tag_id"]))
    sighting_id, home = new_id(), Subject.household(page["household_id"])
    written = body.model_dump()
    sealed = {
        field: await services.cipher.seal_optional(home, f"sightings.{field}_ct", sighting_id, text)
        for field, text in written.items()
    }
    session.add(
        Sighting(
            id=sighting_id,
            pet_id=page["pet_id"],
            case_id=page["case_id"],
            message_ct=sealed["message"],
            place_ct=sealed["place"],
            contact_ct=sealed["contact"],
        )
    )
    await session.flush()
    roles = (Role.OWNER,) if page["case_id"] is None else lost.MEMBERS
    name = await services.cipher.open("pets.name_ct", page["pet_id"], page["name_ct"])
    for person in await lost.people(session, page["household_id"], roles):
        event = lost.sighting_key(sighting_id)
        notice = lost.notice(person, MailTemplate.PET_SIGHTED, event, {"pet": name, **written})
        await notify(session, services.cipher, notice)


async def sighting(services: Services, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `SightingOut`."""
    words = {
        field: await services.cipher.open_optional(f"sightings.{field}_ct", row["id"], row[f"{field}_ct"])
        for field in _WRITTEN
    }
    return {"id": row["id"], "search_id": row["case_id"], **words, "created_at": row["created_at"]}


async def _shown(session: AsyncSession, caller: Caller, pet: Pet, body: SearchIn) -> list[str]:
    """What was asked for; else what the tag shows, without the contact of somebody else."""
    if body.shown is not None:
        return list(dict.fromkeys(body.shown))
    tag = await lost.tag_of(session, pet.id)
    if tag is None:
        return list(DEFAULT)
    return [field for field in tag.shown if tag.contact_id == caller.user_id or field not in CONTACT]


async def _mark(session: AsyncSession, pet: Pet, status: PetStatus) -> None:
    pet.status, pet.version, pet.updated_at = status, pet.version + 1, await database_now(session)


async def _touch(session: AsyncSession, case: LostCase) -> Any:
    case.version, case.updated_at = case.version + 1, await database_now(session)
    return case.updated_at


async def _changed(
    session: AsyncSession, services: Services, client: Client, caller: Caller, case: LostCase, action: str
) -> None:
    """Ring, and write down who did it."""
    await session.flush()
    await outbox.LOST_CASE.ring(session, case.household_id, case.id)
    members = await lost.people(session, case.household_id, lost.MEMBERS)
    outbox.say_workflow(session, members, ids.lost_case(case.household_id, case.id), "lost")
    await tags.write_down(session, services, client, caller, case.household_id, action, f"lost:{case.id}")


async def _tell(
    session: AsyncSession,
    services: Services,
    pet: Pet,
    template: MailTemplate,
    event_key: str,
    params: Mapping[str, object],
) -> None:
    words = {"pet": await services.cipher.open("pets.name_ct", pet.id, pet.name_ct), **params}
    for person in await lost.people(session, pet.household_id, lost.MEMBERS):
        await notify(session, services.cipher, lost.notice(person, template, event_key, words))


async def _first_name(session: AsyncSession, services: Services, caller: Caller) -> str | None:
    sealed = await users.first_name(session, caller.user_id)
    return await services.cipher.open_optional("users.first_name_ct", caller.user_id, sealed)
