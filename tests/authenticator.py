"""A WebAuthn authenticator and the browser around it, in software: ES256, attestation `none`, counting signatures.

Takes the options that our api answers and gives what `PublicKeyCredential.toJSON()` would. What a test wants to be
wrong (the origin, the relying party, the verification of the user) it says.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN, RP_ID = "http://localhost:8000", "localhost"
PRESENT, VERIFIED, SYNCABLE, SYNCED, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40

Json = dict[str, Any]


@dataclass
class Authenticator:
    """One discoverable credential. `count` is the signature counter; None: it has none, as synced passkeys."""

    origin: str = ORIGIN
    rp_id: str = RP_ID
    verifies: bool = True
    synced: bool = False
    count: int | None = 0
    user_handle: str | None = None
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))

    def create(self, options: Json) -> Json:
        """`navigator.credentials.create()`"""
        self.user_handle = options["user"]["id"]
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self._cose_key()
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._authenticator_data(ATTESTED) + attested}
        return self._credential(
            clientDataJSON=encode(self._client_data("webauthn.create", options)),
            attestationObject=encode(cbor2.dumps(attestation)),
            transports=["internal"],
        )

    def get(self, options: Json) -> Json:
        """`navigator.credentials.get()`"""
        if self.count is not None:
            self.count += 1
        client_data, data = self._client_data("webauthn.get", options), self._authenticator_data()
        signed = self.key.sign(data + hashlib.sha256(client_data).digest(), ECDSA(SHA256()))
        return self._credential(
            clientDataJSON=encode(client_data),
            authenticatorData=encode(data),
            signature=encode(signed),
            userHandle=self.user_handle,
        )

    def _credential(self, **response: Any) -> Json:
        name = encode(self.credential_id)
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }

    def _client_data(self, kind: str, options: Json) -> bytes:
        data = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(data).encode()

    def _authenticator_data(self, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0) | (SYNCABLE | SYNCED if self.synced else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + (self.count or 0).to_bytes(4, "big")

    def _cose_key(self) -> bytes:
        """RFC 9053 §7.1.1: kty EC2, alg ES256, crv P-256, x, y."""
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})


def encode(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
