"""The CalDAV server of the local stack: it asks for a password, forgets nothing, and fails when it is told to."""

import httpx
import pytest

from infra.local.launchers import caldav
from infra.local.site import Site
from integrations.calendar.caldav import CalDavCalendars
from integrations.calendar.caldav_discovery import discover
from integrations.outbound import Outbound
from tests.caldav_servers import Radicale
from tests.contracts.calendar_samples import VET
from tests.contracts.test_calendar_providers import MARKER
from tests.services import Servers


def address(site: Site) -> str:
    return f"http://{site.address('caldav')}/"


async def test_it_asks_for_the_password_of_the_stack(servers: Servers) -> None:
    site = servers.start(caldav.SERVICE)
    password = site.secrets[caldav.PASSWORD]
    async with httpx.AsyncClient() as http:
        path = f"{address(site)}{caldav.USER}/"
        asked = [
            (await http.request("PROPFIND", path, auth=auth)).status_code
            for auth in (None, (caldav.USER, "wrong"), ("somebody", password), (caldav.USER, password))
        ]
    assert asked == [401, 401, 401, 207]
    assert (site.root / "caldav" / "users").stat().st_mode & 0o077 == 0
    assert password not in (site.root / "caldav" / "users").read_text()


async def test_what_it_acknowledged_survives_a_kill(servers: Servers) -> None:
    site = servers.start(caldav.SERVICE)
    outbound = Outbound(plain_http=True, private=True)
    home = await discover(outbound, address(site), caldav.USER, site.secrets[caldav.PASSWORD])
    provider = CalDavCalendars(outbound, home, caldav.USER, site.secrets[caldav.PASSWORD])
    made = await provider.create_calendar("Petfolio")
    event = await provider.create(made.calendar_id, MARKER.local_id, MARKER, VET)
    cursor = (await provider.list_changes(made.calendar_id, None, None)).cursor
    await provider.close()
    servers.kill(caldav.SERVICE)
    servers.start(caldav.SERVICE)
    assert await provider.get(made.calendar_id, event.remote_id) == event
    assert (await provider.list_changes(made.calendar_id, cursor, None)).changes == []
    await provider.close()
    await outbound.close()


async def test_many_requests_travel_on_one_connection(servers: Servers) -> None:
    site = servers.start(caldav.SERVICE)
    auth = (caldav.USER, site.secrets[caldav.PASSWORD])
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(base_url=address(site), auth=auth, limits=limits) as http:
        streams = set()
        for method, path in (("GET", "nothing"), ("PUT", "x/y.ics"), ("PROPFIND", caldav.USER), ("OPTIONS", "/")) * 3:
            answer = await http.request(method, path, content=b"x" if method == "PUT" else None)
            assert answer.headers.get("connection") is None
            streams.add(id(answer.extensions["network_stream"].get_extra_info("socket")))
        assert len(streams) == 1


def test_a_knob_that_is_none_is_refused(radicale: Radicale) -> None:
    radicale.knob("reset")
    for name, body, status in (("nothing", {}, 404), ("faults", {"colour": "red"}, 400), ("grant", {}, 400)):
        assert httpx.post(f"{radicale.origin}/_control/{name}", json=body).status_code == status
    assert httpx.post(f"{radicale.origin}/_control/throttle", content=b"{").status_code == 400


@pytest.mark.parametrize("times", [1, 3])
def test_a_fault_happens_as_often_as_asked(radicale: Radicale, times: int) -> None:
    radicale.knob("reset")
    radicale.knob("faults", status=502, times=times, method="OPTIONS")
    seen = [httpx.options(f"{radicale.origin}/user0/", auth=("user0", "x")).status_code for _ in range(times + 1)]
    assert seen == [502] * times + [401]


def test_the_log_knows_no_password(radicale: Radicale) -> None:
    radicale.knob("reset")
    httpx.options(f"{radicale.origin}/user0/", auth=("user0", "very-secret"))
    (entry,) = radicale.log()
    assert (entry["method"], entry["path"]) == ("OPTIONS", "/user0/")
    assert "Authorization" not in entry["headers"]
