"""Graph through Microsoft's SDK: its addresses, its middleware without retries, its errors; documents as they came.

Requests are described by the SDK's builders and answered as JSON, because its models write no nulls, and a null is how
a recurrence is taken off. Not imported where no calendar is spoken to: it costs about 30 MB and half a second
(calendar-sync.md §6.5).
"""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_abstractions.base_request_builder import BaseRequestBuilder
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_http.middleware.options import RedirectHandlerOption, RetryHandlerOption
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.subscriptions.subscriptions_request_builder import SubscriptionsRequestBuilder
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.graph_request_adapter import GraphRequestAdapter, options
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from integrations.calendar.calls import called
from integrations.calendar.errors import Asked, Refusal, microsoft, no_answer, seconds, unreadable
from integrations.calendar.oauth import TokenSource
from integrations.calendar.protocol import Misunderstood, ProviderName

Document = dict[str, Any]

CONCURRENCY: Final = 4
"""Requests at once to a mailbox; more are refused."""
_TIMEOUT: Final = httpx.Timeout(10, connect=5, pool=30)
_LONGEST: Final = 30
"""Seconds for an answer that arrives in drops."""
_PREFER: Final = 'IdType="ImmutableId", outlook.timezone="UTC", outlook.body-content-type="text"'
"""On every request: ids that stay when an event moves, times in no zone of the mailbox, bodies without markup."""


class GraphClient:
    """Sends requests as one account. Nothing is tried again here, except once with a new token."""

    def __init__(self, api_url: str, tokens: TokenSource) -> None:
        self._root = f"{api_url.rstrip('/')}/v1.0"
        self._tokens = tokens
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._http = GraphClientFactory.create_with_default_middleware(
            client=httpx.AsyncClient(base_url=self._root, timeout=_TIMEOUT, trust_env=False),
            options={
                **options,
                RetryHandlerOption.get_key(): RetryHandlerOption(max_retries=0, should_retry=False),
                RedirectHandlerOption.get_key(): RedirectHandlerOption(max_redirect=0, should_redirect=False),
            },
        )
        self._adapter = GraphRequestAdapter(AnonymousAuthenticationProvider(), client=self._http)
        self._adapter.base_url = self._root
        self._graph = GraphServiceClient(request_adapter=self._adapter)

    @property
    def me(self) -> UserItemRequestBuilder:
        """Where the addresses of the account begin."""
        return self._graph.me

    @property
    def subscriptions(self) -> SubscriptionsRequestBuilder:
        """Where those of channels begin."""
        return self._graph.subscriptions

    async def send(
        self,
        builder: BaseRequestBuilder,
        asked: Asked,
        method: Method = Method.GET,
        *,
        body: Mapping[str, Any] | None = None,
        etag: str | None = None,
        query: Mapping[str, str] | None = None,
        prefer: str = "",
    ) -> Document:
        """The answer; empty where there is none. Raises the errors of the port."""

        def described() -> RequestInformation:
            info = RequestInformation(method, builder.url_template, dict(builder.path_parameters))
            info.query_parameters = {name.replace("$", "%24"): value for name, value in (query or {}).items()}
            if body is not None:
                info.set_stream_content(json.dumps(body).encode(), "application/json")
            if etag:
                info.headers.add("If-Match", etag)
            return info

        return await self._tokens.authorized(lambda token: self._send(described(), token, asked, prefer))

    async def follow(self, link: str, asked: Asked, *, prefer: str = "") -> Document:
        """What is behind a link that Graph gave us, verbatim. The token goes to our configured host alone."""
        if not _is_below(link, self._root):
            raise Misunderstood("A link leads elsewhere.")

        def described() -> RequestInformation:
            info = RequestInformation(Method.GET)
            info.url = link
            return info

        return await self._tokens.authorized(lambda token: self._send(described(), token, asked, prefer))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, info: RequestInformation, token: str, asked: Asked, prefer: str) -> Document:
        info.headers.add("Authorization", f"Bearer {token}")
        info.headers.add("Accept", "application/json")
        info.headers.add("Prefer", f"{_PREFER}, {prefer}" if prefer else _PREFER)
        try:
            async with self._turns, asyncio.timeout(_LONGEST):
                called(ProviderName.MICROSOFT)
                content = await self._adapter.send_primitive_async(info, "bytes", {"XXX": ODataError})
        except APIError as error:
            raise microsoft(_refusal(error), asked) from None
        except (httpx.HTTPError, TimeoutError, OSError):
            raise no_answer() from None
        return _document(content, asked)


def _is_below(link: str, root: str) -> bool:
    found, ours = urlsplit(link), urlsplit(root)
    same_host = (found.scheme, found.netloc) == (ours.scheme, ours.netloc)
    return same_host and found.path.startswith(f"{ours.path}/")


def _refusal(error: APIError) -> Refusal:
    status = error.response_status_code or HTTPStatus.INTERNAL_SERVER_ERROR
    headers = dict(error.response_headers or {})
    reason = error.error.code if isinstance(error, ODataError) and error.error else None
    return Refusal(int(status), reason, seconds(headers.get("retry-after")))


def _document(content: object, asked: Asked) -> Document:
    if not content:
        return {}
    try:
        found = json.loads(content) if isinstance(content, bytes) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise unreadable(asked)
    return found
