"""The official clients of Google and Microsoft on the local calendar servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httplib2
import httpx
import pytest
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator
from kiota_abstractions.authentication.base_bearer_token_authentication_provider import (
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_http.middleware.options import RetryHandlerOption
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.event import Event
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.graph_request_adapter import options
from msgraph_core import GraphClientFactory

from tests.calendar_servers import ControlClient

_NO_RETRY = RetryHandlerOption(max_retries=0, should_retry=False)


def google_service(control: ControlClient, scopes: str | None = None) -> Any:
    """googleapiclient as somebody."""
    credentials = Credentials(control.tokens(scopes).access)
    return build(
        "calendar",
        "v3",
        http=AuthorizedHttp(credentials, http=httplib2.Http(timeout=10)),
        static_discovery=True,
        cache_discovery=False,
        client_options={"api_endpoint": f"{control.url}/calendar/v3/"},
    )


@dataclass(frozen=True, slots=True)
class GoogleCalendar:
    """A calendar of an application's, through the official client."""

    control: ControlClient
    service: Any
    id: str

    @property
    def events(self) -> Any:
        """The `events` resource."""
        return self.service.events()

    def add(self, **more: Any) -> dict[str, Any]:
        """A new event of an hour."""
        made: dict[str, Any] = self.events.insert(calendarId=self.id, body=hour() | more).execute()
        return made

    def get(self, event: str) -> dict[str, Any]:
        """One event."""
        found: dict[str, Any] = self.events.get(calendarId=self.id, eventId=event).execute()
        return found

    def patch(self, event: str, etag: str | None = None, **change: Any) -> dict[str, Any]:
        """A change, under a condition."""
        request = self.events.patch(calendarId=self.id, eventId=event, body=change)
        if etag:
            request.headers["If-Match"] = etag
        done: dict[str, Any] = request.execute(num_retries=0)
        return done

    def delete(self, event: str, etag: str | None = None) -> None:
        """Delete it, under a condition."""
        request = self.events.delete(calendarId=self.id, eventId=event)
        if etag:
            request.headers["If-Match"] = etag
        request.execute(num_retries=0)

    def page(self, **parameters: Any) -> dict[str, Any]:
        """One page of the list."""
        found: dict[str, Any] = self.events.list(calendarId=self.id, **parameters).execute()
        return found

    def round(self, **parameters: Any) -> tuple[list[dict[str, Any]], str]:
        """All items of a round, and the token for the next."""
        items, page = [], self.page(**parameters)
        while "nextPageToken" in page:
            items += page["items"]
            page = self.page(**parameters, pageToken=page["nextPageToken"])
        return items + page["items"], page["nextSyncToken"]


def hour(day: str = "2026-03-02", zone: str = "Europe/Berlin") -> dict[str, Any]:
    """From nine to ten."""
    times = {"start": f"{day}T09:00:00", "end": f"{day}T10:00:00"}
    return {"summary": "Vaccination"} | {which: {"dateTime": text, "timeZone": zone} for which, text in times.items()}


@contextmanager
def google_refuses(status: int, reason: str) -> Iterator[HttpError]:
    """What is inside is refused so."""
    with pytest.raises(HttpError) as caught:
        yield caught  # type: ignore[misc]
    assert (caught.value.status_code, caught.value.error_details[0]["reason"]) == (status, reason)


class _Token(AccessTokenProvider):
    def __init__(self, token: str) -> None:
        self._token = token

    async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
        return self._token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator([])


def graph_client(control: ControlClient, scopes: str | None = None) -> GraphServiceClient:
    """msgraph-sdk as somebody, without retries of its own."""
    base = f"{control.url}/v1.0"
    http = GraphClientFactory.create_with_default_middleware(
        client=httpx.AsyncClient(base_url=base, timeout=10),
        options={**options, RetryHandlerOption.get_key(): _NO_RETRY},
    )
    token = BaseBearerTokenAuthenticationProvider(_Token(control.tokens(scopes).access))
    adapter = GraphRequestAdapter(token, client=http)
    adapter.base_url = base
    return GraphServiceClient(request_adapter=adapter)


def asking(query: Any = None, *, prefer: str | None = 'IdType="ImmutableId"', **headers: str) -> Any:
    """A request's configuration: parameters, preferences, and headers with underscores for dashes."""
    configuration: RequestConfiguration[Any] = RequestConfiguration(query_parameters=query)
    if prefer:
        configuration.headers.add("Prefer", prefer)
    for name, value in headers.items():
        configuration.headers.add(name.replace("_", "-"), value)
    return configuration


def event(subject: str = "Vaccination", day: str = "2026-03-02", **more: Any) -> Event:
    """From nine to ten in Berlin."""
    start, end = (DateTimeTimeZone(date_time=f"{day}T{at}:00:00", time_zone="Europe/Berlin") for at in ("09", "10"))
    return Event(subject=subject, start=start, end=end, **more)


def etag_of(value: Any) -> str:
    """Where the SDK puts it."""
    return str(value.additional_data["@odata.etag"])


@contextmanager
def graph_refuses(status: int, code: str) -> Iterator[Any]:
    """What is inside is refused so."""
    with pytest.raises(ODataError) as caught:
        yield caught
    assert caught.value.error is not None
    assert (caught.value.response_status_code, caught.value.error.code) == (status, code)
