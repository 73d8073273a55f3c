"""How S3 is asked, and what its refusals mean, once for all calls.

403 counts as "not now": a role or a clock of ours is wrong until somebody puts it right, and a file that waits is
better than one that is lost. The text of S3's error never gets further: it may hold a signature.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from core.errors import PetfolioError
from integrations.storage.protocol import ObjectChanged, ObjectMissing, Refused, StorageUnavailable

_T = TypeVar("_T")

_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404"})
# HEAD has no body, so its code is the status.
_CHANGED: Final = frozenset({"PreconditionFailed", "412", "InvalidRange", "416"})
# Damaged on the way, or too slow on it: the same bytes may arrive next time.
_AGAIN: Final = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "RequestTimeout", "OperationAborted", "SlowDown"})


def client_config(connections: int, *, path_style: bool) -> Config:
    """Time limits per connection and per read, no retries (Temporal's), and no checksums but those that we name."""
    return Config(
        signature_version="s3v4",
        retries={"total_max_attempts": 1},
        connect_timeout=2,
        read_timeout=10,
        max_pool_connections=connections,
        s3={"addressing_style": "path" if path_style else "virtual"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def asked(call: Callable[[], _T]) -> _T:
    """Its answer. Raises what the protocol names; what `call` raises by itself (a full disk) passes."""
    try:
        return call()
    except ClientError as error:
        raise _meaning(error) from None
    except (BotoCoreError, HTTPError) as error:
        # No connection, no credentials, or the answer broke off.
        raise StorageUnavailable(f"S3 did not answer: {type(error).__name__}") from None


def _meaning(error: ClientError) -> PetfolioError:
    details: dict[str, Any] = dict(error.response.get("Error", {}))
    metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    code, status = str(details.get("Code", "")), int(metadata.get("HTTPStatusCode", 0))
    if code in _MISSING:
        return ObjectMissing(f"S3: {code}")
    if code in _CHANGED:
        return ObjectChanged(f"S3: {code}")
    if code in _AGAIN or status in (403, 429) or status >= 500:
        return StorageUnavailable(f"S3: {code}", retry_after=_seconds(metadata))
    return Refused(f"S3: {code}")


def _seconds(metadata: dict[str, Any]) -> int | None:
    wait = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
    return int(wait) if wait.isdigit() else None
