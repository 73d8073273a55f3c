"""Tags on collars, and what a stranger reads who scans one: what was chosen field by field, and nothing else."""

import asyncio
import base64
import re
import secrets
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
import segno
from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Client
from api.rate_limit import RateLimitState
from api.schemas.lost import TagIn
from api.services import Services
from api.tokens import Caller
from api.trail import note
from core.crypto import Subject
from core.db import raw_connection
from core.errors import NotFound
from core.ids import new_id
from domain.lost import Shown
from models.lost import PetTag
from models.pet import Pet
from models.queries import lost
from models.queries.clock import database_now

PATH: Final = "/p"
_CODE: Final = re.compile(r"[A-Z2-7]{16}")
_CODE_BYTES: Final = 10
"""80 bits: 16 characters of base32, which has no 0, 1 or 8 to be mistaken for letters."""
_NOTE, _CARE_NOTE = "pet_tags.note_ct", "pet_tags.care_note_ct"
_SEALED: Final[Mapping[Shown, tuple[str, str]]] = {
    Shown.NAME: ("pets.name_ct", "pet_id"),
    Shown.NOTE: (_NOTE, "tag_id"),
    Shown.CARE_NOTE: (_CARE_NOTE, "tag_id"),
    Shown.FIRST_NAME: ("users.first_name_ct", "contact_id"),
    Shown.PHONE: ("users.phone_ct", "contact_id"),
}
"""Of what is sealed: its column, and the id it is bound to."""


async def save(
    session: AsyncSession, services: Services, client: Client, caller: Caller, pet: Pet, body: TagIn
) -> dict[str, Any]:
    """Choose what the tag's page shows; the first time makes the tag. The pet's row is locked."""
    tag = await lost.tag_of(session, pet.id)
    if tag is None:
        tag = PetTag(id=new_id(), pet_id=pet.id, contact_id=caller.user_id, code=_new_code(), shown=[])
        session.add(tag)
    home = Subject.household(pet.household_id)
    tag.contact_id = caller.user_id
    tag.shown = list(dict.fromkeys(body.shown))
    tag.note_ct = await services.cipher.seal_optional(home, _NOTE, tag.id, body.note)
    tag.care_note_ct = await services.cipher.seal_optional(home, _CARE_NOTE, tag.id, body.care_note)
    await session.flush()
    await session.refresh(tag)
    await write_down(session, services, client, caller, pet.household_id, "tag.saved", f"pet:{pet.id}")
    return await present(session, services, tag)


async def revoke(session: AsyncSession, services: Services, client: Client, caller: Caller, pet: Pet) -> None:
    """Close the page for good; a later tag has another code. Raises `NotFound`."""
    tag = await find(session, pet.id)
    tag.revoked_at = await database_now(session)
    await write_down(session, services, client, caller, pet.household_id, "tag.revoked", f"pet:{pet.id}")


async def find(session: AsyncSession, pet_id: UUID) -> PetTag:
    """The pet's present tag. Raises `NotFound`."""
    tag = await lost.tag_of(session, pet_id)
    if tag is None:
        raise NotFound("this pet has no tag")
    return tag


async def present(session: AsyncSession, services: Services, tag: PetTag) -> dict[str, Any]:
    """The document of `TagOut`."""
    page = await lost.page_by_pet(await raw_connection(session), tag.pet_id)
    return {
        "code": tag.code,
        "url": url(services, tag.code),
        "shown": tag.shown,
        "note": await services.cipher.open_optional(_NOTE, tag.id, tag.note_ct),
        "care_note": await services.cipher.open_optional(_CARE_NOTE, tag.id, tag.care_note_ct),
        "page": None if page is None else await shown(services, page),
        "created_at": tag.created_at,
    }


def url(services: Services, code: str) -> str:
    """Where the tag leads."""
    return f"{services.settings.public_url}{PATH}/{code}"


async def qr(services: Services, tag: PetTag, kind: Literal["svg", "png"]) -> bytes:
    """The QR code of the tag's address, readable with 15 % of it scratched away (ISO/IEC 18004, level M)."""
    return await asyncio.to_thread(_draw, url(services, tag.code), kind)  # 5 to 8 ms


async def admit(services: Services, client: Client, code: str) -> tuple[asyncpg.Record, RateLimitState]:
    """What the page of this code can show, counted per network. Raises `NotFound` and `TooManyRequests`."""
    limit = await services.identity.limiter.require("anonymous", network(services, client))
    return await page_of(services, code), limit


async def page_of(services: Services, code: str) -> asyncpg.Record:
    """What the page of this code can show. Raises `NotFound`."""
    found = await lost.page_by_code(services.db, code.upper()) if _CODE.fullmatch(code.upper()) else None
    if found is None:
        raise NotFound("no such tag")
    return found


def network(services: Services, client: Client) -> str:
    """Whom the limits count: a keyed hash of the network."""
    return services.identity.trace(client.network).hex()


async def shown(services: Services, page: asyncpg.Record) -> dict[str, Any]:
    """The document of `PublicPageOut`: only what was chosen is opened at all."""
    lost_now = page["case_id"] is not None
    chosen = page["case_shown"] if lost_now else page["tag_shown"]
    fields = {field.value: await _value(services, page, field) for field in Shown if field in chosen}
    appeal = await services.cipher.open_optional("lost_cases.note_ct", page["case_id"], page["appeal_ct"])
    said = {name: value for name, value in (fields | {"appeal": appeal}).items() if value is not None}
    return {"lost": lost_now} | said


async def _value(services: Services, page: asyncpg.Record, field: Shown) -> Any:
    if field not in _SEALED:
        return page[field]
    column, bound_to = _SEALED[field]
    return await services.cipher.open_optional(column, page[bound_to], page[column.partition(".")[2]])


def _draw(text: str, kind: str) -> bytes:
    drawn = BytesIO()
    segno.make_qr(text, error="m", boost_error=False).save(drawn, kind=kind, scale=10)
    return drawn.getvalue()


def _new_code() -> str:
    return base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()


async def write_down(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    household_id: UUID,
    action: str,
    object: str,
) -> None:
    """The caller's entry in the audit log, for the household too."""
    who = caller.user_id
    await note(
        session,
        services.identity,
        client,
        action,
        actor=who,
        subject=who,
        sid=caller.session_id,
        object=object,
        household=household_id,
    )
