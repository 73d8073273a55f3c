"""AWS KMS and Secrets Manager behind the Protocols. The SDK blocks, so each call runs in a thread; its retries are off
because our callers retry."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from uuid import NAMESPACE_OID, uuid5

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import PetfolioError
from integrations.keys.protocols import (
    Context,
    KeysRefused,
    KeysUnavailable,
    NewDataKey,
    SecretChanged,
    SecretMissing,
    Stage,
)

if TYPE_CHECKING:
    from types_boto3_kms import KMSClient
    from types_boto3_secretsmanager import SecretsManagerClient

CLIENT_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
"""Every client handed to these adapters is made with it."""


class _SecretExists(PetfolioError):
    """`create` or `rotate` came second."""


_REFUSALS: dict[str, type[PetfolioError]] = {
    "InvalidCiphertextException": KeysRefused,
    "IncorrectKeyException": KeysRefused,
    "InvalidKeyUsageException": KeysRefused,
    "NotFoundException": KeysRefused,
    "AccessDeniedException": KeysRefused,
    "ResourceNotFoundException": SecretMissing,
    "ResourceExistsException": _SecretExists,
}
_STAGES: dict[Stage, str] = {"current": "AWSCURRENT", "previous": "AWSPREVIOUS"}
_T = TypeVar("_T")


async def _ask(call: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(call)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise _REFUSALS.get(code, KeysUnavailable)(f"AWS answered {code}") from error
    except BotoCoreError as error:
        raise KeysUnavailable("AWS did not answer") from error


class KmsKeyProvider:
    """`KeyProvider` over one symmetric KMS key (it keeps its former versions) and one HMAC key."""

    def __init__(self, client: "KMSClient", *, key_id: str, mac_key_id: str) -> None:
        self._client, self._key_id, self._mac_key_id = client, key_id, mac_key_id

    async def generate_data_key(self, context: Context) -> NewDataKey:
        """See `KeyProvider`. KMS `GenerateDataKey`, AES_256."""
        answer = await _ask(
            lambda: self._client.generate_data_key(
                KeyId=self._key_id, KeySpec="AES_256", EncryptionContext=dict(context)
            )
        )
        return NewDataKey(answer["Plaintext"], answer["CiphertextBlob"], answer["KeyId"])

    async def wrap(self, secret: bytes, context: Context) -> tuple[bytes, str]:
        """See `KeyProvider`. KMS `Encrypt`."""
        answer = await _ask(
            lambda: self._client.encrypt(KeyId=self._key_id, Plaintext=secret, EncryptionContext=dict(context))
        )
        return answer["CiphertextBlob"], answer["KeyId"]

    async def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """See `KeyProvider`. KMS `Decrypt`; the blob names its master key and version."""
        answer = await _ask(lambda: self._client.decrypt(CiphertextBlob=wrapped, EncryptionContext=dict(context)))
        return answer["Plaintext"]

    async def mac(self, data: bytes) -> bytes:
        """See `KeyProvider`. KMS `GenerateMac` takes at most 4096 bytes."""
        answer = await _ask(
            lambda: self._client.generate_mac(KeyId=self._mac_key_id, MacAlgorithm="HMAC_SHA_256", Message=data)
        )
        return answer["Mac"]


class SecretsManagerStore:
    """`SecretStore` over AWS Secrets Manager; names get the prefix `petfolio/`."""

    def __init__(self, client: "SecretsManagerClient", *, prefix: str = "petfolio/") -> None:
        self._client, self._prefix = client, prefix

    async def get(self, name: str, stage: Stage = "current") -> str:
        """See `SecretStore`."""
        answer = await _ask(
            lambda: self._client.get_secret_value(SecretId=self._prefix + name, VersionStage=_STAGES[stage])
        )
        return answer["SecretString"]

    async def create(self, name: str, value: str) -> bool:
        """See `SecretStore`."""
        try:
            await _ask(lambda: self._client.create_secret(Name=self._prefix + name, SecretString=value))
        except _SecretExists:
            return False
        return True

    async def rotate(self, name: str, value: str, *, former: str) -> None:
        """See `SecretStore`. A new version takes AWSCURRENT and moves AWSPREVIOUS by itself.

        The version's id follows from what it replaces, and AWS refuses other contents for an id that is taken: of two
        writers who read the same, one is told.
        """
        token = str(uuid5(NAMESPACE_OID, former))
        try:
            await _ask(
                lambda: self._client.put_secret_value(
                    SecretId=self._prefix + name, SecretString=value, ClientRequestToken=token
                )
            )
        except _SecretExists as error:
            raise SecretChanged(f"the secret {name!r} was rotated meanwhile") from error
