"""Bodies of `/auth/mfa` and `/auth/passkeys`. Members in camelCase are those of WebAuthn L3 §5.1.8-5.1.10: what
`PublicKeyCredential.toJSON()` gives and `parseCreationOptionsFromJSON()` takes, as it is."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.challenges import scope_of
from api.proofs import Assertion, Proof, RecoveryCode, TotpCode
from api.schemas.auth import Name, Password, Token
from domain.mfa import MAX_PASSKEYS, RECOVERY_CODES

Base64Url = Annotated[str, StringConstraints(max_length=16_384, pattern=r"^[A-Za-z0-9_-]*$")]
Code = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9]{3} ?[0-9]{3}$")]
PaperCode = Annotated[str, StringConstraints(min_length=16, max_length=40)]
Transport = Literal["usb", "nfc", "ble", "smart-card", "internal", "cable", "hybrid"]

_ID = "ZGV2aWNlLTE"
_CLIENT_DATA = "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _FromBrowser(BaseModel):
    """Browsers add members over time: unknown ones are ignored."""

    model_config = ConfigDict(frozen=True)


class AssertionResponse(_FromBrowser):
    """`AuthenticatorAssertionResponseJSON`."""

    client_data: Base64Url = Field(alias="clientDataJSON")
    authenticator_data: Base64Url = Field(alias="authenticatorData")
    signature: Base64Url
    user_handle: Base64Url | None = Field(default=None, alias="userHandle")


class AssertionIn(_FromBrowser):
    """`AuthenticationResponseJSON`: what a passkey signed."""

    id: Base64Url
    raw_id: Base64Url = Field(alias="rawId")
    type: Literal["public-key"]
    response: AssertionResponse

    def credential(self) -> dict[str, Any]:
        """In the browser's own words."""
        return self.model_dump(by_alias=True)


class AttestationResponse(_FromBrowser):
    """`AuthenticatorAttestationResponseJSON`."""

    client_data: Base64Url = Field(alias="clientDataJSON")
    attestation_object: Base64Url = Field(alias="attestationObject")
    transports: Annotated[list[Transport], Field(max_length=10)] = []


class AttestationIn(_FromBrowser):
    """`RegistrationResponseJSON`: a passkey that was just made."""

    id: Base64Url
    raw_id: Base64Url = Field(alias="rawId")
    type: Literal["public-key"]
    response: AttestationResponse

    def credential(self) -> dict[str, Any]:
        """In the browser's own words."""
        return self.model_dump(by_alias=True)


class ChallengeOut(BaseModel):
    """The first factor was right. `challenge` is good for one sign-in and five attempts; `expires_in` is in seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"challenge": "Zk1v…", "methods": ["totp", "passkey", "recovery_code"], "expires_in": 300}]
        }
    )

    challenge: str
    methods: list[Literal["totp", "passkey", "recovery_code"]]
    expires_in: int


class ChallengeAnswerIn(_In):
    """The challenge, and exactly one proof: `code` of the app, a `recovery_code`, or what a `passkey` signed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"challenge": "Zk1v…", "code": "123456"}]})

    challenge: Token
    code: Code | None = None
    recovery_code: PaperCode | None = None
    passkey: AssertionIn | None = None

    @model_validator(mode="after")
    def one_proof(self) -> "ChallengeAnswerIn":
        """Raises a validation error of code `one_proof`."""
        if sum(given is not None for given in (self.code, self.recovery_code, self.passkey)) != 1:
            raise PydanticCustomError("one_proof", "send one of code, recovery_code and passkey")
        return self

    def proof(self) -> Proof:
        """The one that was given."""
        if self.code is not None:
            return TotpCode(self.code.replace(" ", ""))
        if self.recovery_code is not None:
            return RecoveryCode(self.recovery_code)
        assert self.passkey is not None  # noqa: S101 - one of three, says the validator
        return Assertion(self.passkey.credential(), scope_of(self.challenge))


class ChallengeIn(_In):
    """The challenge that signing in answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"challenge": "Zk1v…"}]})

    challenge: Token


class SecondFactorsOut(BaseModel):
    """What protects the account beside its password. `totp_confirmed_at` is null without an authenticator app."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [{"totp_confirmed_at": "2026-11-23T08:00:00Z", "passkeys": 1, "recovery_codes_left": 9}]
        },
    )

    totp_confirmed_at: datetime | None
    passkeys: int
    recovery_codes_left: int


