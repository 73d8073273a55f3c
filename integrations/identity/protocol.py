"""What a sign-in provider must do, and what it may answer."""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from core.errors import PetfolioError, Unavailable
from domain.oauth import Provider


class ProviderUnavailable(Unavailable):
    """503: the provider does not answer, refuses us, or answers what nobody can read. Nothing about the person."""

    code = "provider_unavailable"


class IdentityRefused(PetfolioError):
    """400: the provider was asked, and what came back proves nothing. The same words for every reason; `why` is for
    the log."""

    code = "identity_refused"
    http_status = 400

    def __init__(self, why: str) -> None:
        super().__init__("The sign-in could not be confirmed. Please start again.")
        self.why = why


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was fixed before the browser was sent away; the end must match it. Provider words are RFC 6749's."""

    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Who somebody is elsewhere. `authoritative`: the provider asserts the address and speaks for it. Names are for
    display only: Apple's are not signed. `refresh_token` is what the provider wants back when the grant ends."""

    issuer: str
    subject: str
    email: str | None = field(default=None, repr=False)
    email_verified: bool = False
    authoritative: bool = False
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


class IdentityProvider(Protocol):
    """One vendor. `form_post`: the browser comes back with a cross-site POST instead of a GET."""

    name: ClassVar[Provider]
    form_post: ClassVar[bool]
    issuer: str

    def authorize_url(self, attempt: Attempt) -> str:
        """Where to send the browser."""
        ...

    async def identify(self, attempt: Attempt, code: str, user: str | None = None) -> ExternalIdentity:
        """Who consented. `user` is the unsigned JSON that Apple posts once. Raises `IdentityRefused` for a code or a
        token that is no good, `ProviderUnavailable`."""
        ...

    async def revoke(self, identity: ExternalIdentity) -> None:
        """End the grant there; that it had ended already is success. Does nothing where nothing is kept that could be
        ended. Raises `ProviderUnavailable`."""
        ...
