"""How S3 encrypts what it stores, as its calls and its upload forms say it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Encryption:
    """At rest, by S3: `aws:kms` with a key (None: the account's for S3), or `AES256`."""

    mode: str
    kms_key_id: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Of boto3's calls."""
        key = {"SSEKMSKeyId": self.kms_key_id} if self.kms_key_id else {}
        return {"ServerSideEncryption": self.mode, **key}

    def fields(self) -> dict[str, str]:
        """Of an upload form."""
        key = {"x-amz-server-side-encryption-aws-kms-key-id": self.kms_key_id} if self.kms_key_id else {}
        return {"x-amz-server-side-encryption": self.mode, **key}
