"""Connected calendars over HTTP: present, keep, change, and what a person answers when the sync asks.

Every action is one transaction on rows: lock, write, ring. The calendar's workflow reads them when it hears the bell;
nothing here calls a provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import require_in
from api.auth import Caller, lock_account
from api.identity import Client
from api.reminders import document_of
from api.schemas.calendar_connections import ConnectionUpdate, PolicyIn
from api.services import Services
from api.trail import note
from core import live
from core.crypto import Subject
from core.errors import Conflict, NotFound
from core.ids import new_id
from domain.access import Right
from integrations.calendar import credentials
from integrations.calendar.credentials import Credential
from integrations.calendar.protocol import ProviderName
from models.calendar_sync import CalendarConnection, ConnectionState, Health
from models.queries import calendar_connections as queries
from models.queries.calendar_connections import Connected
from models.queries.clock import database_now
from temporal import ids, outbox

MOST: Final = 10
"""Connections of a person."""
POLICY: Final = {"delete_wins": False, "adopt": True, "reminders": True, "appointments": True}
"""Until somebody chooses otherwise."""
_SHOWN: Final = (
    "id provider state household_id policy health events conflicts quarantined last_ok_at next_poll_at last_error "
    "created_at updated_at version"
).split()


@dataclass(frozen=True, slots=True)
class Account:
    """An account elsewhere. `key` is what its provider never changes, `label` its name for people."""

    provider: ProviderName
    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of it. `connection_id`: nothing but a new credential for this one."""

    household_id: UUID | None = None
    policy: PolicyIn = field(default_factory=PolicyIn)
    connection_id: UUID | None = None


