"""Secret calendar feeds over HTTP: what a calendar program gets, and who no longer gets it."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from icalendar import Calendar, Event

from core.db import Database
from core.settings import RateLimit, Settings
from tests.api.signing_in import Api, Person, api_process
from tests.api.test_reminders import DAILY, diary, person, remind, settings

__all__ = ["person", "settings"]
PATH = "/integrations/calendar/feeds"


async def subscribe(person: Person, **body: Any) -> dict[str, Any]:
    answer = await person.request("POST", PATH, body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def read(api: Api, feed: dict[str, Any], **headers: str) -> httpx.Response:
    """As a calendar program does: by the address alone."""
    path = httpx.URL(feed["url"]).path
    return await api.http.get(path, headers=headers)


async def events(api: Api, feed: dict[str, Any]) -> list[Event]:
    answer = await read(api, feed)
    assert answer.status_code == 200, answer.text
    return list(Calendar.from_ical(answer.content, multiple=False).walk("VEVENT"))


async def pet(person: Person, name: str) -> str:
    return str((await person.request("POST", "/pets", {"name": name})).json()["id"])


async def test_a_program_reads_the_reminders_of_all_pets(api: Api, person: Person) -> None:
    await remind(person, pet_id=await pet(person, "Milo"))
    await remind(person, title="Filter")
    feed = await subscribe(person)
    assert {str(event["summary"]) for event in await events(api, feed)} == {"Milo: Tablet", "Filter"}
    answer = await read(api, feed)
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"] == "private, max-age=900"
    assert answer.headers["x-robots-tag"] == "noindex"


async def test_a_feed_of_one_pet_shows_that_pet_alone(api: Api, person: Person) -> None:
    milo, luna = await pet(person, "Milo"), await pet(person, "Luna")
    for each in (milo, luna):
        await remind(person, pet_id=each)
    feed = await subscribe(person, pet_id=luna)
    assert [str(event["summary"]) for event in await events(api, feed)] == ["Luna: Tablet"]


async def test_a_skipped_one_is_left_out_and_a_paused_series_is_gone(api: Api, person: Person) -> None:
    made, feed = await remind(person), await subscribe(person)
    (pending, *_) = await diary(person, made["id"])
    await person.request("POST", f"/occurrences/{pending['id']}/skip")
    (event,) = await events(api, feed)
    assert event["exdate"].dts[0].dt.astimezone(UTC) == datetime(2036, 6, 1, 6, tzinfo=UTC)
    await person.request("POST", f"/reminders/{made['id']}/pause")
    assert await events(api, feed) == []


async def test_an_edit_has_a_higher_sequence(api: Api, person: Person) -> None:
    made, feed = await remind(person), await subscribe(person)
    (before,) = await events(api, feed)
    await person.request("PUT", f"/reminders/{made['id']}", {"schedule": DAILY | {"dtstart_local": "2036-06-01T07:00"}})
    (after,) = await events(api, feed)
    assert after["sequence"] > before["sequence"]
    assert after.decoded("dtstart").hour == 7


async def test_nothing_new_is_not_sent_again(api: Api, person: Person) -> None:
    made, feed = await remind(person), await subscribe(person)
    tag = (await read(api, feed)).headers["etag"]
    again = await read(api, feed, **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    await person.request("PUT", f"/reminders/{made['id']}", {"title": "Half a tablet"})
    assert (await read(api, feed, **{"If-None-Match": tag})).status_code == 200


async def test_a_deleted_feed_is_closed_at_once_and_alone(api: Api, person: Person) -> None:
    phone, laptop = await subscribe(person), await subscribe(person)
    for _ in range(2):
        assert (await person.request("DELETE", f"{PATH}/{phone['id']}")).status_code == 204
    assert (await read(api, phone)).status_code == 404
    assert (await read(api, laptop)).status_code == 200
    assert [feed["id"] for feed in (await person.request("GET", PATH)).json()["items"]] == [laptop["id"]]


async def test_the_list_shows_the_address_again_and_when_it_was_read(api: Api, person: Person, db: Database) -> None:
    feed = await subscribe(person)
    assert feed["last_read_at"] is None
    assert feed["webcal_url"] == feed["url"].replace("http://", "webcal://")
    await read(api, feed)
    (listed,) = (await person.request("GET", PATH)).json()["items"]
    assert listed["url"] == feed["url"]
    assert listed["last_read_at"] is not None
    sealed = await db.reads.fetchval("SELECT token_ct FROM ics_feeds WHERE id = $1::uuid", feed["id"])
    assert feed["url"].rpartition("/")[2].removesuffix(".ics") not in sealed


async def test_others_can_neither_make_nor_close_it(api: Api, person: Person) -> None:
    stranger, feed = await api.person(), await subscribe(person)
    assert (await stranger.request("DELETE", f"{PATH}/{feed['id']}")).status_code == 404
    milo = await pet(person, "Milo")
    assert (await stranger.request("POST", PATH, {"pet_id": milo})).status_code == 404
    assert (await read(api, feed)).status_code == 200


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE users SET state = 'blocked' WHERE id = $1",
        "UPDATE memberships SET left_at = now() WHERE user_id = $1",
        "UPDATE pets p SET deleted_at = now() FROM memberships m WHERE m.household_id=p.household_id AND user_id=$1",
    ],
    ids=["account", "membership", "pet"],
)
async def test_a_feed_ends_with_what_it_shows(api: Api, person: Person, db: Database, end: str) -> None:
    feed = await subscribe(person, pet_id=await pet(person, "Milo"))
    assert (await read(api, feed)).status_code == 200
    await db.reads.execute(end, person.user_id)
    assert (await read(api, feed)).status_code == 404


async def test_nobody_has_more_than_twenty(person: Person) -> None:
    for _ in range(20):
        feed = await subscribe(person)
    answer = await person.request("POST", PATH, {})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_feeds")
    await person.request("DELETE", f"{PATH}/{feed['id']}")
    await subscribe(person)


async def test_a_program_that_hurries_is_slowed_down_alone(settings: Settings, person: Person) -> None:
    eager, patient = await subscribe(person), await subscribe(person)
    few = settings.rate_limits.model_copy(update={"feeds": RateLimit(quota=2, window=3600, burst=2)})
    async with api_process(settings.model_copy(update={"rate_limits": few})) as slow:
        assert [(await read(slow, eager)).status_code for _ in range(3)] == [200, 200, 429]
        assert (await read(slow, patient)).status_code == 200
