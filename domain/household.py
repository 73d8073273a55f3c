"""Rules of sharing a household: who must stay, how long offers stand, and what may be said to strangers in our name."""

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from core.errors import Conflict
from domain.access import Role

INVITATION_LASTS: Final = timedelta(days=7)
TRANSFER_LASTS: Final = timedelta(days=14)
MAX_HOUSEHOLDS: Final = 20
"""That one person belongs to: a home, parents, a rescue station, and room to spare."""
MAX_MEMBERS: Final = 50
"""Of one household, open invitations counted."""
MAX_OPEN_INVITATIONS: Final = 20
MAX_MAILINGS: Final = 5
"""Of one invitation: whoever has not found five mails does not want a sixth."""
MAX_OPEN_TRANSFERS: Final = 20
_LINK: Final = re.compile(r"\w\.\w|://|@")


class LastOwner(Conflict):
    """409: somebody has to own the household. Make another member an owner first."""

    code = "last_owner"


class NotEmpty(Conflict):
    """409: pets live in the household or are on their way, or others belong to it."""

    code = "household_not_empty"


def check_owner_remains(owners: Collection[UUID], leaving: UUID) -> None:
    """Raises `LastOwner` where this person is the only one of the `owners` who can still sign in."""
    if set(owners) == {leaving}:
        raise LastOwner("This is the only owner: make another member an owner first, or delete the household.")


def raises_role(present: Role | None, offered: Role) -> bool:
    """Whether an invitation changes what somebody is in the household. It makes a caretaker an owner, never an owner a
    caretaker."""
    return present is None or (present is Role.CARETAKER and offered is Role.OWNER)


def speakable(name: str | None) -> str | None:
    """A name that may stand in a mail to somebody who has no account with us; None for what could pass for a link,
    because our mails would carry it into any mailbox."""
    return None if name is None or _LINK.search(name) else name
