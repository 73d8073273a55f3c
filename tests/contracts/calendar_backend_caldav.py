"""The CalDAV adapter on Radicale and on Xandikos, as backends of the calendar contract.

Radicale comes three times: as it is, without sync tokens, and as a server that can do little: no sync tokens, no ctag,
weak etags, none of them after a PUT.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest

from domain.calendar import Event
from integrations.calendar.caldav import CalDavCalendars
from integrations.calendar.caldav_discovery import discover
from integrations.calendar.caldav_mapping import read_resource
from integrations.calendar.caldav_writing import changed_resource, new_resource
from integrations.calendar.protocol import Marker
from integrations.outbound import Outbound
from tests.caldav_servers import Account, Radicale
from tests.contracts.calendar_backends import Backend, Can

_SIMPLE = frozenset({Can.COPY_MARKERS, Can.ALARMS, Can.LIST_ETAGS})
_KNOBS = frozenset({Can.FAIL, Can.THROTTLE, Can.REVOKE})
_WRITES = frozenset({"PUT", "DELETE"})
_UID = re.compile(r"^UID:[^\r\n]*", re.MULTILINE)


class CalDavBackend:
    """See `Backend`. A person's program is one that says nothing of us, and writes without conditions."""

    def __init__(
        self,
        provider: CalDavCalendars,
        calendar_id: str,
        account: Account,
        http: httpx.AsyncClient,
        can: frozenset[Can],
    ) -> None:
        self.provider, self.calendar_id, self.can = provider, calendar_id, can
        self._account, self._http = account, http
        self.server: Radicale | None = None

    async def add(self, event: Event) -> str:
        name = uuid4()
        stream = new_resource(name, Marker(name), event, datetime.now(UTC))
        return await self._put(f"{name}.ics", _anonymous(stream, name))

    async def edit(self, remote_id: str, event: Event) -> None:
        resource = read_resource(await self._get(remote_id), "UTC")
        await self._put(remote_id, changed_resource(resource, event, datetime.now(UTC), marker=True))

    async def remove(self, remote_id: str) -> None:
        (await self._http.delete(self.calendar_id + remote_id)).raise_for_status()

    async def copy(self, remote_id: str) -> str:
        """Programs give a copy a UID of its own and keep what they do not know."""
        stream, uid = await self._get(remote_id), uuid4()
        return await self._put(f"{uid}.ics", _UID.sub(f"UID:{uid}", stream))

    async def drop_calendar(self) -> None:
        (await self._http.delete(self.calendar_id)).raise_for_status()

    async def expire(self) -> None:
        self._radicale.knob("expire")

    async def lose_answer(self, *, after: bool) -> None:
        self._radicale.knob("faults", when="after" if after else "before", path=self._path, method="PUT")

    async def throttle(self, retry_after: int) -> None:
        self._radicale.knob("throttle", times=1, retry_after=retry_after)

    async def revoke(self) -> None:
        self._radicale.knob("grant", user=self._account.user, allowed=False)

    async def mangle(self) -> None:
        raise NotImplementedError

    async def writes(self) -> int:
        log = self._radicale.log()
        return sum(each["method"] in _WRITES and each["path"].startswith(self._path) for each in log)

    @property
    def _radicale(self) -> Radicale:
        assert self.server is not None
        return self.server

    @property
    def _path(self) -> str:
        return httpx.URL(self.calendar_id).path

    async def _get(self, remote_id: str) -> str:
        answer = await self._http.get(self.calendar_id + remote_id)
        answer.raise_for_status()
        return answer.text

    async def _put(self, remote_id: str, stream: str) -> str:
        headers = {"Content-Type": "text/calendar"}
        answer = await self._http.put(self.calendar_id + remote_id, content=stream.encode(), headers=headers)
        answer.raise_for_status()
        return remote_id


def _anonymous(stream: str, name: UUID) -> str:
    """Without what makes it ours."""
    lines = stream.replace(f"UID:petfolio-{name}", f"UID:{name}").replace("\r\n ", "").split("\r\n")
    return "\r\n".join(line for line in lines if not line.startswith("X-PETFOLIO"))


@asynccontextmanager
async def _opened(account: Account, can: frozenset[Can]) -> AsyncIterator[CalDavBackend]:
    outbound = Outbound(plain_http=True, private=True)
    home = await discover(outbound, account.url, account.user, account.password)
    provider = CalDavCalendars(outbound, home, account.user, account.password)
    calendar = await provider.create_calendar("Petfolio")
    async with httpx.AsyncClient(auth=(account.user, account.password), timeout=20) as http:
        yield CalDavBackend(provider, calendar.calendar_id, account, http, can)
    await provider.close()
    await outbound.close()


@asynccontextmanager
async def _radicale(
    request: pytest.FixtureRequest, can: frozenset[Can], switches: Mapping[str, bool]
) -> AsyncIterator[Backend]:
    server: Radicale = request.getfixturevalue("radicale")
    server.knob("reset")
    async with _opened(server.account(), can) as backend:
        backend.server = server
        server.knob("switches", **switches)
        yield backend
        server.knob("reset")


@asynccontextmanager
async def open_radicale(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """With everything that it can do."""
    async with _radicale(request, _SIMPLE | _KNOBS | {Can.EXPIRE, Can.LIST_CHANGES}, {}) as backend:
        yield backend


@asynccontextmanager
async def open_radicale_with_ctag(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Of the time before sync tokens."""
    async with _radicale(request, _SIMPLE | _KNOBS, {"sync_collection": False}) as backend:
        yield backend


@asynccontextmanager
async def open_plain_radicale(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """One that says next to nothing."""
    poor = {"sync_collection": False, "ctag": False, "etag_on_put": False, "weak_etags": True}
    async with _radicale(request, _SIMPLE | _KNOBS, poor) as backend:
        yield backend


@asynccontextmanager
async def open_xandikos(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Other statuses, other elements."""
    async with _opened(request.getfixturevalue("xandikos"), _SIMPLE | {Can.LIST_CHANGES}) as backend:
        yield backend
