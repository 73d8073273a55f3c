"""Tags, the public pages behind them, searches, and what finders wrote.

Whoever changes a tag or a search holds the lock of the pet's row: at most one of each is active.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from core import live
from core.crypto import Subject
from core.db import Database
from domain.access import Role
from domain.lost import Ending, Search
from domain.notification import Category, Channel
from models.household import Household, Membership
from models.lost import LostCase, LostCaseState, PetTag
from models.pet import Pet
from models.queries.clock import database_now
from models.queries.deliveries import ABANDONED_REASON, MAY_LEASE
from models.queries.notices import Notice

MEMBERS = (Role.OWNER, Role.CARETAKER)
# Without an owner who is there nobody could be told, so there is no page. A contact counts while they belong to the
# household: of a pet that was given on, the former owner's number is not shown.
_PAGE = """
SELECT t.id AS tag_id, t.shown AS tag_shown, t.note_ct, t.care_note_ct, p.id AS pet_id, p.household_id, p.name_ct,
       p.species, p.breed, p.sex, c.id AS case_id, c.shown AS case_shown, c.note_ct AS appeal_ct,
       u.id AS contact_id, u.first_name_ct, u.phone_ct,
       EXISTS (SELECT 1 FROM microchips m WHERE m.pet_id = p.id AND m.removed_at IS NULL) AS microchipped
  FROM pet_tags t
  JOIN pets p ON p.id = t.pet_id AND p.deleted_at IS NULL AND p.status IN ('active', 'lost')
  LEFT JOIN lost_cases c ON c.pet_id = p.id AND c.household_id = p.household_id AND c.state = 'open'
  LEFT JOIN LATERAL (
       SELECT u.id, u.first_name_ct, u.phone_ct FROM users u
         JOIN memberships m ON m.user_id = u.id AND m.household_id = p.household_id AND m.left_at IS NULL
        WHERE u.id = coalesce(c.opened_by, t.contact_id) AND u.state = 'active') u ON true
 WHERE t.revoked_at IS NULL
   AND EXISTS (SELECT 1 FROM memberships m JOIN users o ON o.id = m.user_id AND o.state = 'active'
                WHERE m.household_id = p.household_id AND m.role = 'owner' AND m.left_at IS NULL)
   AND """
_BY_CODE = _PAGE + "t.code = $1"
_BY_PET = _PAGE + "t.pet_id = $1"
_SIGHTINGS = """
SELECT id, case_id, message_ct, place_ct, contact_ct, wiped_at, created_at FROM sightings
 WHERE pet_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"""
_WIPE = text(
    """UPDATE sightings SET message_ct = NULL, place_ct = NULL, contact_ct = NULL, wiped_at = :now
        WHERE case_id = :case_id AND wiped_at IS NULL RETURNING id"""
)
_WIPE_STRAYS = text(
    """UPDATE sightings SET message_ct = NULL, place_ct = NULL, contact_ct = NULL, wiped_at = clock_timestamp()
        WHERE id IN (SELECT id FROM sightings
                      WHERE case_id IS NULL AND wiped_at IS NULL
                        AND created_at < clock_timestamp() - CAST(:kept AS interval)
                      ORDER BY id LIMIT :limit)
       RETURNING id"""
)
# A ciphertext names whose key it is under: for whom the finder wrote.
_WIPE_FOREIGN = text(
    """UPDATE sightings SET message_ct = NULL, place_ct = NULL, contact_ct = NULL, wiped_at = clock_timestamp()
        WHERE pet_id = :pet_id AND wiped_at IS NULL AND message_ct NOT LIKE :ours RETURNING id"""
)
_SIGHTINGS_OF = text(
    """SELECT s.id FROM sightings s JOIN pets p ON p.id = s.pet_id
        WHERE p.household_id = :household_id AND s.wiped_at IS NULL"""
)
# A message that waits is withdrawn when it would leave: it has no words any more (`activities/mail.py`).
_FORGET = text(
    """WITH forgotten AS (
           UPDATE deliveries SET params_ct = NULL
            WHERE event_key = ANY(CAST(:event_keys AS text[])) AND params_ct IS NOT NULL
              AND (CAST(:user_id AS uuid) IS NULL OR user_id = :user_id)
           RETURNING id)
       UPDATE notifications SET withdrawn_at = clock_timestamp()
        WHERE delivery_id IN (SELECT id FROM forgotten) AND withdrawn_at IS NULL RETURNING id, user_id"""
)
_WITHDRAW = text(
    f"""WITH asked AS (SELECT id FROM deliveries WHERE event_key = :question),
            held AS (UPDATE deliveries d
                        SET state = 'withdrawn', reason = {ABANDONED_REASON}, claimed_until = NULL,
                            at = clock_timestamp()
                      WHERE d.id IN (SELECT id FROM asked) AND {MAY_LEASE})
       UPDATE notifications SET withdrawn_at = clock_timestamp()
        WHERE delivery_id IN (SELECT id FROM asked) AND withdrawn_at IS NULL RETURNING id, user_id"""  # noqa: S608 - our own words
)


async def page_by_code(db: Database, code: str) -> asyncpg.Record | None:
    """What the page of this code can show; None: there is no such page, or not any more."""
    return await db.reads.fetchrow(_BY_CODE, code)


async def page_by_pet(connection: asyncpg.Connection, pet_id: UUID) -> asyncpg.Record | None:
    """The same for the pet's present tag, inside the transaction that has just written it."""
    return await connection.fetchrow(_BY_PET, pet_id)


