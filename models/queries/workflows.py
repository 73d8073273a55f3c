"""What the caller may see of long-running work, from rows: Temporal is never asked for lists."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from core.db import Database
from models.queries.access import OWN, reached

# Access is part of the query, as for pets: a foreign id finds nothing. Who is let in is the owners' business alone. A
# grant's state is that of `domain.grant.Standing`, by the clock of the statement.
_WORK = f"""
SELECT * FROM (
  SELECT 'reminder' AS type, r.id, r.household_id, r.pet_id, r.state, r.next_at AS until, r.created_at, r.updated_at,
         a.role, a.actions, NULL::uuid AS user_id, NULL::uuid AS connection_id, NULL::uuid AS media_id
    FROM reminders r {reached("r.household_id", "r.pet_id")}
   WHERE r.deleted_at IS NULL
  UNION ALL
  SELECT 'lost', c.id, c.household_id, c.pet_id, c.state, NULL, c.created_at, c.updated_at, a.role, a.actions,
         NULL, NULL, NULL
    FROM lost_cases c {reached("c.household_id", "c.pet_id")}
  UNION ALL
  SELECT 'media', m.id, m.stored_under, l.pet_id, m.state, NULL, m.created_at, m.updated_at, a.role, a.actions,
         NULL, NULL, l.id
    FROM media_links l JOIN media_assets m ON m.id = l.asset_id {reached("l.household_id", "l.pet_id")}
   WHERE l.deleted_at IS NULL AND NOT EXISTS (SELECT FROM media_links e WHERE e.asset_id = m.id
                                                 AND e.deleted_at IS NULL AND e.id < l.id)
  UNION ALL
  SELECT 'invitation', i.id, i.household_id, NULL, i.state, i.expires_at, i.created_at, i.updated_at, a.role, a.actions,
         NULL, NULL, NULL
    FROM invitations i {reached("i.household_id", "NULL")} AND a.role = 'owner'
  UNION ALL
  SELECT 'transfer', t.id, t.from_household_id, t.pet_id, t.state, t.expires_at, t.created_at, t.updated_at,
         a.role, a.actions, NULL, NULL, NULL
    FROM pet_transfers t {reached("t.from_household_id", "NULL")} AND a.role = 'owner'
  UNION ALL
  SELECT 'grant', g.id, g.household_id, NULL,
         CASE WHEN g.declined THEN 'declined' WHEN g.revoked_at IS NOT NULL THEN 'revoked'
              WHEN g.valid_until <= statement_timestamp() THEN 'over' WHEN g.user_id IS NULL THEN 'offered'
              WHEN statement_timestamp() < g.valid_from THEN 'coming' ELSE 'active' END,
         g.valid_until, g.created_at, g.updated_at, a.role, a.actions, NULL, NULL, NULL
    FROM grants g {reached("g.household_id", "NULL")} AND a.role = 'owner'
   WHERE g.kind = 'sitter'
  UNION ALL
  SELECT 'calendar', l.id, NULL, NULL, c.state, l.next_poll_at, l.created_at, l.updated_at, 'owner', NULL,
         l.user_id, l.connection_id, NULL
    FROM calendar_links l JOIN calendar_connections c ON c.id = l.connection_id
   WHERE l.user_id = $1 AND c.state <> 'disconnected'
  UNION ALL
  SELECT 'refund', f.id, NULL, NULL, f.state, NULL, f.created_at, f.updated_at, 'owner', NULL, f.account_id, NULL, NULL
    FROM refunds f WHERE f.account_id = $1) AS a
 WHERE """  # noqa: S608 - our own words
_PAGE = f"{_WORK} {OWN} AND ($2::uuid IS NULL OR a.id > $2) ORDER BY a.id LIMIT $3"
_ONE = f"{_WORK} a.household_id = $2 AND a.type = $3 AND a.id = $4"
_OWN_ONE = f"{_WORK} a.household_id IS NULL AND a.type = $2 AND a.id = $3"
_BILLING = """
SELECT 'billing' AS type, s.account_id AS user_id, coalesce(s.status, 'none') AS state, s.period_end AS until,
       coalesce(c.created_at, s.synced_at) AS created_at, s.synced_at AS updated_at
  FROM billing_snapshots s LEFT JOIN billing_customers c ON c.account_id = s.account_id WHERE s.account_id = $1"""
_ONE_MAIL = """
SELECT 'mail' AS type, id, user_id, state, template, created_at, at AS updated_at
  FROM deliveries WHERE user_id = $1 AND id = $2 AND channel = 'email' AND occurrence_id IS NULL"""


async def page(db: Database, user_id: UUID, after: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """The work of all the user's households and their own, oldest first, after an id. `until` is when a reminder is due
    next, when a calendar is looked at, or when the others end by themselves."""
    return await db.reads.fetch(_PAGE, user_id, after, limit)


async def one(db: Database, user_id: UUID, household_id: UUID, kind: str, row_id: UUID) -> asyncpg.Record | None:
    """One of them, if it lives in that household. `kind` as in its id."""
    return await db.reads.fetchrow(_ONE, user_id, household_id, kind, row_id)


async def own(db: Database, user_id: UUID, kind: str, row_id: UUID) -> asyncpg.Record | None:
    """One that is the person's own and no household's."""
    return await db.reads.fetchrow(_OWN_ONE, user_id, kind, row_id)


async def billing(db: Database, user_id: UUID) -> asyncpg.Record | None:
    """The person's subscription; None before it was read for the first time."""
    return await db.reads.fetchrow(_BILLING, user_id)


async def mail(db: Database, user_id: UUID, delivery_id: UUID) -> asyncpg.Record | None:
    """A mail to the user that is no reminder: verification, notices."""
    return await db.reads.fetchrow(_ONE_MAIL, user_id, delivery_id)
