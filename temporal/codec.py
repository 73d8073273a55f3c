"""Encrypts every payload that goes to Temporal: AES-256-GCM under the key of whom the workflow is about.

Which key: on encode from the workflow id in the serialization context, on decode from `kid` in the metadata, because
the context is missing or another one for the codec server. Ids, type names, queues and search attributes stay clear,
so they never hold anything personal.
"""

import os
import re
from collections.abc import Sequence
from typing import Final

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
_KID = re.compile(r"(system|(user|household):[0-9a-f-]{36}):[0-9]{1,9}")
_NONCE = 12


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
        cipher, kid = self._ciphers.of(key), key.kid.encode()
        return [_seal(payload, kid, cipher) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Payloads that are not ours pass unchanged. Raises `PayloadsErased` (unless readable), `CiphertextInvalid`."""
        return [
            await self._open(payload) if payload.metadata.get("encoding") == ENCRYPTED else payload
            for payload in payloads
        ]

    async def _open(self, payload: Payload) -> Payload:
        kid = payload.metadata.get("kid", b"").decode("ascii", "replace")
        if not _KID.fullmatch(kid):
            raise CiphertextInvalid("a payload names no key of ours")
        try:
            key = await self._keys.by_kid(kid)
        except SubjectErased as error:
            if self._readable:
                return ERASED
            raise PayloadsErased from error
        try:
            plain = self._ciphers.of(key).decrypt(payload.data[:_NONCE], payload.data[_NONCE:], kid.encode())
            return Payload.FromString(plain)
        except (InvalidTag, ValueError, DecodeError) as error:
            raise CiphertextInvalid("a payload does not open under the key it names") from error


def owner(payload: Payload) -> str | None:
    """Whose key a sealed payload names, e.g. `user:0190…`; None for one that is not sealed by us."""
    kid = payload.metadata.get("kid", b"").decode("ascii", "replace")
    return kid.rpartition(":")[0] if _KID.fullmatch(kid) else None


def _seal(payload: Payload, kid: bytes, cipher: AESGCM) -> Payload:
    nonce = os.urandom(_NONCE)
    sealed = cipher.encrypt(nonce, payload.SerializeToString(), kid)
    return Payload(metadata={"encoding": ENCRYPTED, "kid": kid}, data=nonce + sealed)