async def tag_of(session: AsyncSession, pet_id: UUID) -> PetTag | None:
    """The pet's present tag."""
    query = select(PetTag).where(col(PetTag.pet_id) == pet_id, col(PetTag.revoked_at).is_(None))
    return (await session.scalars(query)).one_or_none()


async def open_case(session: AsyncSession, pet: Pet) -> LostCase | None:
    """The search that the pet's household has going on."""
    query = select(LostCase).where(
        col(LostCase.pet_id) == pet.id,
        col(LostCase.household_id) == pet.household_id,
        col(LostCase.state) == LostCaseState.OPEN,
    )
    return (await session.scalars(query)).one_or_none()


async def close_foreign(session: AsyncSession, pet: Pet) -> None:
    """End a search that was going on where the pet lived before."""
    now = await database_now(session)
    await session.execute(
        update(LostCase)
        .where(
            col(LostCase.pet_id) == pet.id,
            col(LostCase.household_id) != pet.household_id,
            col(LostCase.state) == LostCaseState.OPEN,
        )
        .values(state=LostCaseState.CLOSED, closed_at=now, closed_reason=Ending.PET_GONE)
        .execution_options(synchronize_session=False)
    )


async def latest_case(session: AsyncSession, pet_id: UUID, household_id: UUID) -> LostCase | None:
    """The last search for this pet by this household, open or not."""
    query = select(LostCase).where(col(LostCase.pet_id) == pet_id, col(LostCase.household_id) == household_id)
    return (await session.scalars(query.order_by(col(LostCase.id).desc()).limit(1))).one_or_none()


async def lock(session: AsyncSession, case_id: UUID) -> tuple[LostCase, Pet, Search] | None:
    """A search, its pet and where it stands; the pet is locked first, as by everybody else."""
    pet_id = await session.scalar(select(col(LostCase.pet_id)).where(col(LostCase.id) == case_id))
    if pet_id is None:
        return None
    pet = (await session.scalars(select(Pet).where(col(Pet.id) == pet_id).with_for_update())).one()
    case = (await session.scalars(select(LostCase).where(col(LostCase.id) == case_id).with_for_update())).one()
    home = await session.scalar(select(col(Household.home_tzid)).where(col(Household.id) == case.household_id))
    search = Search(
        opened_at=case.created_at,
        answered_at=case.answered_at,
        asked_at=case.asked_at,
        closed_at=case.closed_at,
        wiped_at=case.wiped_at,
        tzid=pet.home_tzid or str(home),
        pet_is_here=pet.deleted_at is None and pet.household_id == case.household_id,
    )
    return case, pet, search


async def people(session: AsyncSession, household_id: UUID, roles: Sequence[Role]) -> tuple[UUID, ...]:
    """Who belongs to the household in one of these roles, the first to come first."""
    query = select(col(Membership.user_id)).where(
        col(Membership.household_id) == household_id,
        col(Membership.role).in_(roles),
        col(Membership.left_at).is_(None),
    )
    return tuple(await session.scalars(query.order_by(col(Membership.id))))


