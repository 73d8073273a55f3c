"""The main job on real parts, as a pet owner's client sees it, and what an operator may never find afterwards."""

import asyncio
import re

import httpx
import pytest

from tests.leaks import every_log, everything_temporal_holds
from tests.person import sign_up, soon
from tests.stack import Inbox, Stack, running_stack, until

pytestmark = pytest.mark.timeout(180)

CANARIES = {
    "first_name": "Canaryfirst",
    "last_name": "Canarylast",
    "phone": "+4915112345678",
    "pet": "Canarypet",
    "record": "Canaryrecord",
    "vet": "Canaryvet",
    "title": "Canarytitle",
    "description": "Canarydescription",
}


async def test_sign_up_to_reminder_mail_leaves_nothing_personal_in_temporal_or_logs(
    stack: Stack, client: httpx.AsyncClient, inbox: Inbox
) -> None:
    person = await sign_up(
        client,
        inbox,
        first_name=CANARIES["first_name"],
        last_name=CANARIES["last_name"],
        phone=CANARIES["phone"],
        timezone="Europe/Berlin",
    )
    pet_id = await person.add_pet(name=CANARIES["pet"])
    record = await person.call(
        "POST",
        f"/health-records/pets/{pet_id}/records",
        json={"record_type": "visit", "title": CANARIES["record"], "veterinarian": CANARIES["vet"]},
    )
    assert record.status_code == 201, record.text
    reminder = await person.remind(
        due=soon(2), title=CANARIES["title"], description=CANARIES["description"], pet_id=pet_id
    )
    assert reminder.status_code == 201, reminder.text

    mail = await inbox.mail_with(person.email, CANARIES["title"], within=20)
    assert CANARIES["pet"] in mail["text"]

    reminder_id = reminder.json()["id"]
    listed = (await person.call("GET", f"/reminders/{reminder_id}/occurrences")).json()["items"]
    assert {entry["state"] for entry in listed} >= {"due", "scheduled"}, listed
    workflow_id = next(
        entry["id"] for entry in (await person.call("GET", "/workflows")).json()["items"] if reminder_id in entry["id"]
    )
    shown = await person.call("GET", f"/workflows/{workflow_id}")
    assert shown.json()["live"] is True, shown.text

    def clean(text: str) -> list[str]:
        return [name for name, word in (CANARIES | {"email": person.email}).items() if word in text]

    assert clean(await everything_temporal_holds(stack)) == []
    leaks = {str(path.name): clean(text) for path, text in every_log(stack.data_dir)}
    assert {name: found for name, found in leaks.items() if found} == {}


async def test_two_stacks_run_the_demo_beside_each_other(stack: Stack) -> None:
    async with running_stack("second") as second:
        first_url, second_url = (await stack.status())["api_url"], (await second.status())["api_url"]
        assert first_url != second_url
        told = await asyncio.gather(stack.petfolio("demo", within=90), second.petfolio("demo", within=90))
        assert all(re.search(r"https?://\S+/workflows/\S+", text) for text in told), told


async def test_data_and_sleeping_workflows_survive_down_and_up() -> None:
    async with running_stack("data") as stack:
        status = await stack.status()
        async with (
            httpx.AsyncClient(base_url=status["api_url"], timeout=20) as client,
            httpx.AsyncClient(base_url=status["inbox_url"], timeout=20) as mails,
        ):
            person = await sign_up(client, Inbox(mails))
            answer = await person.remind(due=soon(25), title="sleeper")
            assert answer.status_code == 201, answer.text
        port = status["api_url"].rsplit(":", 1)[1]
        await stack.petfolio("down")
        await stack.petfolio("up", "--detach", "--base-port", port)
        async with httpx.AsyncClient(base_url=(await stack.status())["inbox_url"], timeout=20) as mails:
            inbox = Inbox(mails)
            await inbox.mail_with(person.email, "sleeper", within=60)

            async def once() -> bool:
                return len([m for m in await inbox.messages(person.email) if "sleeper" in m["text"]]) == 1

            await until(once, within=5, what="exactly one mail")
