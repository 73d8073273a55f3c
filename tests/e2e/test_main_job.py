"""The main job on real parts, as a pet owner's client sees it, and what an operator may never find afterwards."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

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


async def everything_temporal_holds(stack: Stack) -> str:
    """Histories, search attributes, memos and ids of every workflow, as the server stores them (no codec)."""
    status = await stack.status()
    client = await Client.connect(status["temporal_address"], namespace="petfolio")
    texts = []
    async for execution in client.list_workflows():
        texts.append(str(execution.raw_info))
        history = await client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
        assert history.events[0].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        texts.append(history.to_json())
        texts.extend(str(event) for event in history.events)
    assert len(texts) >= 4, "the mail and the reminder workflow ran"
    return "\n".join(texts)


def every_log(data_dir: Path) -> Iterator[tuple[Path, str]]:
    """What any process wrote, but for the mail provider's own store, which is the outside world."""
    for path in (data_dir / "logs").rglob("*"):
        if path.is_file():
            yield path, path.read_text(errors="replace")


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
