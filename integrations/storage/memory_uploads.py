"""What the store in memory has signed, and what arrives in parts."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from integrations.storage.protocol import Part, Refused


@dataclass(frozen=True, slots=True)
class Grant:
    """What the bearer of a signature may do, and until when."""

    what: str
    key: str
    expires_at: datetime
    size: int = 0
    content_type: str = ""
    sha256: str = ""
    disposition: str = ""
    upload_id: str = ""
    number: int = 0


@dataclass(slots=True)
class Grants:
    """A signature is an unguessable word here."""

    _given: dict[str, Grant] = field(default_factory=dict)

    def given(self, grant: Grant) -> str:
        """The URL, or the signed part of a form."""
        url = f"memory:{secrets.token_urlsafe(16)}"
        self._given[url] = grant
        return url

    def taken(self, what: str, url: str, now: datetime) -> Grant:
        """What it allows. Raises `Refused` for one that was tampered with, has expired, or is for something else."""
        grant = self._given.get(url)
        if grant is None or grant.what != what or now >= grant.expires_at:
            raise Refused("the signature does not allow that")
        return grant


@dataclass(slots=True)
class Upload:
    """An open multipart upload."""

    key: str
    content_type: str
    started_at: datetime
    _parts: dict[int, bytes] = field(default_factory=dict)

    def add(self, number: int, body: bytes) -> str:
        """Keep a part, in place of an earlier one of this number; its ETag."""
        self._parts[number] = body
        return _etag(body)

    def listed(self) -> list[Part]:
        """As `ObjectStorage.parts`."""
        return [Part(number, _etag(body), len(body)) for number, body in sorted(self._parts.items())]

    def joined(self, parts: Sequence[Part]) -> bytes:
        """The content. Raises `Refused` for none, for parts that are not here, and for another order."""
        numbers = [part.number for part in parts]
        if not numbers or numbers != sorted(set(numbers)):
            raise Refused("parts come once each, by number")
        if any(_etag(self._parts.get(part.number, b"")) != part.etag for part in parts):
            raise Refused("a part is not here")
        return b"".join(self._parts[number] for number in numbers)


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