async def sightings(db: Database, pet_id: UUID, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """What finders wrote, the newest first, before an id."""
    return await db.reads.fetch(_SIGHTINGS, pet_id, after, limit)


async def wipe(session: AsyncSession, case: LostCase, now: datetime) -> None:
    """Forget what was written for a search, what finders wrote in it, and that in everybody's messages."""
    case.note_ct, case.wiped_at = None, now
    case.version, case.updated_at = case.version + 1, now
    wiped = (await session.scalars(_WIPE, {"case_id": case.id, "now": now})).all()
    await _forget(session, [opened_key(case.id), *map(sighting_key, wiped)])


async def wipe_strays(session: AsyncSession, kept: timedelta, limit: int) -> int:
    """Forget what finders wrote outside of a search longer ago than `kept`; answers how many it were."""
    wiped = (await session.scalars(_WIPE_STRAYS, {"kept": kept, "limit": limit})).all()
    await _forget(session, [sighting_key(sighting_id) for sighting_id in wiped])
    return len(wiped)


async def wipe_foreign(session: AsyncSession, pet: Pet) -> None:
    """Forget what finders wrote to the people with whom the pet lived before: it was for them alone."""
    ours = f"v1.{Subject.household(pet.household_id)}:%"
    wiped = (await session.scalars(_WIPE_FOREIGN, {"pet_id": pet.id, "ours": ours})).all()
    await _forget(session, [sighting_key(sighting_id) for sighting_id in wiped])


async def forget_told(session: AsyncSession, household_id: UUID, user_id: UUID) -> None:
    """Whoever is no member any more has no words of finders in their messages either."""
    kept = await session.scalars(_SIGHTINGS_OF, {"household_id": household_id})
    await _forget(session, [sighting_key(sighting_id) for sighting_id in kept], of=user_id)


async def unfinished(session: AsyncSession, after: UUID | None, limit: int) -> list[tuple[UUID, UUID]]:
    """(id, household) of searches that are not over and forgotten, by id."""
    page = select(col(LostCase.id), col(LostCase.household_id)).where(col(LostCase.wiped_at).is_(None))
    if after is not None:
        page = page.where(col(LostCase.id) > after)
    return [(row.id, row.household_id) for row in await session.execute(page.order_by(col(LostCase.id)).limit(limit))]


async def withdraw_question(session: AsyncSession, case: LostCase) -> None:
    """The last question is answered, or asked anew: nobody sees it any more. One under way has its own last word."""
    if case.asked_at is not None:
        values = {"question": question_key(case.id, case.asked_at), "reason": "answered"}
        _say_withdrawn(session, (await session.execute(_WITHDRAW, values)).all())


def question_key(case_id: UUID, asked_at: datetime) -> str:
    """One question, for the ledger."""
    return event_key(case_id, "asked", f"{asked_at:%Y-%m-%dT%H:%M:%SZ}")


def opened_key(case_id: UUID) -> str:
    """The beginning of a search, for the ledger."""
    return event_key(case_id, "opened")


def sighting_key(sighting_id: UUID) -> str:
    """What one finder wrote, for the ledger."""
    return f"sighting/{sighting_id}"


def event_key(case_id: UUID, *event: object) -> str:
    """What happened in a search, for the ledger."""
    return "/".join(("lost", str(case_id), *map(str, event)))


def notice(user_id: UUID, template: str, event_key: str, params: Mapping[str, object], *channels: Channel) -> Notice:
    """What to tell one person about a lost pet."""
    return Notice(
        user_id=user_id,
        category=Category.LOST,
        template=template,
        event_key=event_key,
        channels=channels or (Channel.EMAIL, Channel.PUSH, Channel.IN_APP),
        params=params,
    )


async def _forget(session: AsyncSession, event_keys: Sequence[str], *, of: UUID | None = None) -> None:
    """The words of these events in the messages of everybody, or of one person; a line without words is no line."""
    gone = await session.execute(_FORGET, {"event_keys": list(event_keys), "user_id": of})
    _say_withdrawn(session, gone.all())


def _say_withdrawn(session: AsyncSession, lines: Sequence[Row[tuple[UUID, UUID]]]) -> None:
    for line in lines:
        live.say(session, (line.user_id,), live.Name.NOTIFICATION_WITHDRAWN, notification_id=line.id)
