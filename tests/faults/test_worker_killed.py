"""Must hold: what a worker dies over reaches its person all the same, on every channel (F1).

A worker dies once, with messages of three providers in its hands: some that the provider had not acted upon, some that
it had, and nobody heard of it. The mail provider honours keys here; text messages and pushes have none.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from temporal.policies import PROVIDER_CALL
from tests.faults.ledger import Ledger, Verdict
from tests.person import Person, soon
from tests.reachable import push_service, sign_up_reachable
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(180)
COUNT = 3
CHANNELS = {"email": "ses", "sms": "sns", "push": "fcm"}
FAULTS = {"before": {"status": 503}, "after": {}}
HELD_SECONDS = 8.0
"""Shorter than the 10 s after which a worker no longer waits for a provider."""

Outcome = Mapping[tuple[str, str], Verdict]
"""By channel, and by whether the worker died before or after the provider acted."""


@pytest.fixture(scope="module")
async def outcome(
    stack: Stack, client: httpx.AsyncClient, inbox: Inbox, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    async with await push_service(stack) as push:
        to = await sign_up_reachable(client, inbox, push)
        await inbox.faults(honour_keys=True)
        ledgers = ledgers_in(tmp_path_factory.mktemp("ledgers"))
        first = soon(7)
        for channel, service in CHANNELS.items():
            for when, due in (("before", first), ("after", first + timedelta(seconds=2))):
                for n in range(COUNT):
                    ledger, title = ledgers[channel, when], f"{channel}-{when}-{n}"
                    await ledger.remind(to.person, title, due, notification_methods=[channel])
                fault = FAULTS[when] | {"delay": HELD_SECONDS, "count": COUNT, "when": when, "service": service}
                control = push if channel == "push" else inbox.client
                (await control.post("/_control/faults", json=fault)).raise_for_status()

        async def all_held() -> bool:
            pending = [(await control.get("/_control/faults")).json() for control in (inbox.client, push)]
            return pending == [[], []]

        await until(all_held, within=30, what="the providers hold every message")
        await stack.kill_and_wait("worker-core")
        addresses = (to.person.email, to.number, to.phone)
        found = {
            which: await ledger.outcome(stack, inbox, to.person, within=60, to=addresses)
            for which, ledger in ledgers.items()
        }
        await inbox.faults(honour_keys=False)
        return found


async def test_a_reminder_due_two_seconds_after_its_worker_died_fires_within_fifteen(
    stack: Stack, inbox: Inbox, person: Person, ledger: Ledger
) -> None:
    due = soon(8)
    titles = [f"orphan-{n}" for n in range(5)]
    for title in titles:
        assert await ledger.remind(person, title, due) is not None

    async def looked_after() -> bool:
        workflows = (await person.call("GET", "/workflows")).json()["items"]
        found = [(await person.call("GET", f"/workflows/{each['id']}")).json() for each in workflows]
        return len([each for each in found if each["execution"] and each["execution"]["status"] == "running"]) == 5

    await until(looked_after, within=8, what="the worker knows all of them")
    await until(lambda: datetime.now(UTC) >= due - timedelta(seconds=2), within=10, what="two seconds are left")
    await stack.kill("worker-core")
    verdict = await ledger.outcome(stack, inbox, person, within=30)
    assert (verdict.accepted, verdict.lost, verdict.duplicates, verdict.ambiguous) == (5, [], [], 0)
    assert verdict.late.max <= 15


def ledgers_in(folder: Path) -> dict[tuple[str, str], Ledger]:
    return {(channel, when): Ledger(folder / f"{channel}-{when}.db") for channel in CHANNELS for when in FAULTS}


@pytest.mark.parametrize("when", FAULTS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_worker_killed_in_the_middle_of_a_message_loses_none(outcome: Outcome, channel: str, when: str) -> None:
    verdict = outcome[channel, when]
    assert (verdict.accepted, verdict.lost, verdict.duplicates) == (COUNT, [], [])


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_the_provider_had_not_done_is_done_once_and_within_an_attempt(outcome: Outcome, channel: str) -> None:
    verdict = outcome[channel, "before"]
    assert verdict.ambiguous == 0
    attempt = PROVIDER_CALL["start_to_close_timeout"].total_seconds()
    assert HELD_SECONDS < verdict.late.max <= attempt + 5


def test_what_a_provider_that_honours_keys_had_done_is_not_done_again(outcome: Outcome) -> None:
    assert outcome["email", "after"].ambiguous == 0


@pytest.mark.parametrize("channel", ["sms", "push"])
def test_what_a_provider_without_keys_had_done_comes_again_as_recognisably_the_same(
    outcome: Outcome, channel: str
) -> None:
    assert outcome[channel, "after"].ambiguous == COUNT
    assert outcome[channel, "after"].late.max <= 10
