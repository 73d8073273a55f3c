"""The one base of every refusal we can name.

    PetfolioError
    ├── raised beside the code that knows why: domain/, models/queries/, integrations/
    └── rendered in two places only: api/errors.py (problem+json) and temporal/interceptors.py (ApplicationError)

Nobody compares messages: `code` is the stable word for programs, `detail` the sentence for people. Neither may hold
personal data or echo input, because both reach logs and workflow histories.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field. `pointer` is a JSON pointer (RFC 6901) into the request body."""

    pointer: str
    code: str
    detail: str


class PetfolioError(Exception):
    """A refusal with a stable code.

    `retryable` says whether the same call may succeed later without anybody changing anything: it decides about
    Temporal retries and about `Retry-After`. `extra` is merged into the problem document (never personal data unless
    the caller may read it anyway).
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        errors: tuple[FieldProblem, ...] = (),
        extra: Mapping[str, object] | None = None,
        retry_after: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.extra = dict(extra or {})
        self.retry_after = retry_after
        self.problem_code = code or self.code


class Invalid(PetfolioError):
    """422: understood, and refused for what it says. `errors` names the fields."""

    code = "validation_failed"
    http_status = 422


class Malformed(PetfolioError):
    """400: not a request we can read at all."""

    code = "malformed_request"
    http_status = 400


class Unauthorized(PetfolioError):
    """401: no proof of who is asking, or one that no longer counts."""

    code = "unauthorized"
    http_status = 401


class Forbidden(PetfolioError):
    """403: the caller may see it and may not do this."""

    code = "forbidden"
    http_status = 403


class NotFound(PetfolioError):
    """404: it does not exist, or the caller may not know that it does."""

    code = "not_found"
    http_status = 404


class Conflict(PetfolioError):
    """409: the state of the thing does not allow it. The concrete code is given by whoever raises it."""

    code = "conflict"
    http_status = 409


class PreconditionFailed(PetfolioError):
    """412: somebody changed it since the ETag in `If-Match` was read."""

    code = "stale_etag"
    http_status = 412


class TooManyRequests(PetfolioError):
    """429: a limit of ours was reached. `retry_after` is in seconds."""

    code = "rate_limited"
    http_status = 429
    retryable = True


class Unavailable(PetfolioError):
    """503: something we depend on is away or full; the same request is welcome later."""

    code = "temporarily_unavailable"
    http_status = 503
    retryable = True
