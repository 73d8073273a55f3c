"""What a vet's link shows, and to whom it was shown."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import asyncpg
import segno
from sqlalchemy.ext.asyncio import AsyncSession

from api.grants import TOKEN, link
from api.identity import Client
from api.pets import present_chip
from api.rate_limit import RateLimitState
from api.reminders import document_of
from api.services import Services
from core.errors import NotFound
from domain.auth import truncated_ip
from domain.grant import OPEN
from models.household import GrantAccess
from models.queries import vet_links
from models.queries.grants import standing_of

VACCINATION: Final = "vaccination"
_PET: Final = "id species breed is_mixed sex neutered date_of_birth dob_precision".split()
_RECORD: Final = "id record_type date_administered state created_at".split()
_SEALED: Final = ("title", "description", "veterinarian")


async def admit(services: Services, client: Client, token: str) -> tuple[asyncpg.Record, RateLimitState]:
    """The grant of a token, counted per link; guesses are counted per network. Raises `NotFound`, the same for what
    never was and for what is over, and `TooManyRequests`."""
    limiter = services.identity.limiter
    found = await vet_links.by_token(services.db, hashlib.sha256(token.encode()).digest())
    if found is None:
        await limiter.require("anonymous", services.identity.trace(client.network).hex())
        raise NotFound("no such link")
    return found, await limiter.require("feeds", str(found["id"]))


async def show(session: AsyncSession, services: Services, client: Client, found: asyncpg.Record) -> dict[str, Any]:
    """The document of `VetLinkOut`; this use is in the log before anybody sees it."""
    await vet_links.log_access(
        session,
        GrantAccess(
            grant_id=found["id"],
            action="read",
            ip_trunc=truncated_ip(client.address),
            user_agent=client.user_agent,
        ),
    )
    shown = await vet_links.shown(services.db, found["pet_ids"], found["household_id"])
    return {"valid_until": found["valid_until"], "pets": [await _pet(services, pet, shown) for pet in shown.pets]}


async def qr_code(services: Services, grant: asyncpg.Record) -> bytes:
    """The link as SVG. Raises `NotFound` where there is none that opens anything."""
    if grant["token_ct"] is None or standing_of(grant).state(grant["now"]) not in OPEN:
        raise NotFound("no such link")
    token = await services.cipher.open(TOKEN, grant["id"], grant["token_ct"])
    image = BytesIO()
    segno.make(link(services, token), error="m", micro=False).save(image, kind="svg", scale=8, light="#fff")
    return image.getvalue()


def present_access(row: asyncpg.Record) -> dict[str, Any]:
    """The document of `GrantAccessOut`."""
    shown = {field: row[field] for field in ("id", "action", "user_agent")}
    return shown | {"at": row["created_at"], "ip": row["ip_trunc"]}


async def _pet(services: Services, pet: asyncpg.Record, shown: vet_links.Shown) -> dict[str, Any]:
    records = [(row["record_type"], await _record(services, row)) for row in _of(pet, shown.records)]
    weighed = pet["grams"] is not None
    return {
        **{field: pet[field] for field in _PET},
        "name": await services.cipher.open("pets.name_ct", pet["id"], pet["name_ct"]),
        "weight": {"grams": pet["grams"], "measured_at": pet["measured_at"]} if weighed else None,
        "microchips": [await present_chip(services.cipher, row) for row in pet["chips"]],
        "vaccinations": [record for kind, record in records if kind == VACCINATION],
        "records": [record for kind, record in records if kind != VACCINATION],
        "medication": [await _medication(services, row) for row in _of(pet, shown.medication)],
    }


async def _record(services: Services, row: asyncpg.Record) -> dict[str, Any]:
    clear = {
        field: await services.cipher.open_optional(f"health_records.{field}_ct", row["id"], row[f"{field}_ct"])
        for field in _SEALED
    }
    return {field: row[field] for field in _RECORD} | clear


async def _medication(services: Services, row: asyncpg.Record) -> dict[str, Any]:
    clear = {
        field: await services.cipher.open_optional(f"reminders.{field}_ct", row["id"], row[f"{field}_ct"])
        for field in ("title", "description")
    }
    return {"id": row["id"], **clear, "schedule": document_of(row["schedule"]), "next_at": row["next_at"]}


def _of(pet: asyncpg.Record, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    return [row for row in rows if row["pet_id"] == pet["id"]]
