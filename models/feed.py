"""Secret calendar feeds: a URL that a calendar program reads, for all of a person's pets or for one."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from models.base import Versioned, timestamptz, words


class IcsFeed(Versioned, table=True):
    """A feed. The token in its URL is the only key to it: found by its hash, shown again from its ciphertext."""

    __tablename__ = "ics_feeds"

    user_id: UUID = Field(foreign_key="users.id", index=True)
    pet_id: UUID | None = Field(default=None, foreign_key="pets.id", ondelete="CASCADE")
    token_ct: str = words()
    token_hash: bytes = Field(unique=True)
    last_read_at: datetime | None = timestamptz(default=None)
    revoked_at: datetime | None = timestamptz(default=None)
