"""Access that ends by itself, as owners give it (product.md §4.5): sitters, and links for vets."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api import actions
from api.auth import Caller
from api.deps import ServicesDep
from api.households import ReadableHousehold
from api.identity import Client
from api.invitations import mail_language, seal_address
from api.mail import MailTemplate, Notice, notify
from api.schemas.grants import GrantIn, GrantUpdate
from api.services import Services
from api.trail import note
from core.crypto import Subject
from core.errors import Conflict, FieldProblem, Invalid, NotFound
from core.ids import new_id
from domain import grant as rules
from domain.access import Right
from domain.grant import OPEN, GrantState
from domain.notification import Category, Channel
from models.household import Grant, GrantKind, Household
from models.queries import grants, limits
from models.queries.clock import database_now
from models.queries.grants import standing_of
from temporal import outbox

EMAIL: Final = "grants.email_ct"
LABEL: Final = "grants.label_ct"
TOKEN: Final = "grants.token_ct"  # noqa: S105 - a column
_LONGEST: Final = {GrantKind.SITTER: rules.SITTER_LONGEST, GrantKind.VET: rules.VET_LONGEST}
_SHOWN: Final = "id household_id kind user_id pet_ids actions valid_from valid_until revoked_at mail_problem".split()
_FOREIGN: Final = {GrantKind.SITTER: ("label",), GrantKind.VET: ("email", "user_id", "actions", "valid_from")}
"""Fields that say nothing about the other kind."""


async def readable_grant(grant_id: UUID, household: ReadableHousehold, services: ServicesDep) -> asyncpg.Record:
    """A grant of the household, for who may manage it. 404 for what it does not have."""
    found = await grants.find(services.db, household["id"], grant_id)
    if found is None:
        raise NotFound("no such grant")
    return found


ReadableGrant = Annotated[asyncpg.Record, Depends(readable_grant)]


async def present(services: Services, row: asyncpg.Record) -> dict[str, Any]:
    """The document of `GrantOut`."""
    state = standing_of(row).state(row["now"])
    clear = {
        field: await services.cipher.open_optional(column, row["id"], row[f"{field}_ct"])
        for field, column in {"email": EMAIL, "label": LABEL, "token": TOKEN}.items()
    }
    return {
        **{field: row[field] for field in (*_SHOWN, "created_at", "updated_at", "version")},
        "state": state,
        "email": clear["email"],
        "label": clear["label"],
        "url": link(services, clear["token"]) if clear["token"] and state in OPEN else None,
        "mailed": row["mailed"] and row["mail_problem"] is None,
    }


def link(services: Services, token: str) -> str:
    """Where a vet's link leads."""
    return f"{services.settings.public_url}/v/{token}"


async def create(
    session: AsyncSession, services: Services, client: Client, caller: Caller, household: Household, body: GrantIn
) -> asyncpg.Record:
    """Let somebody in. The household is locked. Raises `Invalid`, `NotFound` for a pet it does not have,
    `PetReadOnly`, `Conflict`."""
    kind, now = GrantKind(body.kind), await database_now(session)
    _check_fields(body, kind)
    begins = max(body.valid_from or now, now)
    ends = body.valid_until or begins + rules.VET_USUAL
    rules.check_begin(begins, now)
    rules.check_span(begins, ends, _LONGEST[kind], now)
    if len(await grants.pets_in(session, household.id, body.pet_ids)) < len(body.pet_ids):
        raise NotFound("no such pet")
    await limits.check_writable(session, body.pet_ids)
    if len(await grants.open_ones(session, household.id)) >= rules.MOST:
        raise Conflict(f"There are {rules.MOST} already: end one that is not needed.", code="too_many_grants")
    grant = Grant(
        id=new_id(),
        household_id=household.id,
        kind=kind,
        granted_by=caller.user_id,
        pet_ids=body.pet_ids,
        actions=[] if kind is GrantKind.VET else sorted(["act"] if body.actions is None else body.actions),
        valid_from=begins,
        valid_until=ends,
    )
    if kind is GrantKind.SITTER:
        await _for_sitter(session, services, caller, grant, body)
    else:
        await _for_vet(services, grant, body.label or "")
    session.add(grant)
    await session.flush()
    if kind is GrantKind.SITTER:
        await outbox.GRANT.ring(session, household.id, grant.id)
    await record(session, services, client, caller, "given", grant)
    return await grants.find_in(session, grant.id)


async def change(
    session: AsyncSession, services: Services, client: Client, caller: Caller, grant: Grant, body: GrantUpdate
) -> asyncpg.Record:
    """Another end, or other rights. The household and the grant are locked. Raises `Invalid`, `GrantClosed`,
    `PetReadOnly`, and `Conflict` where it would meet another one of the same person."""
    now = await database_now(session)
    rules.check_open(standing_of(grant), now)
    await limits.check_writable(session, grant.pet_ids)
    acted = Right.ACT in grant.actions
    if body.valid_until is not None:
        rules.check_span(grant.valid_from, body.valid_until, _LONGEST[GrantKind(grant.kind)], now)
        grant.valid_until = body.valid_until
    if body.actions is not None:
        if grant.kind == GrantKind.VET:
            raise _invalid("actions", "not_for_this_kind", "a vet only looks")
        grant.actions = sorted(body.actions)
    await _check_overlap(session, grant, grant.user_id, grant.email_bidx)
    await grants.touch(session, grant, now)
    if grant.kind == GrantKind.SITTER:
        await outbox.GRANT.ring(session, grant.household_id, grant.id)
    if acted is not (Right.ACT in grant.actions) and standing_of(grant).state(now) is GrantState.ACTIVE:
        await actions.hand_over(session, await grants.reminders(session, grant.id))
    await record(session, services, client, caller, "changed", grant)
    return await grants.find_in(session, grant.id)