class TotpOut(BaseModel):
    """Shown this once: for the app to scan (`uri`, as a picture in `qr_svg`) or to be typed (`secret`)."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
                    "uri": "otpauth://totp/Petfolio:ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Petfolio",
                    "qr_svg": '<svg xmlns="http://www.w3.org/2000/svg" width="180" height="180">…</svg>',
                }
            ]
        },
    )

    secret: str
    uri: str
    qr_svg: str


class CodeIn(_In):
    """The six digits that the app shows now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "123456"}]})

    code: Code


class RemovalIn(_In):
    """`new_password`: 15 characters or more; needed when the last factor goes and the present one is shorter."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"new_password": "correct horse battery"}, {}]})

    new_password: Password | None = None


class RecoveryCodesOut(BaseModel):
    """Ten codes, shown this once. Each is good for one sign-in; capitals and dashes do not matter."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"codes": ["MFRG-GZDF-MZTW-Q2LK"] * RECOVERY_CODES}]})

    codes: list[str]


class RequestOptionsOut(BaseModel):
    """`PublicKeyCredentialRequestOptionsJSON`, for `navigator.credentials.get()`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "challenge": "q83vEjRWeJA",
                    "timeout": 300_000,
                    "rpId": "petfolio.example",
                    "allowCredentials": [{"id": _ID, "type": "public-key", "transports": ["internal"]}],
                    "userVerification": "preferred",
                }
            ]
        }
    )

    challenge: str
    timeout: int
    rpId: str
    allowCredentials: list[dict[str, Any]]
    userVerification: str


class CreationOptionsOut(BaseModel):
    """`PublicKeyCredentialCreationOptionsJSON`, for `navigator.credentials.create()`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rp": {"id": "petfolio.example", "name": "Petfolio"},
                    "user": {
                        "id": "AZqvPgAAcACAAAAAAAAAAg",
                        "name": "ada@example.com",
                        "displayName": "ada@example.com",
                    },
                    "challenge": "q83vEjRWeJA",
                    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
                    "timeout": 300_000,
                    "excludeCredentials": [],
                    "authenticatorSelection": {
                        "residentKey": "required",
                        "requireResidentKey": True,
                        "userVerification": "preferred",
                    },
                    "attestation": "none",
                }
            ]
        }
    )

    rp: dict[str, str]
    user: dict[str, str]
    challenge: str
    pubKeyCredParams: list[dict[str, Any]]
    timeout: int
    excludeCredentials: list[dict[str, Any]]
    authenticatorSelection: dict[str, Any]
    attestation: str


class PasskeyIn(_In):
    """What the browser made of the options, and what its owner calls it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "My phone",
                    "credential": {
                        "id": _ID,
                        "rawId": _ID,
                        "type": "public-key",
                        "response": {
                            "clientDataJSON": _CLIENT_DATA,
                            "attestationObject": "o2NmbXRkbm9uZQ",
                            "transports": ["internal"],
                        },
                    },
                }
            ]
        }
    )

    credential: AttestationIn
    name: Name | None = None


class PasskeyNameIn(_In):
    """null: without a name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "My phone"}]})

    name: Name | None


class PasskeySignInIn(_In):
    """What a passkey signed for the options of `POST /auth/passkeys/options`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "credential": {
                        "id": _ID,
                        "rawId": _ID,
                        "type": "public-key",
                        "response": {
                            "clientDataJSON": _CLIENT_DATA,
                            "authenticatorData": "SZYN5YgO",
                            "signature": "MEUCIQ",
                            "userHandle": "AZqvPgAAcACAAAAAAAAAAg",
                        },
                    }
                }
            ]
        }
    )

    credential: AssertionIn


class PasskeyOut(BaseModel):
    """`backed_up`: it can be restored on another device."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019aaf3e-0000-7000-8000-000000000040",
                    "name": "My phone",
                    "backed_up": True,
                    "transports": ["internal", "hybrid"],
                    "created_at": "2026-11-23T08:00:00Z",
                    "last_used_at": None,
                }
            ]
        }
    )

    id: UUID
    name: str | None
    backed_up: bool
    transports: list[str]
    created_at: datetime
    last_used_at: datetime | None


class PasskeysOut(BaseModel):
    """The first one first."""

    items: Annotated[list[PasskeyOut], Field(max_length=MAX_PASSKEYS)]
