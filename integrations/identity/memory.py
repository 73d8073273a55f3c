"""A provider in memory, which keeps the same promise. For tests."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urlencode

from domain.oauth import Provider
from integrations.identity.protocol import Attempt, ExternalIdentity, IdentityRefused, ProviderUnavailable


@dataclass(slots=True)
class MemoryProvider:
    """`consent` is what a person's click does; `revoked` are the subjects whose grant was ended."""

    name: ClassVar[Provider] = Provider.GOOGLE
    form_post: ClassVar[bool] = False

    issuer: str = "https://memory.test"
    revoked: set[str] = field(default_factory=set)
    _away: bool = False
    _codes: dict[str, tuple[Attempt, ExternalIdentity]] = field(default_factory=dict)

    def authorize_url(self, attempt: Attempt) -> str:
        """As the protocol says."""
        return f"{self.issuer}/authorize?{urlencode({'state': attempt.state, 'redirect_uri': attempt.redirect_uri})}"

    def consent(self, attempt: Attempt, identity: ExternalIdentity) -> str:
        """The code that the browser brings back."""
        code = secrets.token_urlsafe()
        self._codes[code] = (attempt, identity)
        return code

    async def identify(self, attempt: Attempt, code: str, user: str | None = None) -> ExternalIdentity:
        """As the protocol says."""
        if self._away:
            raise ProviderUnavailable("away on purpose")
        begun, identity = self._codes.pop(code, (None, None))
        if begun != attempt or identity is None:
            raise IdentityRefused("code")
        return identity

    async def revoke(self, identity: ExternalIdentity) -> None:
        """As the protocol says."""
        if self._away:
            raise ProviderUnavailable("away on purpose")
        self.revoked.add(identity.subject)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers meanwhile."""
        self._away = True
        yield
        self._away = False
