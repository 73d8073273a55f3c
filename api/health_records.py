"""What can be done with a health record over HTTP: load and authorise, present, create, change, remove."""

from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import orjson
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import Needed, require
from api.auth import Caller, CurrentUser
from api.deps import UnitOfWork
from api.read_only import refuse_changes
from api.schemas.health_records import READ_ONLY, RecordIn, RecordUpdate
from api.services import Services, services_of
from core.crypto import FieldCipher, Subject
from core.errors import FieldProblem, Invalid, NotFound
from core.ids import new_id
from domain import health
from domain.money import Money, from_minor
from models.health import HealthRecord
from models.queries import health_records, pets
from models.queries.clock import database_now

SEALED = ("title", "description", "veterinarian")


async def readable_record(request: Request, record_id: UUID, caller: CurrentUser, needed: Needed) -> asyncpg.Record:
    """The record, for who may do this with it. 404 for who may not know of it, 403 for who may only see it."""
    found = await health_records.find(services_of(request).db, caller.user_id, record_id)
    if found is None:
        raise NotFound("no such record")
    await require(request, caller, found, needed)
    return found


async def writable_record(record_id: UUID, caller: CurrentUser, session: UnitOfWork, needed: Needed) -> HealthRecord:
    """The record's locked row, for who may do this with it; else as `readable_record`."""
    found = await health_records.lock(session, caller.user_id, record_id)
    if found is None:
        raise NotFound("no such record")
    record, access = found
    access.require(needed)
    return record


ReadableRecord = Annotated[asyncpg.Record, Depends(readable_record)]
WritableRecord = Annotated[HealthRecord, Depends(writable_record)]


async def present(cipher: FieldCipher, record: asyncpg.Record) -> dict[str, Any]:
    """The document of `RecordOut`."""
    cost = _cost(record["cost_minor"], record["currency"])
    clear = {
        field: await cipher.open_optional(f"health_records.{field}_ct", record["id"], record[f"{field}_ct"])
        for field in SEALED
    }
    return {
        "id": record["id"],
        "pet_id": record["pet_id"],
        "household_id": record["household_id"],
        "record_type": record["record_type"],
        "date_administered": record["date_administered"],
        **clear,
        "state": record["state"],
        "cost": cost.number if cost else None,
        "currency": record["currency"],
        "cost_money": {"amount": cost.amount, "currency": cost.currency} if cost else None,
        "attachments": orjson.loads(record["attachments"]),
        "created_at": record["created_at"],
        "updated_at": record["updated_at"],
        "version": record["version"],
    }


async def create(
    session: AsyncSession, services: Services, caller: Caller, pet: asyncpg.Record, body: RecordIn
) -> asyncpg.Record:
    """A new record of a pet the caller may see: owners and caretakers add. Raises `NotFound`: it has moved away."""
    if await pets.hold(session, pet["id"]) != pet["household_id"]:
        raise NotFound("no such pet")
    refuse_changes(body, {"pet_id": pet["id"], "household_id": pet["household_id"]}, READ_ONLY)
    record = HealthRecord(
        id=new_id(),
        pet_id=pet["id"],
        household_id=pet["household_id"],
        record_type=body.record_type,
        title_ct="",
        by_user_id=caller.user_id,
    )
    await _write(session, services.cipher, record, body)
    await health_records.add(session, record)
    return await health_records.find_in(session, caller.user_id, record.id)


async def change(
    session: AsyncSession, services: Services, caller: Caller, record: HealthRecord, body: RecordUpdate
) -> asyncpg.Record:
    """Write the fields that are present. The row is locked, its precondition checked."""
    current = await present(services.cipher, await health_records.find_in(session, caller.user_id, record.id))
    refuse_changes(body, current, READ_ONLY)
    for field in ("title", "record_type"):
        if field in body.model_fields_set and getattr(body, field) is None:
            raise _invalid(field, "missing", f"a record has a {field}")
    await _write(session, services.cipher, record, body)
    record.version += 1
    record.updated_at = await database_now(session)
    return await health_records.find_in(session, caller.user_id, record.id)


async def _write(
    session: AsyncSession, cipher: FieldCipher, record: HealthRecord, body: RecordIn | RecordUpdate
) -> None:
    given = body.model_fields_set
    subject = Subject.household(record.household_id)
    for field in given & set(SEALED):
        sealed = await cipher.seal_optional(subject, f"health_records.{field}_ct", record.id, getattr(body, field))
        setattr(record, f"{field}_ct", sealed)
    for field in given & {"record_type", "date_administered"}:
        setattr(record, field, getattr(body, field))
    if body.state is not None:
        record.state = body.state
    if "attachments" in given:
        record.attachments = [attachment.model_dump() for attachment in body.attachments or []]
    zone, currency = await pets.home_of(session, record.pet_id)
    cost = health.cost_after(_cost(record.cost_minor, record.currency), _said(body), currency)
    record.cost_minor, record.currency = (cost.amount, cost.currency) if cost else (None, None)
    today = (await database_now(session)).astimezone(ZoneInfo(zone)).date()
    health.check_date(record.date_administered, today, planned=record.state == "planned")


def _said(body: RecordIn | RecordUpdate) -> health.Cost:
    said: health.Cost = {}
    if "cost" in body.model_fields_set:
        said["cost"] = body.cost
    if "currency" in body.model_fields_set:
        said["currency"] = body.currency
    if "cost_money" in body.model_fields_set:
        given = body.cost_money
        said["cost_money"] = from_minor(given.amount, given.currency) if given else None
    return said


def _cost(minor: int | None, currency: str | None) -> Money | None:
    return None if minor is None or currency is None else Money(minor, currency)


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
