"""`petfolio demo calendar` on real parts: what it shows is true, and nothing that was shown lies about afterwards."""

import json
import re

import httpx
import pytest

from infra.local.launchers import caldav
from tests.e2e.test_main_job import every_log, everything_temporal_holds
from tests.stack import Stack

pytestmark = pytest.mark.timeout(300)

LAST = "Milo: vaccination, edited in CalDAV"


async def test_an_appointment_travels_to_three_calendars_and_edits_of_each_to_all_others(stack: Stack) -> None:
    told = await stack.petfolio("demo", "calendar", within=240)
    for calendar in ("Google Calendar", "Outlook", "CalDAV"):
        assert f"Edits the title in {calendar}" in told
        assert told.count(f"… and in {calendar} ") == 3, "what was planned, and what was edited in the two others"
    assert told.count("the edit arrives in Petfolio") == 3
    assert len(re.findall(r"https?://\S+/workflows/\S+calendar\S+ \((?:google|microsoft|caldav)\)", told)) == 3
    page = re.search(r"https?://\S+/\?account=\S+", told)
    assert page
    async with httpx.AsyncClient() as browser:
        shown = (await browser.get(page[0])).text
    assert shown.count(f'value="{LAST}"') == 2, "once at Google, once in Outlook"

    secrets = json.loads((stack.data_dir / "secrets.json").read_text())
    canaries = ("vaccination", "Dr. Weber", secrets[caldav.PASSWORD], secrets["google_calendar_client"])
    held = await everything_temporal_holds(stack)
    assert [word for word in canaries if word in held] == []
    leaks = {str(path): [word for word in canaries if word in text] for path, text in every_log(stack.data_dir)}
    assert {path: found for path, found in leaks.items() if found} == {}


async def test_a_second_demo_gets_calendars_of_its_own(stack: Stack) -> None:
    """The CalDAV account is the same, and what an earlier one has left there is not taken for one's own."""
    assert "Three calendars, one appointment" in await stack.petfolio("demo", "calendar", within=240)
