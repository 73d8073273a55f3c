"""Everything a running stack has written down, as text to be searched for what may never be found there."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from google.protobuf.json_format import MessageToDict
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from tests.stack import Stack

_SEALED = base64.b64encode(b"binary/encrypted").decode()
_MOST = 500
"""Payloads of one request."""


def every_log(data_dir: Path) -> Iterator[tuple[Path, str]]:
    """What any process wrote, but for the providers' own stores, which are the outside world."""
    for path in (data_dir / "logs").rglob("*"):
        if path.is_file():
            yield path, path.read_text(errors="replace")


async def histories(stack: Stack) -> tuple[list[str], list[HistoryEvent]]:
    """What the server holds of every workflow: what is shown in lists, and the events. Without the codec."""
    status = await stack.status()
    client = await Client.connect(status["temporal_address"], namespace="petfolio")
    shown: list[str] = []
    events: list[HistoryEvent] = []
    async for execution in client.list_workflows():
        shown.append(str(execution.raw_info))
        history = await client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
        assert history.events[0].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        events += history.events
    return shown, events


async def everything_temporal_holds(stack: Stack) -> str:
    """Histories, search attributes, memos and ids of every workflow, as the server stores them (no codec)."""
    shown, events = await histories(stack)
    assert len(shown) >= 2, "there were workflows"
    return "\n".join([*shown, *map(str, events)])


async def everything_temporal_opens(stack: Stack, client: httpx.AsyncClient) -> str:
    """The payloads of every history, as the codec server shows them to operators."""
    _, events = await histories(stack)
    sealed = [payload for event in events for payload in _payloads(MessageToDict(event))]
    assert sealed
    opened: list[bytes] = []
    for first in range(0, len(sealed), _MOST):
        answer = await client.post("/temporal/codec/decode", json={"payloads": sealed[first : first + _MOST]})
        answer.raise_for_status()
        opened += [base64.b64decode(each["data"]) for each in answer.json()["payloads"]]
    return "\n".join(each.decode(errors="replace") for each in opened)


async def everything_postgres_holds(stack: Stack) -> str:
    """Every row of every table, as text; sealed columns are sealed."""
    database = await asyncpg.connect(stack.settings()["PETFOLIO_MIGRATION_URL"], ssl=False)
    try:
        tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await database.fetch(f'SELECT x::text AS row FROM "{name}" x') for (name,) in tables]
    finally:
        await database.close()
    return "\n".join(str(row["row"]) for table in rows for row in table)


def found_in(text: str, words: Iterable[str]) -> list[str]:
    """Which of the words are there: as they are, in base64, or in hexadecimal digits."""
    return [word for word in words if any(form in text for form in _forms(word))]


def _forms(word: str) -> Iterator[str]:
    yield word
    yield word.encode().hex()
    yield base64.b64encode(word.encode()).decode().rstrip("=")[:-1]


def _payloads(value: Any) -> Iterator[dict[str, Any]]:
    """Sealed payloads, wherever they are."""
    if isinstance(value, dict):
        if value.get("metadata", {}).get("encoding") == _SEALED:
            yield value
        for each in value.values():
            yield from _payloads(each)
    elif isinstance(value, list):
        for each in value:
            yield from _payloads(each)
