"""What a keeper of master keys and secrets must do. Adapters: `file` (local stack), `aws` (KMS, Secrets Manager)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from core.errors import PetfolioError, Unavailable

Context = Mapping[str, str]
"""What a wrapped key is bound to: unwrapping needs exactly the same pairs (KMS: encryption context)."""

Stage = Literal["current", "previous"]


class KeysRefused(PetfolioError):
    """The keeper looked and said no: another context, an altered blob, a master key it does not have."""

    code = "keys_refused"


class KeysUnavailable(Unavailable):
    """The keeper could not be asked; the same call may succeed later."""

    code = "keys_unavailable"


class SecretMissing(PetfolioError):
    """No secret of this name and stage: `python -m workers setup` has not run."""

    code = "secret_missing"


class SecretChanged(PetfolioError):
    """Somebody else was quicker: what was read is no longer the current value. Read it again."""

    code = "secret_changed"
    retryable = True


@dataclass(frozen=True, slots=True)
class NewDataKey:
    """A fresh 32-byte key: once to use, once to store. `kek_id` names the master key that wrapped it."""

    secret: bytes = field(repr=False)
    wrapped: bytes
    kek_id: str


class KeyProvider(Protocol):
    """Master keys that never leave their keeper. Every method raises `KeysRefused` or `KeysUnavailable`."""

    async def generate_data_key(self, context: Context) -> NewDataKey:
        """A new data key, bound to `context`."""
        ...

    async def wrap(self, secret: bytes, context: Context) -> tuple[bytes, str]:
        """(wrapped, kek_id) of an existing data key under the newest master key."""
        ...

    async def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """The data key, whichever version of the master key wrapped it."""
        ...

    async def mac(self, data: bytes) -> bytes:
        """HMAC-SHA-256 under a key of its own that rotation of the master key does not change."""
        ...


class SecretStore(Protocol):
    """Secrets of the platform by name, with the former value kept through a rotation."""

    async def get(self, name: str, stage: Stage = "current") -> str:
        """The value. Raises `SecretMissing` or `KeysUnavailable`."""
        ...

    async def create(self, name: str, value: str) -> bool:
        """Store the first value; False, and nothing changed, when there is one already."""
        ...

    async def rotate(self, name: str, value: str, *, former: str) -> None:
        """Make `value` current and `former` previous. Raises `SecretChanged` unless `former` is the current value, and
        `SecretMissing`."""
        ...
