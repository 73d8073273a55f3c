"""Encrypts every payload that goes to Temporal: AES-256-GCM under the key of whom the workflow is about.

Which key: on encode from the workflow id in the serialization context, on decode from `kid` in the metadata, because
the context is missing or another one for the codec server. Ids, type names, queues and search attributes stay clear,
so they never hold anything personal.

A history holds thousands of payloads of a hundred bytes, so they are packed before they are sealed, and their keys are
named in bytes: half of what a fire of a reminder leaves behind would be envelope otherwise.
"""

import os
import zlib
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext
from temporalio.exceptions import ApplicationError

from core.crypto import CiphertextInvalid, DerivedCiphers, KeySource, SubjectErased
from temporal.ids import subject_of

ENCRYPTED: Final = b"binary/encrypted"
ERASED: Final = Payload(metadata={"encoding": b"json/plain"}, data=b'"erased"')
"""What a reader sees instead of a payload whose key was destroyed."""
_NONCE, _LONGEST_VERSION = 12, 9
_SCOPES: Final = {"system": b"\1", "user": b"\2", "household": b"\3"}
_WORDS: Final = (
    b'{"user_id":"","household_id":"","seq":1,"announced":1,"loaded":1,"plan":'
    b'{"at":"2026-01-01T08:00:00Z","occurrence":"2026-01-01T08:00","step":"due","state":"active","pet_id":"01"}'
    b"\n\x16\n\x08encoding\x12\njson/plain\x12\x87\x01"
    b'{"reminder_id":"01","now":"2026-01-01T08:00:00.1Z","occurrence":"2026-01-01T08:00","step":"due"}'
)
"""What payloads are made of, for the packer. Never changed: what was packed with it opens with nothing else."""


class PayloadsErased(ApplicationError):
    """The owner's key was destroyed. Not retryable, so that a worker gives up on a workflow nobody can continue.

    Raised for a destroyed key alone: anything else that goes wrong is a plain exception, which makes the server try
    the task again. A misclassified outage of the key database would end workflows for good.
    """

    def __init__(self) -> None:
        super().__init__("the key was destroyed", type=SubjectErased.code, non_retryable=True)


class SubjectCodec(PayloadCodec, WithSerializationContext):
    """`readable`: a client or the codec server, to which erased payloads are shown as `ERASED`. A worker must not get
    that: a replay would silently run with it."""

    def __init__(
        self,
        keys: KeySource,
        *,
        readable: bool = False,
        context: SerializationContext | None = None,
        ciphers: DerivedCiphers | None = None,
    ) -> None:
        self._keys, self._readable = keys, readable
        self._workflow_id: str | None = getattr(context, "workflow_id", None)
        self._ciphers = ciphers or DerivedCiphers("payload")

    def with_context(self, context: SerializationContext) -> "SubjectCodec":
        """The same codec for the payloads of one workflow."""
        return SubjectCodec(self._keys, readable=self._readable, context=context, ciphers=self._ciphers)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `PayloadsErased`, `UnknownWorkflowId`, and what the key store raises. Nothing to say needs no key."""
        if not payloads:
            return []
        try:
            key = await self._keys.current(subject_of(self._workflow_id))
        except SubjectErased as error:
            raise PayloadsErased from error
        cipher = self._ciphers.of(key)
        return [_seal(payload, key.kid, cipher) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Payloads that are not ours pass unchanged. Raises `PayloadsErased` (unless readable), `CiphertextInvalid`."""
        return [
            await self._open(payload) if payload.metadata.get("encoding") == ENCRYPTED else payload
            for payload in payloads
        ]

    async def _open(self, payload: Payload) -> Payload:
        kid = _kid(payload)
        if kid is None:
            raise CiphertextInvalid("a payload names no key of ours")
        try:
            key = await self._keys.by_kid(kid)
        except SubjectErased as error:
            if self._readable:
                return ERASED
            raise PayloadsErased from error
        try:
            plain = self._ciphers.of(key).decrypt(payload.data[:_NONCE], payload.data[_NONCE:], kid.encode())
            return Payload.FromString(zlib.decompressobj(-zlib.MAX_WBITS, zdict=_WORDS).decompress(plain))
        except (InvalidTag, ValueError, zlib.error, DecodeError) as error:
            raise CiphertextInvalid("a payload does not open under the key it names") from error


def owner(payload: Payload) -> str | None:
    """Whose key a sealed payload names, e.g. `user:0190…`; None for one that is not sealed by us."""
    kid = _kid(payload)
    return kid and kid.rpartition(":")[0]


def _seal(payload: Payload, kid: str, cipher: AESGCM) -> Payload:
    packer, nonce = zlib.compressobj(wbits=-zlib.MAX_WBITS, zdict=_WORDS), os.urandom(_NONCE)
    packed = packer.compress(payload.SerializeToString()) + packer.flush()
    return Payload(
        metadata={"encoding": ENCRYPTED, "kid": _short(kid)}, data=nonce + cipher.encrypt(nonce, packed, kid.encode())
    )


def _short(kid: str) -> bytes:
    """`household:0190…:1` as a byte for the scope, sixteen for the id, and the version."""
    scope, *owner_id, version = kid.split(":")
    return _SCOPES[scope] + b"".join(UUID(each).bytes for each in owner_id) + version.encode()


def _kid(payload: Payload) -> str | None:
    """The key's name as the key store knows it; None for what is no name of ours."""
    short = payload.metadata.get("kid", b"")
    scope = next((scope for scope, byte in _SCOPES.items() if short.startswith(byte)), None)
    end = 1 if scope == "system" else 17
    version = short[end:]
    if scope is None or not version.isdigit() or len(version) > _LONGEST_VERSION:
        return None
    owner_id = [str(UUID(bytes=short[1:end]))] if end > 1 else []
    return ":".join((scope, *owner_id, version.decode()))
