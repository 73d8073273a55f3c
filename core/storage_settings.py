"""Where files are kept, how they are handed out, and who looks into them. Part of `core.settings`.

The S3 endpoint and its credentials are settings of their own (`s3_endpoint`, …); without them the SDK finds AWS and the
process' own role.
"""

from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator


class CloudFrontSettings(BaseModel, frozen=True):
    """The distribution in front of the media bucket. Without `domain` downloads come from S3 itself.

    `private_key`: PEM of an RSA key whose public half is in the distribution's trusted key group as `key_pair_id`.
    """

    domain: str | None = Field(default=None, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    key_pair_id: str | None = None
    private_key: SecretStr | None = None

    @field_validator("domain", "key_pair_id", "private_key", mode="before")
    @classmethod
    def blank_is_none(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return given or None

    @model_validator(mode="after")
    def whole(self) -> Self:
        """A distribution without a key would hand out URLs that nobody can use."""
        if self.domain and not (self.key_pair_id and self.private_key):
            raise ValueError("a CloudFront domain needs key_pair_id and private_key")
        return self


class StorageSettings(BaseModel, frozen=True):
    """Two buckets. `public_endpoint`: where browsers reach S3, if not at `s3_endpoint`; it is part of signatures.

    `encryption` is asked of S3 for each object; `kms_key_id`: of `aws:kms`, default the account's own key for S3.
    SeaweedFS knows `AES256` alone. `connections`: calls under way at once, per process.
    """

    quarantine_bucket: str = "petfolio-quarantine"
    media_bucket: str = "petfolio-media"
    public_endpoint: str | None = Field(default=None, pattern=r"^https?://[^/?#]+$")
    encryption: Literal["aws:kms", "AES256"] = "aws:kms"
    kms_key_id: str | None = None
    connections: int = Field(default=20, ge=1, le=200)
    cloudfront: CloudFrontSettings = CloudFrontSettings()

    @field_validator("public_endpoint", "kms_key_id", mode="before")
    @classmethod
    def blank_is_none(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return given or None


class ScanningSettings(BaseModel, frozen=True):
    """`clamd`: `host:port` of a ClamAV daemon that is asked besides our own rules. Its `StreamMaxLength` must be above
    the largest upload (210M)."""

    clamd: str | None = Field(default=None, pattern=r"^[^:/\s]+:\d{1,5}$")
    rules_seconds: int = Field(default=30, ge=1, le=300)
    clamd_seconds: int = Field(default=120, ge=1, le=600)

    @field_validator("clamd", mode="before")
    @classmethod
    def blank_is_none(cls, given: object) -> object:
        """Compose files pass on what is not set as an empty word."""
        return given or None
