"""Must hold: an api that dies loses nothing it has answered, and does nothing twice for who asks again (F2, F3)."""

import asyncio
import os
import signal
import time
from dataclasses import replace

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.person import Person, soon
from tests.stack import Inbox, Stack, joined, until

pytestmark = pytest.mark.timeout(180)


async def test_what_was_answered_before_the_api_died_and_before_anybody_relayed_it_fires(
    stack: Stack, person: Person, inbox: Inbox, ledger: Ledger
) -> None:
    worker = await stack.kill("worker-core", signal.SIGSTOP)  # nobody relays while we commit
    stopped = time.monotonic()
    try:
        due = soon(6)
        async with asyncio.TaskGroup() as tasks:
            for n in range(20):
                tasks.create_task(ledger.remind(person, f"relay-{n:02}", due))
        await stack.kill_and_wait("api")
    finally:
        os.kill(worker, signal.SIGCONT)
    outage = time.monotonic() - stopped
    verdict = await ledger.outcome(stack, inbox, person, within=40)
    assert (verdict.accepted, verdict.lost, verdict.duplicates, verdict.ambiguous) == (20, [], [], 0)
    assert verdict.late.max <= outage + 10


async def test_whoever_got_no_answer_and_asks_again_has_one_reminder_that_fires_once(
    stack: Stack, person: Person, client: httpx.AsyncClient, inbox: Inbox, ledger: Ledger
) -> None:
    """The api dies between the commit and the answer."""
    due, key = soon(10), {"Idempotency-Key": "asked-twice"}
    doomed = {"PETFOLIO_API__PORT": "{port}", "PETFOLIO_FAILPOINT": "api_after_commit:kill"}
    async with joined(stack, ["api"], **doomed) as (api, doomed_client):
        unlucky = replace(person, client=doomed_client)
        assert await ledger.remind(unlucky, "unheard", due, headers=key) is None
        assert await asyncio.wait_for(api.wait(), 30) == -signal.SIGKILL
    before = await person.call("GET", "/reminders")
    assert [item["title"] for item in before.json()["items"]] == ["unheard"]
    again = await person.remind(due=due, title="unheard", headers=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json()["id"] == before.json()["items"][0]["id"]
    await inbox.mail_with(person.email, "unheard", within=30)
    verdict = await ledger.outcome(stack, inbox, person, within=10)
    assert (verdict.unknown, verdict.duplicates, verdict.ambiguous) == (1, [], 0)
    assert await person.titles() == ["unheard"]


async def test_what_nobody_answered_under_load_took_effect_once_or_not_at_all(
    stack: Stack, person: Person, ledger: Ledger
) -> None:
    due = soon(86_400)
    keys = iter(range(10_000))

    async def keep_asking() -> None:
        while not ledger.unknown():
            title = f"load-{next(keys):04}"
            await ledger.remind(person, title, due, headers={"Idempotency-Key": title})

    async with asyncio.TaskGroup() as load:
        for _ in range(4):
            load.create_task(keep_asking())
        await until(lambda: len(ledger.accepted()) >= 20, within=30, what="load is running")
        await stack.kill_and_wait("api")
    assert set(ledger.statuses()) == {201, None}
    effects = await person.titles()
    assert len(effects) == len(set(effects))
    assert set(ledger.accepted()) <= set(effects)
    for title in ledger.unknown():
        again = await person.remind(due=due, title=title, headers={"Idempotency-Key": title})
        assert again.status_code == 201
    assert sorted(await person.titles()) == sorted(ledger.accepted() + ledger.unknown())
