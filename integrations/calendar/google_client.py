"""Google's own client, one call at a time per thread: it blocks, and its connections may not be shared.

Not imported where no calendar is spoken to: it costs about 30 MB and a quarter of a second (calendar-sync.md §6.5).
"""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.client import HTTPException
from typing import Any, Final

import httplib2
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

from integrations.calendar.calls import called
from integrations.calendar.errors import Asked, Refusal, google, no_answer, seconds, unreadable
from integrations.calendar.oauth import TokenSource
from integrations.calendar.protocol import ProviderName

Document = dict[str, Any]

TIMEOUT: Final = 10
"""Seconds without a byte."""
_LONGEST: Final = 30
"""Seconds for an answer that arrives in drops."""
CONCURRENCY: Final = 4


@cache
def service(api_url: str) -> Any:
    """Google's description of the API at an address, made into methods that build requests. No network is needed."""
    return build(
        "calendar",
        "v3",
        http=httplib2.Http(),
        static_discovery=True,
        cache_discovery=False,
        client_options={"api_endpoint": f"{api_url.rstrip('/')}/calendar/v3/"},
    )


class GoogleClient:
    """Sends requests as one account. Nothing is tried again here, except once with a new token."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="google-calendar")
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._own = threading.local()
        self._opened: list[httplib2.Http] = []

    async def send(self, request: HttpRequest, asked: Asked) -> Document:
        """The answer; empty where there is none. Raises the errors of the port."""

        async def under(token: str) -> Document:
            request.headers["authorization"] = f"Bearer {token}"
            async with self._turns:
                work = asyncio.get_running_loop().run_in_executor(self._threads, self._execute, request, asked)
                try:
                    return await asyncio.wait_for(work, _LONGEST)
                except TimeoutError:
                    raise no_answer() from None

        return await self._tokens.authorized(under)

    async def close(self) -> None:
        """Let the threads end, and close their connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for http in self._opened:
            http.close()

    def _execute(self, request: HttpRequest, asked: Asked) -> Document:
        called(ProviderName.GOOGLE)
        try:
            answer = request.execute(http=self._http(), num_retries=0)
        except HttpError as error:
            raise google(_refusal(error), asked) from None
        except (OSError, HTTPException, httplib2.HttpLib2Error):
            raise no_answer() from None
        except ValueError:
            raise unreadable(asked) from None
        if answer == "":
            return {}
        if not isinstance(answer, dict):
            raise unreadable(asked)
        return answer

    def _http(self) -> httplib2.Http:
        """The connection of this thread. A redirect is an answer like any other: Google sends none here."""
        if not hasattr(self._own, "http"):
            http = httplib2.Http(timeout=TIMEOUT, proxy_info=None)
            http.follow_redirects = False
            self._own.http = http
            self._opened.append(http)
        found: httplib2.Http = self._own.http
        return found


def _refusal(error: HttpError) -> Refusal:
    wait = seconds(error.resp.get("retry-after"))
    try:
        said = json.loads(error.content)["error"]
        reason = said["errors"][0]["reason"] if said.get("errors") else said.get("status")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        reason = None
    return Refusal(int(error.resp.status), reason if isinstance(reason, str) else None, wait)
