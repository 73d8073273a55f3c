"""WebAuthn ceremonies (WebAuthn L3 §7): what a browser is asked for, and whether its answer holds.

Every challenge is made for one purpose (its `scope`), is found again by a hash of both, and is spent before anything
about the answer is believed.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import webauthn
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes, options_to_json_dict, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from api.identity import Identity
from domain.mfa import CHALLENGE_LIFETIME
from models.mfa import ChallengeKind, Passkey
from models.queries import auth_challenges

SIGN_IN: Final = "sign-in"
RP_NAME: Final = "Petfolio"
_TIMEOUT_MS: Final = int(CHALLENGE_LIFETIME.total_seconds() * 1000)

Credential = Mapping[str, Any]
"""What `PublicKeyCredential.toJSON()` gives, its members known to be texts in base64url."""


def registration_of(user_id: UUID) -> str:
    """The scope of adding a passkey to an account."""
    return f"registration/{user_id}"


def step_up_of(session_id: UUID) -> str:
    """The scope of proving anew, within a session, who holds it."""
    return f"step-up/{session_id}"


async def creation_options(identity: Identity, user_id: UUID, address: str, known: Sequence[Passkey]) -> dict[str, Any]:
    """For `navigator.credentials.create()`: a discoverable passkey on an authenticator that holds none of `known`."""
    options = webauthn.generate_registration_options(
        rp_id=identity.settings.rp_id,
        rp_name=RP_NAME,
        user_id=user_id.bytes,
        user_name=address,
        challenge=await _challenge(identity, registration_of(user_id), user_id),
        timeout=_TIMEOUT_MS,
        exclude_credentials=_descriptors(known),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )
    return options_to_json_dict(options)


async def request_options(
    identity: Identity, scope: str, user_id: UUID | None = None, known: Sequence[Passkey] = ()
) -> dict[str, Any]:
    """For `navigator.credentials.get()`. A person we know by another proof is asked for one of theirs; a stranger for
    any, and then it has to say that it has verified them."""
    verification = UserVerificationRequirement.PREFERRED if user_id else UserVerificationRequirement.REQUIRED
    options = webauthn.generate_authentication_options(
        rp_id=identity.settings.rp_id,
        challenge=await _challenge(identity, scope, user_id),
        timeout=_TIMEOUT_MS,
        allow_credentials=_descriptors(known),
        user_verification=verification,
    )
    return options_to_json_dict(options)


async def spend_challenge(identity: Identity, scope: str, credential: Credential) -> bytes | None:
    """The challenge that this answers, if it was made for `scope` and is used for the first time."""
    try:
        data = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    except Exception:  # a stranger's JSON: whatever it breaks in the parser answers no challenge
        return None
    async with identity.db.sessions.begin() as session:
        used = await auth_challenges.use(session, ChallengeKind.WEBAUTHN, _key(scope, data.challenge))
    return data.challenge if used else None


def verified_registration(identity: Identity, challenge: bytes, credential: Credential) -> VerifiedRegistration | None:
    """The new credential, if this answers the challenge for us, from an origin of ours."""
    try:
        return webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=identity.settings.rp_id,
            expected_origin=list(identity.settings.origins),
        )
    except Exception:  # bytes of a stranger, through CBOR, COSE and X.509: whatever they break is not a passkey
        return None


def verified_assertion(
    identity: Identity, challenge: bytes, credential: Credential, passkey: Passkey, *, user_verified: bool
) -> VerifiedAuthentication | None:
    """The assertion, if the passkey signed this challenge for us, from an origin of ours. Its counter is not judged."""
    try:
        return webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=identity.settings.rp_id,
            expected_origin=list(identity.settings.origins),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=user_verified,
        )
    except Exception:  # as above
        return None


def credential_id(credential: Credential) -> bytes:
    """Which credential answers; empty when it says nothing readable."""
    return _bytes(credential["id"])


def user_handle(credential: Credential) -> bytes | None:
    """Whose the authenticator says that it is; None when it does not say."""
    handle = credential["response"].get("userHandle")
    return None if handle is None else _bytes(handle)


async def _challenge(identity: Identity, scope: str, user_id: UUID | None) -> bytes:
    challenge = secrets.token_bytes(32)
    async with identity.db.sessions.begin() as session:
        await auth_challenges.begin(
            session, ChallengeKind.WEBAUTHN, _key(scope, challenge), CHALLENGE_LIFETIME, user_id=user_id
        )
    return challenge


def _key(scope: str, challenge: bytes) -> bytes:
    return hashlib.sha256(scope.encode() + b"\0" + challenge).digest()


def _descriptors(known: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=passkey.credential_id, transports=[AuthenticatorTransport(each) for each in passkey.transports] or None
        )
        for passkey in known
    ]


def _bytes(text: str) -> bytes:
    try:
        return base64url_to_bytes(text)
    except ValueError:
        return b""