async def revoke(session: AsyncSession, services: Services, client: Client, caller: Caller, grant: Grant) -> None:
    """End it now. The household and the grant are locked. What is over already stays as it is."""
    now = await database_now(session)
    if standing_of(grant).state(now) not in OPEN:
        return
    grant.revoked_at = now
    await grants.touch(session, grant, now)
    await record(session, services, client, caller, "revoked", grant)
    if grant.kind == GrantKind.VET:
        return
    await outbox.GRANT.ring(session, grant.household_id, grant.id)
    if grant.user_id is not None:
        pets = await pet_names(session, services, grant)
        await tell(session, services, grant, grant.user_id, MailTemplate.GRANT_ENDED, {"pets": pets})


async def lock(session: AsyncSession, household: Household, grant_id: UUID) -> Grant:
    """One of a household that is locked. Raises `NotFound`."""
    found = await grants.lock(session, household.id, grant_id)
    if found is None:
        raise NotFound("no such grant")
    return found


async def pet_names(session: AsyncSession, services: Services, grant: Grant) -> list[str]:
    """Whom it is about."""
    sealed = await grants.pets_in(session, grant.household_id, grant.pet_ids)
    return [await services.cipher.open("pets.name_ct", pet_id, name_ct) for pet_id, name_ct in sealed.items()]


async def tell(
    session: AsyncSession,
    services: Services,
    grant: Grant,
    user_id: UUID,
    template: MailTemplate,
    params: dict[str, object],
) -> None:
    """Tell somebody what became of it, by mail and in the app."""
    await notify(
        session,
        services.cipher,
        Notice(
            user_id=user_id,
            category=Category.ACCOUNT,
            template=template,
            event_key=f"grant/{grant.id}/{template}/{params.get('answer', '')}",
            channels=(Channel.EMAIL, Channel.IN_APP),
            params={"grant_id": str(grant.id), **params},
        ),
    )


async def record(
    session: AsyncSession, services: Services, client: Client, caller: Caller, what: str, grant: Grant
) -> None:
    """An entry in the log of the household."""
    await note(
        session,
        services.identity,
        client,
        f"grant.{what}",
        actor=caller.user_id,
        subject=grant.user_id or caller.user_id,
        sid=caller.session_id,
        object=f"grant:{grant.id}",
        household=grant.household_id,
    )


async def check_free(
    session: AsyncSession, grant: Grant, *, user_id: UUID | None = None, email_bidx: bytes | None = None
) -> None:
    """Raises `Conflict` for a member, and for who has another grant for one of the pets at the same time. The household
    is locked."""
    if await grants.is_member(session, grant.household_id, user_id=user_id, email_bidx=email_bidx):
        raise Conflict("They belong to the household already, and see all of it.", code="already_member")
    await _check_overlap(session, grant, user_id, email_bidx)


async def _check_overlap(session: AsyncSession, grant: Grant, user_id: UUID | None, email_bidx: bytes | None) -> None:
    if (user_id or email_bidx) and await grants.overlapping(session, grant, user_id=user_id, email_bidx=email_bidx):
        raise Conflict("They have one of the pets in their care at that time already.", code="overlapping_grant")


async def _for_sitter(session: AsyncSession, services: Services, caller: Caller, grant: Grant, body: GrantIn) -> None:
    """By address nobody learns whether there is an account: it is theirs once they accept. Whom the household has met
    needs not be asked again. Both are mailed, and only so many a day."""
    if body.email is not None:
        grant.email_bidx = services.identity.blind_index(body.email.canonical)
        grant.email_ct = await seal_address(services, grant.household_id, EMAIL, grant.id, body.email)
        grant.locale = await mail_language(services, caller, body.locale)
    else:
        known = await grants.known(session, grant.household_id, body.user_id) if body.user_id else None
        if known is None:
            raise _invalid("user_id", "unknown_person", "nobody your household has met: use their address")
        grant.user_id, grant.locale = known.user_id, known.locale
    await check_free(session, grant, user_id=grant.user_id, email_bidx=grant.email_bidx)
    await services.identity.limiter.require("invitations", str(caller.user_id))


async def _for_vet(services: Services, grant: Grant, label: str) -> None:
    token, household = secrets.token_urlsafe(32), Subject.household(grant.household_id)
    grant.token_hash = hashlib.sha256(token.encode()).digest()
    grant.token_ct = await services.cipher.seal(household, TOKEN, grant.id, token)
    grant.label_ct = await services.cipher.seal(household, LABEL, grant.id, label)


def _check_fields(body: GrantIn, kind: GrantKind) -> None:
    problems = [
        FieldProblem(f"/{field}", "not_for_this_kind", "it says nothing about this kind of grant")
        for field in _FOREIGN[kind]
        if getattr(body, field) is not None
    ]
    problems += _missing(body, kind)
    if problems:
        raise Invalid("This is no grant.", errors=tuple(problems))


def _missing(body: GrantIn, kind: GrantKind) -> Sequence[FieldProblem]:
    if kind is GrantKind.VET:
        return [] if body.label else [FieldProblem("/label", "missing", "say for whom it is")]
    problems = []
    if (body.email is None) is (body.user_id is None):
        problems.append(FieldProblem("/email", "one_of_two", "either an address or a `user_id`"))
    if body.valid_until is None:
        problems.append(FieldProblem("/valid_until", "missing", "say when it ends"))
    return problems


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
