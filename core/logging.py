"""Logs: one JSON object per line on standard output, with pseudonymous ids and never anything personal.

Our own code logs through `logger(__name__)` with an event and keywords; what libraries log through `logging` takes the
same road. Keys that could hold personal data or secrets are dropped on the way and named in `dropped`; texts lose what
looks like an address, a token or a password of a URL (reliability-and-privacy.md §8.3).
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import structlog
from pydantic import ValidationError
from structlog.types import FilteringBoundLogger, Processor

from core.errors import PetfolioError

Level = Literal["debug", "info", "warning", "error"]

_PERSONAL = (
    "email mail_address address phone title description name first_name last_name full_name note notes body subject"
)
_SECRET = "password passwd secret token access_token refresh_token authorization cookie api_key payload"  # noqa: S105
FORBIDDEN = frozenset(f"{_PERSONAL} {_SECRET}".split())
"""Keys whose values never reach a log, at any depth."""

_SECRETS = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # an e-mail address
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+"  # a JSON web token
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # user and password of a URL
    r"|(?<=token=)[^\s&\"']+"
)
_TEXT_LIMIT, _DEPTH_LIMIT, _FRAMES = 2_000, 4, 12
# httpx names whole addresses, and those of confirmations carry a token.
_NOISY = {"uvicorn.access": logging.ERROR} | dict.fromkeys(("botocore", "urllib3", "httpx"), logging.WARNING)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "temporal_log"}


def configure_logging(level: Level = "info", *, process: str) -> None:
    """Send everything this process says to standard output. First call of an entry point, after the zone data.

    `process` names the role in every line: `api`, `core`, `setup`.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_processors(process), orjson_line],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Bridge()], level=number, force=True)
    for name, quiet in _NOISY.items():
        logging.getLogger(name).setLevel(max(quiet, number))


def logger(name: str) -> FilteringBoundLogger:
    """The logger of a module: `logger(__name__).info("row_parked", outbox_id=…)`. Events are words, not sentences."""
    bound: FilteringBoundLogger = structlog.get_logger(module=name)
    return bound


def plain_line(event: str, *, process: str, **fields: str | float) -> None:
    """One line past the processors, for hot paths: a tenth of their 40 µs. Only for fields that are our own words,
    numbers and pseudonymous ids, because nothing is redacted."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = orjson.dumps({**fields, "event": event, "level": "info", "process": process, "at": at})
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _processors(process: str) -> list[Processor]:
    def common(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("level", method)
        event["process"] = process
        event["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        return event

    return [structlog.contextvars.merge_contextvars, common, explain_exception, redact]


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop forbidden keys at any depth, and blank what looks like an address or a secret inside a text."""
    dropped: list[str] = []
    clean = _clean_mapping(event, dropped, 0)
    if dropped:
        clean["dropped"] = sorted(set(dropped))
    return clean


def explain_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exc_info` becomes `error` (type and bounded text) and `frames` (file:line function), without local values."""
    exc_info = event.pop("exc_info", None)
    error = _error_of(exc_info)
    if error is not None:
        event["error"] = f"{type(error).__name__}: {describe(error)}"
        event["frames"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ][-_FRAMES:]
        if error.__cause__ is not None:
            event["caused_by"] = f"{type(error.__cause__).__name__}: {describe(error.__cause__)}"
    return event


def describe(error: BaseException, limit: int = 500) -> str:
    """What an error says, bounded and without personal data: for logs, `outbox.last_error` and workflow histories.

    Ours keep their sentence (it never echoes input); pydantic's would echo the input, so only place and kind are told.
    """
    if isinstance(error, PetfolioError):
        return f"{error.problem_code}: {error.detail}"[:limit]
    if isinstance(error, ValidationError):
        places = (f"{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in error.errors())
        return "; ".join(places)[:limit]
    return _SECRETS.sub("[redacted]", str(error)[: 4 * limit])[:limit]


def orjson_line(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    """The last processor: one line of JSON."""
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _error_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _clean_mapping(mapping: Mapping[Any, Any], dropped: list[str], depth: int) -> dict[Any, Any]:
    clean: dict[Any, Any] = {}
    for key, value in mapping.items():
        if isinstance(key, str) and key.lower() in FORBIDDEN:
            dropped.append(key)
        else:
            clean[key] = _clean(value, dropped, depth + 1)
    return clean


def _clean(value: Any, dropped: list[str], depth: int) -> Any:
    if isinstance(value, str):
        return _SECRETS.sub("[redacted]", value[:_TEXT_LIMIT])
    if isinstance(value, Mapping):
        return _clean_mapping(value, dropped, depth) if depth < _DEPTH_LIMIT else "{…}"
    if isinstance(value, list | tuple):
        return [_clean(item, dropped, depth + 1) for item in value] if depth < _DEPTH_LIMIT else "[…]"
    return value


class _Bridge(logging.Handler):
    """What libraries log, as the same lines. `extra=` becomes keys of the line."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
            log = structlog.get_logger(module=record.name)
            log.log(record.levelno, record.getMessage(), exc_info=record.exc_info, **extra)
        except Exception:  # the contract of logging.Handler: a log line never raises into its caller
            self.handleError(record)
