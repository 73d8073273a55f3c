"""What the flows behind mailed links share: one refusal for every token that is no good, and one pace for every answer
that must not tell whether an account exists."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import PetfolioError
from models.queries import users
from models.session import MailTokenKind
from models.user import User

PACE_SECONDS = 0.25
"""Longer than either way takes, so that the time of an answer does not tell a new address from a known one."""


class LinkRefused(PetfolioError):
    """400, the same for a used, expired, voided, unknown or truncated token, and one of another kind."""

    code = "invalid_mail_token"
    http_status = 400

    def __init__(self) -> None:
        super().__init__("The link is not valid, or no longer.")


@asynccontextmanager
async def even_pace() -> AsyncIterator[None]:
    """Whatever happens inside, it is not over sooner."""
    start = time.monotonic()
    yield
    await keep_pace(start)


async def keep_pace(start: float) -> None:
    """The same for what began then (`time.monotonic`), where only its end says whether it has to keep pace."""
    await asyncio.sleep(start + PACE_SECONDS - time.monotonic())


def token_hash(token: str) -> bytes:
    """What `mail_tokens.hash` holds of a token."""
    return hashlib.sha256(token.encode()).digest()


async def spend(session: AsyncSession, token: str, kind: MailTokenKind) -> User:
    """Use up a token: its owner, locked. Raises `LinkRefused`."""
    user = await users.use_mail_token(session, token_hash(token), kind)
    if user is None:
        raise LinkRefused
    return user
