"""Must hold: with the Temporal server dead for 20 s the api answers as always, and everything fires afterwards (F4)."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.person import Person, sign_up, soon
from tests.services import TemporalServer
from tests.stack import Inbox, running_stack, until

pytestmark = pytest.mark.timeout(240)
OUTAGE_SECONDS = 20


@pytest.fixture
async def temporal(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    """A server of our own on a file: the stack uses it as `external`, so only this test kills and starts it."""
    server = TemporalServer(tmp_path / "temporal")
    await server.start()
    yield server
    await server.stop()


async def test_temporal_dead_for_20_seconds_costs_lateness_and_nothing_else(
    temporal: TemporalServer, ledger: Ledger
) -> None:
    async with (
        running_stack("temporal", PETFOLIO_TEMPORAL_ADDRESS=temporal.address) as stack,
        httpx.AsyncClient(base_url=(await stack.status())["api_url"], timeout=20) as client,
        httpx.AsyncClient(base_url=(await stack.status())["inbox_url"], timeout=20) as mails,
    ):
        inbox = Inbox(mails)
        person = await sign_up(client, inbox)
        earlier = await ledger.ask("earlier-000", person.remind(due=soon(8), title="earlier-000"))
        open_occurrence = await occurrence_of(person, "act-000", ledger)

        await temporal.kill()
        down_at = time.monotonic()
        for n in range(20):
            answer = await ledger.ask(f"during-{n:03}", person.remind(due=soon(10), title=f"during-{n:03}"))
            assert answer is not None
            assert answer.status_code == 201, answer.text
        snoozed = await person.call("POST", f"/occurrences/{open_occurrence}/snooze", json={"minutes": 10})
        completed = await person.call("POST", f"/occurrences/{open_occurrence}/complete", json={})
        assert (snoozed.status_code, completed.status_code) == (200, 200), snoozed.text + completed.text
        assert earlier is not None
        shown = await person.call("GET", f"/reminders/{earlier.json()['id']}")
        assert shown.status_code == 200
        # The outage itself is what this test is about: it lasts as long as the requirement says.
        await asyncio.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - down_at)))
        await temporal.start()

        async def complete() -> bool:
            verdict = ledger.verdict(await inbox.messages(person.email))
            return set(verdict.lost) <= {"act-000"}

        await until(complete, within=60, what="everything accepted fired after the outage")
        verdict = ledger.verdict(await inbox.messages(person.email))
        assert (verdict.duplicates, verdict.ambiguous, verdict.unknown) == ([], 0, 0)


async def occurrence_of(person: Person, title: str, ledger: Ledger) -> str:
    """The pending occurrence of a new reminder due tomorrow."""
    created = await ledger.ask(title, person.remind(due=soon(86_400), title=title))
    assert created is not None
    listed = await person.call("GET", f"/reminders/{created.json()['id']}/occurrences")
    return str(listed.json()["items"][0]["id"])