async def present(services: Services, user_id: UUID, rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """The documents of `ConnectionOut`."""
    return [await _present(services, user_id, row) for row in rows]


async def show(services: Services, caller: Caller, connection_id: UUID) -> dict[str, Any]:
    """One of the caller's. Raises `NotFound`."""
    row = await queries.find(services.db, caller.user_id, connection_id)
    if row is None:
        raise NotFound("no such connection")
    return await _present(services, caller.user_id, row)


async def keep(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    account: Account,
    credential: Credential,
    wish: Wish,
) -> dict[str, Any]:
    """The account is connected, or again: then its calendar and its pairs go on where they were. Raises `NotFound`,
    `NotPermitted`, `Conflict`."""
    await lock_account(session, caller)
    bidx = services.calendar_index(account.key)
    known = await queries.lock_account(session, caller.user_id, account.provider, bidx)
    if wish.connection_id is not None and (known is None or known.connection.id != wish.connection_id):
        raise Conflict("This is another account than the one that was connected.", code="other_account")
    is_new = known is None or known.connection.state == ConnectionState.DISCONNECTED
    if is_new and await queries.count(session, caller.user_id) >= MOST:
        raise Conflict(f"You have connected {MOST} calendars: disconnect one first.", code="too_many_connections")
    household_id = await _household(session, caller, wish.household_id, known.connection if known else None)
    if known is None:
        known = await queries.add(session, await _new(services, caller.user_id, household_id, account, bidx))
    connection = known.connection
    connection.household_id, connection.policy = household_id, _policy(connection.policy, wish.policy)
    await _let_in(services, known, account.label, credential)
    action = "calendar.connect" if wish.connection_id is None else "calendar.reauthorise"
    return await _changed(session, services, client, caller, known, action)


async def check_wish(session: AsyncSession, caller: Caller, wish: Wish) -> None:
    """What `keep` would refuse later, before a browser is sent anywhere. Raises `NotFound`, `NotPermitted`."""
    if wish.household_id is not None:
        await require_in(session, caller, wish.household_id, Right.ADD_REMINDER)


async def renew(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    found: Connected,
    credential: Credential,
) -> dict[str, Any]:
    """A new credential for the same account; the connection is locked."""
    connection = found.connection
    label = await services.cipher.open(credentials.ACCOUNT, connection.id, connection.account_ct)
    await _let_in(services, found, label, credential)
    return await _changed(session, services, client, caller, found, "calendar.reauthorise")


async def change(
    session: AsyncSession, services: Services, client: Client, caller: Caller, found: Connected, body: ConnectionUpdate
) -> dict[str, Any]:
    """Another policy or household; the connection is locked. What changes nothing writes nothing. Raises `NotFound`,
    `NotPermitted`."""
    connection = found.connection
    policy, household_id = _policy(connection.policy, body.policy), connection.household_id
    if body.household_id not in (None, household_id):
        household_id = await _household(session, caller, body.household_id, connection)
    if (policy, household_id) == (connection.policy, connection.household_id):
        return await _shown(session, services, caller, found)
    connection.policy, connection.household_id = policy, household_id
    return await _changed(session, services, client, caller, found, "calendar.change")


async def pause(
    session: AsyncSession, services: Services, client: Client, caller: Caller, found: Connected
) -> dict[str, Any]:
    """Nothing is sent or fetched until it is resumed. Repeating it changes nothing."""
    if found.connection.state == ConnectionState.PAUSED:
        return await _shown(session, services, caller, found)
    found.connection.state = ConnectionState.PAUSED
    return await _changed(session, services, client, caller, found, "calendar.pause")


async def resume(
    session: AsyncSession, services: Services, client: Client, caller: Caller, found: Connected
) -> dict[str, Any]:
    """Go on after a pause: what changed meanwhile follows. Repeating it changes nothing."""
    if found.connection.state != ConnectionState.PAUSED:
        return await _shown(session, services, caller, found)
    been_there = found.link.last_ok_at is not None
    found.connection.state = ConnectionState.ACTIVE if been_there else ConnectionState.CONNECTING
    return await _changed(session, services, client, caller, found, "calendar.resume")


async def confirm_deletions(
    session: AsyncSession, services: Services, client: Client, caller: Caller, found: Connected
) -> dict[str, Any]:
    """What is gone from the calendar is to go here as well. Raises `Conflict` where nothing waits for that."""
    if found.link.health != Health.DELETES_PAUSED:
        raise Conflict("No deletions wait for you.", code="nothing_to_confirm")
    found.link.deletes_confirmed = True
    return await _changed(session, services, client, caller, found, "calendar.confirm_deletions")


async def recreate_calendar(
    session: AsyncSession, services: Services, client: Client, caller: Caller, found: Connected
) -> dict[str, Any]:
    """A new calendar in place of the one that is gone, with everything that belongs in it. Raises `Conflict`."""
    if found.link.health != Health.CALENDAR_MISSING:
        raise Conflict("The calendar is there.", code="calendar_not_missing")
    await queries.forget_calendar(session, found.link)
    found.link.health = Health.RESYNCING
    return await _changed(session, services, client, caller, found, "calendar.recreate")


async def disconnect(
    session: AsyncSession,
    services: Services,
    client: Client,
    caller: Caller,
    found: Connected,
    copies: Literal["keep", "remove"],
) -> None:
    """The end: the worker takes leave of the provider, and removes what we had written there if that is wanted."""
    connection = found.connection
    connection.state, connection.remove_copies = ConnectionState.DISCONNECTED, copies == "remove"
    connection.disconnected_at = await database_now(session)
    await _record(session, services, client, caller, found, "calendar.disconnect")


async def lock(session: AsyncSession, caller: Caller, connection_id: UUID) -> Connected:
    """One of the caller's. Raises `NotFound`."""
    found = await queries.lock(session, caller.user_id, connection_id)
    if found is None:
        raise NotFound("no such connection")
    return found


async def left_household(session: AsyncSession, user_id: UUID, household_id: UUID) -> None:
    """A person belongs to a household no more: what it has planned leaves their calendars, and what they enter there
    becomes theirs alone. Without a household of their own nothing is adopted until they choose one."""
    for each in await queries.lock_lasting(session, user_id):
        if each.connection.household_id == household_id:
            home = await queries.home(session, user_id)
            each.connection.household_id = home or household_id
            each.connection.policy = each.connection.policy | ({} if home else {"adopt": False})
            await queries.touch(session, each)
        await _ring(session, each)


async def _new(
    services: Services, user_id: UUID, household_id: UUID, account: Account, bidx: bytes
) -> CalendarConnection:
    connection_id, subject = new_id(), Subject.user(user_id)
    return CalendarConnection(
        id=connection_id,
        user_id=user_id,
        household_id=household_id,
        provider=account.provider,
        account_ct=await services.cipher.seal(subject, credentials.ACCOUNT, connection_id, account.label),
        account_bidx=bidx,
    )


async def _let_in(services: Services, found: Connected, label: str, credential: Credential) -> None:
    """Under a higher epoch: whoever was refused with the credential of before says nothing about this one."""
    connection, link = found.connection, found.link
    subject = Subject.user(connection.user_id)
    document = credentials.to_json(credential)
    connection.account_ct = await services.cipher.seal(subject, credentials.ACCOUNT, connection.id, label)
    connection.credential_ct = await services.cipher.seal(subject, credentials.COLUMN, connection.id, document)
    connection.epoch += 1
    proven = connection.provider != ProviderName.CALDAV
    connection.state = ConnectionState.ACTIVE if proven else ConnectionState.CONNECTING
    connection.remove_copies, connection.disconnected_at = False, None
    link.last_error, link.failures = None, 0


async def _household(
    session: AsyncSession, caller: Caller, wanted: UUID | None, known: CalendarConnection | None
) -> UUID:
    """Where what is adopted goes: where it is wanted, where it went, or home."""
    if wanted is not None:
        await require_in(session, caller, wanted, Right.ADD_REMINDER)
        return wanted
    if known is not None and await queries.is_member(session, caller.user_id, known.household_id):
        return known.household_id
    home = await queries.home(session, caller.user_id)
    if home is None:
        raise Conflict("You own no household: name one in `household_id`.", code="no_household")
    return home


def _policy(before: dict[str, object], wanted: PolicyIn) -> dict[str, object]:
    return POLICY | before | wanted.model_dump(exclude_none=True)


async def _changed(
    session: AsyncSession, services: Services, client: Client, caller: Caller, found: Connected, action: str
) -> dict[str, Any]:
    await _record(session, services, client, caller, found, action)
    return await _shown(session, services, caller, found)


async def _record(
    session: AsyncSession, services: Services, client: Client, caller: Caller, found: Connected, action: str
) -> None:
    """Where every change ends: written, on record, heard by the workflow and by the person's screens."""
    await queries.touch(session, found)
    who, what = caller.user_id, f"calendar:{found.connection.id}"
    await note(session, services.identity, client, action, actor=who, subject=who, sid=caller.session_id, object=what)
    await _ring(session, found)


async def _ring(session: AsyncSession, found: Connected) -> None:
    connection, link = found.connection, found.link
    await outbox.ring_calendar(session, connection.user_id, link.id, connection.provider)
    shown = {"connection_id": connection.id, "state": connection.state}
    live.say(session, [connection.user_id], live.Name.CALENDAR_UPDATED, **shown)
    workflow_id = ids.calendar(connection.user_id, link.id)
    outbox.say_workflow(session, [connection.user_id], workflow_id, "calendar")


async def _shown(session: AsyncSession, services: Services, caller: Caller, found: Connected) -> dict[str, Any]:
    row = await queries.find_in(session, caller.user_id, found.connection.id)
    return await _present(services, caller.user_id, row)


async def _present(services: Services, user_id: UUID, row: asyncpg.Record) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN} | {
        "account": await services.cipher.open(credentials.ACCOUNT, row["id"], row["account_ct"]),
        "policy": document_of(row["policy"]),
        "push": _push(document_of(row["push_channels"]), row["now"]),
        "problems": await _problems(services, user_id, row["link_id"]) if row["quarantined"] else [],
        "workflow": f"/api/v1/workflows/{ids.calendar(user_id, row['link_id'])}",
    }


async def _problems(services: Services, user_id: UUID, link_id: UUID) -> list[dict[str, Any]]:
    return [
        {
            "appointment_id": row["appointment_id"],
            "reminder_id": row["reminder_id"],
            "title": await title_of(services, row),
            "reason": row["error"],
        }
        for row in await queries.quarantined(services.db, user_id, link_id)
    ]


async def title_of(services: Services, row: asyncpg.Record) -> str | None:
    """What the appointment or reminder of a row is called, where its reader may see it."""
    if row["appointment_ct"] is not None:
        return await services.cipher.open("appointments.title_ct", row["appointment_id"], row["appointment_ct"])
    return await services.cipher.open_optional("reminders.title_ct", row["reminder_id"], row["reminder_ct"])


def _push(channels: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    until = max((datetime.fromisoformat(each["expires_at"]) for each in channels), default=None)
    state = "none" if until is None else "active" if until > now else "expired"
    return {"state": state, "until": until}
