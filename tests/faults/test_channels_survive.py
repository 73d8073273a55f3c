"""Must hold: what a worker dies over reaches the phone all the same, by text message and by push (F1, F2)."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.person import soon
from tests.reachable import Reachable, push_service, sign_up_reachable
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(180)
COUNT = 3


@pytest.fixture
async def push(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The push services' control."""
    async with await push_service(stack) as client:
        yield client
        (await client.delete("/_control/faults")).raise_for_status()


@pytest.fixture
async def reachable(client: httpx.AsyncClient, inbox: Inbox, push: httpx.AsyncClient) -> Reachable:
    return await sign_up_reachable(client, inbox, push)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("channel", ["sms", "push"])
async def test_a_worker_killed_in_the_middle_of_a_message_loses_none(
    stack: Stack, inbox: Inbox, push: httpx.AsyncClient, reachable: Reachable, ledger: Ledger, channel: str, when: str
) -> None:
    """`after`: the provider acted and nobody heard of it. Neither honours keys, so a second message may come, and is
    recognisable: the same words, the same delivery id."""
    control, service, to = {
        "sms": (inbox.client, "sns", reachable.number),
        "push": (push, "fcm", reachable.phone),
    }[channel]
    for n in range(COUNT):
        title = f"{channel}-{when}-{n}"
        await ledger.ask(title, reachable.person.remind(due=soon(4), title=title, notification_methods=[channel]))
    fault = {"delay": 2.0, "count": COUNT, "when": when, "service": service}
    (await control.post("/_control/faults", json=fault)).raise_for_status()

    async def holding() -> bool:
        return sum(each["count"] for each in (await control.get("/_control/faults")).json()) < COUNT

    await until(holding, within=30, what="the provider holds a message")
    await stack.kill_and_wait("worker-core")

    async def complete() -> bool:
        return not ledger.verdict(await inbox.messages(to)).lost

    await until(complete, within=90, what="every accepted reminder reached the phone")
    verdict = ledger.verdict(await inbox.messages(to))
    assert (verdict.accepted, verdict.lost, verdict.duplicates) == (COUNT, [], [])
    assert verdict.ambiguous <= (COUNT if when == "after" else 0)
