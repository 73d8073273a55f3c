"""Who lives with which animals: pets belong to a household, never to one person."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, Index, Text, Uuid, text
from sqlmodel import Field

from domain.access import Role
from models.base import Identified, Versioned, timestamptz, words


class Household(Versioned, table=True):
    """A home. Registration makes a personal one; its zone is the creator's."""

    __tablename__ = "households"

    name_ct: str | None = words(default=None)
    home_tzid: str = words()
    country: str | None = words(default=None)
    currency: str = words(default="EUR")


class Membership(Identified, table=True):
    """A person in a household. One active row per pair."""

    __tablename__ = "memberships"

    household_id: UUID = Field(foreign_key="households.id")
    user_id: UUID = Field(foreign_key="users.id")
    role: Role = words()
    left_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index(
            "uq_memberships_active", "household_id", "user_id", unique=True, postgresql_where=text("left_at IS NULL")
        ),
        Index("ix_memberships_user", "user_id", postgresql_where=text("left_at IS NULL")),
    )


class InvitationState(StrEnum):
    """Where an invitation stands. Only an `open` one can be accepted, and only before it expires."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Invitation(Versioned, table=True):
    """An offer to join a household, mailed to one address and good for that address alone.

    `token_hash` is of the token in the last mail: a resend voids the former. `mailing` counts the mails asked for,
    `mailed` those that left; `mail_key` is the idempotency key of the last one, by which its provider reports of it.
    """

    __tablename__ = "invitations"

    household_id: UUID = Field(foreign_key="households.id")
    invited_by: UUID = Field(foreign_key="users.id")
    email_ct: str = words()
    email_bidx: bytes
    role: Role = words()
    locale: str = words(default="en")
    token_hash: bytes | None = Field(default=None, unique=True)
    mailing: int = Field(default=1)
    mailed: int = Field(default=0)
    mail_problem: str | None = words(default=None)
    mail_key: UUID | None = Field(default=None, unique=True)
    state: InvitationState = words(default=InvitationState.OPEN)
    expires_at: datetime = timestamptz()
    closed_at: datetime | None = timestamptz(default=None)
    accepted_by: UUID | None = Field(default=None, foreign_key="users.id")

    __table_args__ = (
        Index(
            "uq_invitations_open",
            "household_id",
            "email_bidx",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_invitations_household", "household_id", text("id DESC")),
    )


class GrantKind(StrEnum):
    """`sitter`: a person who signs in, for some pets and days. `vet`: whoever holds a read-only link."""

    SITTER = "sitter"
    VET = "vet"


class Grant(Versioned, table=True):
    """Access to some pets that ends by itself. The query is the wall, the workflow only the timer (product.md §4.5).

    A sitter is offered it by address and has nothing until they accept: `user_id` is theirs from then on. `declined`:
    it was ended by the sitter's own word. `started_at` and `ended_at` are when the workflow handed reminders over and
    took them back, `summarised_at` up to when it told the owners what was done. `mail_key` as of `Invitation`.
    """

    __tablename__ = "grants"

    household_id: UUID = Field(foreign_key="households.id")
    kind: GrantKind = words()
    granted_by: UUID = Field(foreign_key="users.id")
    user_id: UUID | None = Field(default=None, foreign_key="users.id")
    email_ct: str | None = words(default=None)
    email_bidx: bytes | None = Field(default=None)
    locale: str = words(default="en")
    mailed: bool = Field(default=False)
    mail_problem: str | None = words(default=None)
    mail_key: UUID | None = Field(default=None, unique=True)
    token_hash: bytes | None = Field(default=None, unique=True)
    token_ct: str | None = words(default=None)
    label_ct: str | None = words(default=None)
    pet_ids: list[UUID] = Field(sa_type=ARRAY(Uuid))  # type: ignore[call-overload, unused-ignore]
    actions: list[str] = Field(sa_type=ARRAY(Text))  # type: ignore[call-overload, unused-ignore]
    valid_from: datetime = timestamptz()
    valid_until: datetime = timestamptz()
    revoked_at: datetime | None = timestamptz(default=None)
    declined: bool = Field(default=False)
    started_at: datetime | None = timestamptz(default=None)
    ended_at: datetime | None = timestamptz(default=None)
    summarised_at: datetime | None = timestamptz(default=None)

    __table_args__ = (
        Index("ix_grants_household", "household_id", "id"),
        Index("ix_grants_user", "user_id", postgresql_where=text("revoked_at IS NULL")),
        Index("ix_grants_offered", "email_bidx", postgresql_where=text("user_id IS NULL AND revoked_at IS NULL")),
    )


class GrantAccess(Identified, table=True):
    """One use of a link: what the owner sees in its access log."""

    __tablename__ = "grant_access_log"

    grant_id: UUID = Field(foreign_key="grants.id", ondelete="CASCADE")
    action: str = words()
    object_id: UUID | None = Field(default=None)
    ip_trunc: str | None = words(default=None)
    user_agent: str | None = words(default=None)

    __table_args__ = (Index("ix_grant_access_log_grant", "grant_id", text("id DESC")),)


class TransferState(StrEnum):
    """An offer is `accepted` by an owner of the other household, or ends in one of the other ways."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PetTransfer(Versioned, table=True):
    """A pet that moves to another household: offered by one owner, taken by another. Both consents are kept.

    `moved_at` is when access switched: a worker does that once the offer is accepted. `mailed` counts the mails that
    told the recipient; `mail_key` as of `Invitation`.
    """

    __tablename__ = "pet_transfers"

    pet_id: UUID = Field(foreign_key="pets.id", index=True)
    from_household_id: UUID = Field(foreign_key="households.id")
    offered_by: UUID = Field(foreign_key="users.id")
    email_ct: str = words()
    email_bidx: bytes
    to_household_id: UUID | None = Field(default=None, foreign_key="households.id")
    decided_by: UUID | None = Field(default=None, foreign_key="users.id")
    decided_at: datetime | None = timestamptz(default=None)
    state: TransferState = words(default=TransferState.OFFERED)
    locale: str = words(default="en")
    mailed: int = Field(default=0)
    mail_problem: str | None = words(default=None)
    mail_key: UUID | None = Field(default=None, unique=True)
    moved_at: datetime | None = timestamptz(default=None)
    expires_at: datetime = timestamptz()

    __table_args__ = (
        Index("uq_pet_transfers_open", "pet_id", unique=True, postgresql_where=text("state = 'offered'")),
        Index("ix_pet_transfers_household", "from_household_id", text("id DESC")),
        Index("ix_pet_transfers_recipient", "email_bidx"),
        Index("ix_pet_transfers_decided_by", "decided_by"),
    )


class BreakGlass(Identified, table=True):
    """An operator's look into a household: read-only, for minutes, with a reason; its owners are told."""

    __tablename__ = "break_glass"

    staff_id: UUID = Field(foreign_key="users.id")
    household_id: UUID = Field(foreign_key="households.id", index=True)
    reason_ct: str = words()
    expires_at: datetime = timestamptz()
    ended_at: datetime | None = timestamptz(default=None)

    __table_args__ = (Index("ix_break_glass_staff", "staff_id", "expires_at"),)
