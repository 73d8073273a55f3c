"""Field encryption: every personal column is AES-256-GCM under its owner's key, bound to its row.

The text form is `v1.{kid}.{nonce}.{ciphertext}` (nonce and ciphertext base64url without padding). The additional data
is `table|column|row id|kid|v1`: a ciphertext moved to another row or column does not open
(identity-and-security.md §4.7).
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import PetfolioError

SubjectKind = Literal["user", "household", "system"]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose key protects something: a person, a household, or the platform itself (which has no id)."""

    kind: SubjectKind
    id: UUID | None = None

    @classmethod
    def user(cls, user_id: UUID) -> "Subject":
        """The key of one person: names, addresses, what only they wrote about themselves."""
        return cls("user", user_id)

    @classmethod
    def household(cls, household_id: UUID) -> "Subject":
        """The key of one household: its pets, records and reminders."""
        return cls("household", household_id)

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """The inverse of `str()`. Raises ValueError for anything else."""
        kind, _, rest = text.partition(":")
        if kind == "system" and not rest:
            return cls("system")
        if kind == "user":
            return cls("user", UUID(rest))
        if kind == "household":
            return cls("household", UUID(rest))
        raise ValueError("not a subject")

    def __str__(self) -> str:
        return self.kind if self.id is None else f"{self.kind}:{self.id}"


SYSTEM = Subject("system")


@dataclass(frozen=True, slots=True)
class DataKey:
    """An unwrapped key. `kid` is `{subject}:{version}`, e.g. `user:0190…:1`."""

    kid: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored. `kek_id` names the master key that wrapped it; destroyed keys have no `wrapped`."""

    kid: str
    subject: Subject
    version: int
    wrapped: bytes | None = field(repr=False)
    kek_id: str
    destroyed: bool = False


class KeySource(Protocol):
    """What encryption needs of the key store. Both methods raise `SubjectErased` only for a destroyed key."""

    async def current(self, subject: Subject) -> DataKey:
        """The key new ciphertexts of this subject are made with."""
        ...

    async def by_kid(self, kid: str) -> DataKey:
        """The key a stored ciphertext names."""
        ...


class SubjectErased(PetfolioError):
    """The key was destroyed at the owner's wish: what it protected cannot be read again, by anybody."""

    code = "subject_erased"
    http_status = 410


class CiphertextInvalid(PetfolioError):
    """A stored ciphertext does not open: it was altered, or moved to another row or column."""

    code = "ciphertext_invalid"


def derive(secret: bytes, purpose: str) -> bytes:
    """A 32-byte key of its own for each purpose (HKDF-SHA-256, RFC 5869), so that no key serves two."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)


def chain_hash(key: bytes, prev_hash: bytes, lines: Iterable[bytes]) -> bytes:
    """HMAC-SHA-256 over the hash before and every line, each with its length: no two stretches read the same."""
    chain = hmac.new(key, prev_hash, hashlib.sha256)
    for line in lines:
        chain.update(len(line).to_bytes(4, "big") + line)
    return chain.digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    # `base64.urlsafe_b64decode` takes four times as long, and a page of records has dozens of these.
    return binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))


class DerivedCiphers:
    """AES-256-GCM ciphers of one purpose. Deriving costs more than encrypting a short text, so they are kept."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._known: dict[str, tuple[bytes, AESGCM]] = {}

    def of(self, key: DataKey) -> AESGCM:
        """The cipher of `key`. The key store decides how long a key lives; here the derived form is kept only while
        the store still answers with the same secret."""
        known = self._known.get(key.kid)
        if known is None or known[0] != key.secret:
            if len(self._known) >= 10_000:
                self._known.clear()
            known = (key.secret, AESGCM(derive(key.secret, self._purpose)))
            self._known[key.kid] = known
        return known[1]


class FieldCipher:
    """Seals and opens personal columns. `column` is `table.column`; the row id exists before the insert."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._ciphers = DerivedCiphers("field")

    async def seal(self, subject: Subject, column: str, row_id: UUID, text: str) -> str:
        """The stored form of `text`. Raises `SubjectErased`."""
        key = await self._keys.current(subject)
        nonce = os.urandom(12)
        sealed = self._ciphers.of(key).encrypt(nonce, text.encode(), _aad(column, row_id, key.kid))
        return f"v1.{key.kid}.{_encode(nonce)}.{_encode(sealed)}"

    async def seal_optional(self, subject: Subject, column: str, row_id: UUID, text: str | None) -> str | None:
        """`seal`, with None staying None."""
        return None if text is None else await self.seal(subject, column, row_id, text)

    async def open(self, column: str, row_id: UUID, sealed: str) -> str:
        """The clear text. Raises `SubjectErased` and `CiphertextInvalid`."""
        try:
            version, kid, nonce, ciphertext = sealed.split(".")
            key = await self._keys.by_kid(kid)
            if version != "v1":
                raise ValueError(version)
            return (
                self._ciphers.of(key).decrypt(_decode(nonce), _decode(ciphertext), _aad(column, row_id, kid)).decode()
            )
        except (InvalidTag, ValueError) as error:
            raise CiphertextInvalid(f"{column} of {row_id} does not open") from error

    async def open_optional(self, column: str, row_id: UUID, sealed: str | None) -> str | None:
        """`open`, with None staying None."""
        return None if sealed is None else await self.open(column, row_id, sealed)


def _aad(column: str, row_id: UUID, kid: str) -> bytes:
    table, _, name = column.partition(".")
    return f"{table}|{name}|{row_id}|{kid}|v1".encode()
