"""What the push services have in common: one bounded HTTPS call, and answers that are classified once."""

from collections.abc import Mapping

import httpx

from integrations.notify.protocol import ProviderRefused, ProviderUnavailable

TIMEOUT = httpx.Timeout(10, connect=2, pool=2)
"""reliability-and-privacy.md §2. A call ends well within the lease of its delivery."""


def client(connections: int) -> httpx.AsyncClient:
    """For one adapter. Redirects are answers like any other: no push service sends them."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(timeout=TIMEOUT, limits=limits, follow_redirects=False, trust_env=False)


async def post(
    service: str, http: httpx.AsyncClient, url: str, *, content: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    """The answer, whatever its status. Raises `ProviderUnavailable`; its text names neither address nor content."""
    try:
        return await http.post(url, content=content, headers=dict(headers))
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ProviderUnavailable(f"{service} cannot be reached: {type(error).__name__}") from None
    except httpx.HTTPError as error:
        # It was sent, or part of it: the answer broke off.
        raise ProviderUnavailable(f"{service} did not answer: {type(error).__name__}", ambiguous=True) from None


def refusal(service: str, response: httpx.Response, *, longest: int = 3600) -> ProviderRefused | ProviderUnavailable:
    """What a status says that a service gives no meaning of its own: too fast, not now, or never."""
    status, asked = response.status_code, response.headers.get("retry-after", "")
    retry_after = min(int(asked), longest) if asked.isascii() and asked.isdigit() else None
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return ProviderUnavailable(f"{service}: too many requests", retry_after=retry_after or 60)
    if status >= 500 or status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.REQUEST_TIMEOUT):
        # Our own credentials are refused: the message stays good until that is put right.
        return ProviderUnavailable(f"{service}: status {status}", retry_after=retry_after, ambiguous=status >= 500)
    return ProviderRefused(f"{service} refused the message: status {status}")
