"""Calls to providers: HTTPS within bounds, JSON objects only, and statuses that are classified once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from integrations.identity.protocol import ProviderUnavailable

TIMEOUT: Final = httpx.Timeout(10, connect=2, pool=2)
"""identity-and-security.md §4.5. The caller bounds the sum of all calls."""
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """A status below 500 and the JSON object that came with it; empty where there was none."""

    status: int
    document: Mapping[str, Any] = field(repr=False)

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300


def client() -> httpx.AsyncClient:
    """For all adapters of a process. A redirect is an answer like any other: no provider sends one here."""
    return httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False)


async def call(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    bearer: str | None = None,
) -> Reply:
    """One call. Raises `ProviderUnavailable`, whose text names neither address nor content."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    found = bytearray()
    try:
        async with http.stream(method, url, data=form, params=query, headers=headers) as answer:
            async for chunk in answer.aiter_bytes():
                found += chunk
                if len(found) > _LARGEST:
                    raise ProviderUnavailable("The provider said too much.")
    except httpx.HTTPError as error:
        raise ProviderUnavailable(f"The provider does not answer: {type(error).__name__}.") from None
    if answer.status_code >= 500 or answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_redirect:
        raise ProviderUnavailable(f"The provider answered with status {answer.status_code}.")
    return Reply(answer.status_code, _object(bytes(found)))


def refused_us(what: str, reply: Reply) -> ProviderUnavailable:
    """What to raise when our own credentials or settings are at fault: an operator has to look, nobody else."""
    error = reply.document.get("error")
    word = error if isinstance(error, str) and error.isidentifier() else "unreadable"
    return ProviderUnavailable(f"{what} was refused with status {reply.status}: {word[:40]}.")


def words(value: object, longest: int = 320) -> str | None:
    """A text that can be stored and shown: valid Unicode, not too long. None for anything else."""
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        return None
    return value


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
