"""Intents to act, committed with the rows that cause them; the relay hands them to Temporal (temporal.md §4.6)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, text
from sqlmodel import Field

from models.base import Identified, document, timestamptz, words


class Outbox(Identified, table=True):
    """`args` holds ids and enums only. `seq` is drawn after the aggregate's row was locked, so a higher one is a later
    commit; a coalescing kind has at most one unsent row per workflow."""

    __tablename__ = "outbox"

    aggregate: str = words()
    seq: int = Field(sa_column=Column(BigInteger, Identity(always=False), nullable=False))
    kind: str = words()
    workflow_id: str = words()
    args: dict[str, object] = document(default_factory=dict)
    coalescing: bool = Field(default=False)
    claimed_until: datetime | None = timestamptz(default=None)
    attempts: int = Field(default=0)
    last_error: str | None = words(default=None)
    done_at: datetime | None = timestamptz(default=None)
    user_id: UUID | None = Field(default=None)
    """The person it acts for, if any: the relay skips the rows of somebody being erased."""

    __table_args__ = (
        Index(
            "uq_outbox_coalescing",
            "workflow_id",
            "kind",
            unique=True,
            postgresql_where=text("coalescing AND done_at IS NULL"),
        ),
        Index("ix_outbox_pending", "id", postgresql_where=text("done_at IS NULL")),
        Index("ix_outbox_aggregate", "aggregate", "seq", postgresql_where=text("done_at IS NULL")),
    )
