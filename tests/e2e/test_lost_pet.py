"""A pet is lost, seen by a stranger and found again, on the whole stack: page, mails and workflow included."""

import httpx
import pytest

from tests.person import Person, sign_up
from tests.stack import Inbox, until

pytestmark = pytest.mark.timeout(120)
PHONE = "+4930123456789"
MESSAGE = "She sits below our car.\r\nBcc: spy@example.test <script>alert(1)</script>\u202egnp.exe"


async def test_a_stranger_who_scans_the_tag_reaches_the_owner_and_learns_nothing_about_them(
    client: httpx.AsyncClient, inbox: Inbox
) -> None:
    ada = await sign_up(client, inbox, first_name="Ada", phone=PHONE)
    pet = f"/pets/{ada.pet_id}"
    tag = (await ada.call("PUT", f"{pet}/tag", json={"shown": ["species", "name"]})).json()
    opened = await ada.call("POST", f"{pet}/lost", json={"note": "Last seen at the lake."})
    assert opened.status_code == 201, opened.text
    assert "Last seen at the lake." in (await inbox.mail_with(ada.email, "Last seen"))["text"]
    page = await client.get(httpx.URL(tag["url"]).path, headers={"Accept-Language": "de"})
    assert "Ich werde gesucht" in page.text
    household = (await ada.call("GET", pet)).json()["household_id"]
    workflow = f"/workflows/household/{household}/lost/{opened.json()['id']}"
    await until(lambda: is_running(ada, workflow), within=20, what="the search is looked after")

    report = {"message": MESSAGE, "contact": "finder@example.test"}
    written = await client.post(f"/api/v1/p/{tag['code']}/sightings", json=report)
    assert (written.status_code, written.content) == (204, b"")
    mail = await inbox.mail_with(ada.email, "below our car")
    assert "finder@example.test" in mail["text"]
    assert "<script>" not in mail["html"]
    assert "\u202e" not in mail["text"] + mail["subject"] + mail["html"]
    assert await inbox.messages("spy@example.test") == []
    for answer in (page, written):
        for secret in (ada.email, PHONE, "Ada"):
            assert secret not in answer.text + str(answer.headers)

    assert (await ada.call("POST", f"{pet}/lost/close", json={"reason": "found"})).status_code == 200
    assert "Milo is back" in (await inbox.mail_with(ada.email, "is back"))["text"]
    assert "Have you found me?" in (await client.get(httpx.URL(tag["url"]).path)).text


async def is_running(person: Person, workflow: str) -> bool:
    """Whether Temporal looks after it."""
    seen = (await person.call("GET", workflow)).json()
    return bool(seen["live"] and seen["execution"]["status"] == "running")
