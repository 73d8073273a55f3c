"""Must hold: every reminder answered with 2xx fires, whatever dies in between (F1, F2, F4 of the fault table)."""

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.faults.ledger import Ledger, Verdict
from tests.person import Person, soon
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(180)


async def ask_for(ledger: Ledger, person: Person, count: int, due: datetime, name: str) -> None:
    """`count` reminders due at the same instant, titled `{name}-{n}`."""
    async with asyncio.TaskGroup() as tasks:
        for n in range(count):
            title = f"{name}-{n:03}"
            tasks.create_task(ledger.ask(title, person.remind(due=due, title=title)))


async def all_fired(ledger: Ledger, inbox: Inbox, person: Person, *, within: float) -> Verdict:
    """Wait until nothing accepted is missing; then the verdict."""

    async def complete() -> bool:
        return not ledger.verdict(await inbox.messages(person.email)).lost

    await until(complete, within=within, what="every accepted reminder fired")
    return ledger.verdict(await inbox.messages(person.email))


async def test_api_killed_between_commit_and_relay_loses_nothing(
    stack: Stack, person: Person, inbox: Inbox, ledger: Ledger
) -> None:
    worker = await stack.kill("worker-core", signal.SIGSTOP)  # nobody relays while we commit
    try:
        await ask_for(ledger, person, 20, soon(6), "relay")
        await stack.kill_and_wait("api")
    finally:
        os.kill(worker, signal.SIGCONT)
    verdict = await all_fired(ledger, inbox, person, within=40)
    assert (verdict.accepted, verdict.lost, verdict.duplicates, verdict.ambiguous) == (20, [], [], 0)


async def test_worker_killed_before_the_provider_acted_sends_once(
    stack: Stack, person: Person, inbox: Inbox, ledger: Ledger
) -> None:
    await ask_for(ledger, person, 5, soon(3), "before")
    await inbox.faults(delay=2.0, count=5, when="before")
    await inbox_is_holding(inbox)
    await stack.kill_and_wait("worker-core")
    verdict = await all_fired(ledger, inbox, person, within=90)
    assert (verdict.accepted, verdict.lost, verdict.duplicates) == (5, [], [])


async def test_worker_killed_after_the_provider_acted_is_recognisable_as_one_delivery(
    stack: Stack, person: Person, inbox: Inbox, ledger: Ledger, record_property: Callable[[str, object], None]
) -> None:
    """SES honours no idempotency key: a lost acknowledgement may send twice, under the same delivery id."""
    await ask_for(ledger, person, 5, soon(3), "after")
    await inbox.faults(delay=2.0, count=5, when="after")
    await inbox_is_holding(inbox)
    await stack.kill_and_wait("worker-core")
    verdict = await all_fired(ledger, inbox, person, within=90)
    record_property("ambiguous repeats", verdict.ambiguous)
    assert (verdict.accepted, verdict.lost, verdict.duplicates) == (5, [], [])
    assert verdict.ambiguous <= 5


async def test_worker_killed_after_a_provider_that_honours_keys_acted_sends_once(
    stack: Stack, person: Person, inbox: Inbox, ledger: Ledger
) -> None:
    await inbox.faults(honour_keys=True)
    try:
        await ask_for(ledger, person, 5, soon(3), "keyed")
        await inbox.faults(delay=2.0, count=5, when="after")
        await inbox_is_holding(inbox)
        await stack.kill_and_wait("worker-core")
        verdict = await all_fired(ledger, inbox, person, within=90)
    finally:
        await inbox.faults(honour_keys=False)
    assert (verdict.accepted, verdict.lost, verdict.duplicates, verdict.ambiguous) == (5, [], [], 0)


async def inbox_is_holding(inbox: Inbox) -> None:
    """Wait until the provider has a request in its hands: the fault demonstrably hits work in flight."""

    async def holding() -> bool:
        pending = (await inbox.client.get("/_control/faults")).json()
        return sum(fault["count"] for fault in pending) < 5

    await until(holding, within=30, what="the provider holds a request")
