"""Must hold: with the Temporal server dead for 20 s the api answers as always, and everything fires afterwards (F4)."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from temporal.client import CALL_SECONDS
from tests.faults.ledger import Ledger
from tests.person import Person, sign_up, soon
from tests.services import TemporalServer
from tests.stack import Inbox, running_stack

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
        seen = await occurrence_of(person, soon(3), "seen")
        await inbox.mail_with(person.email, "seen")
        to_do = await occurrence_of(person, soon(86_400), "to-do")
        not_today = await occurrence_of(person, soon(86_400), "not-today")
        due = soon(10)
        for n in range(5):
            await ledger.remind(person, f"before-{n}", due)

        await temporal.kill()
        down_at = time.monotonic()
        for n in range(20):
            answer = await ledger.remind(person, f"during-{n:02}", due)
            assert answer is not None
            assert answer.status_code == 201, answer.text
        for occurrence, action, body in (
            (seen, "acknowledge", None),
            (to_do, "snooze", {"minutes": 10}),
            (to_do, "complete", {}),
            (to_do, "undo", None),
            (not_today, "skip", None),
        ):
            acted = await person.call("POST", f"/occurrences/{occurrence}/{action}", json=body, timeout=CALL_SECONDS)
            assert acted.status_code == 200, f"{action}: {acted.text}"
        # The outage itself is what this test is about: it lasts as long as the requirement says.
        await asyncio.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - down_at)))
        await temporal.start()
        outage = time.time() - due.timestamp()

        verdict = await ledger.outcome(stack, inbox, person, within=60)
        assert (verdict.accepted, verdict.lost, verdict.duplicates) == (25, [], [])
        assert (verdict.ambiguous, verdict.unknown) == (0, 0)
        assert verdict.late.max <= outage + 10


async def occurrence_of(person: Person, due: datetime, title: str) -> str:
    """The first occurrence of a new reminder."""
    created = await person.remind(due=due, title=title)
    listed = await person.call("GET", f"/reminders/{created.json()['id']}/occurrences")
    return str(listed.json()["items"][0]["id"])
