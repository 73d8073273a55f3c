"""What is committed reaches Temporal: once is enough, twice is harmless, never is not an option."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from prometheus_client import generate_latest
from temporalio.client import Client

from core.crypto import Subject
from core.db import Database, connect_directly
from core.settings import Settings
from integrations.keys.store import KeyStore
from temporal import ids
from temporal.client import CALL_SECONDS, connect, plugin
from tests.relay.kit import KINDS, all_sent, bells, new_workflow_id, ring, running, signals, unsent, until
from workers.outbox_table import Failed, OutboxRow, OutboxTable
from workers.relay import Relay
from workers.sender import Sender


@pytest.fixture
async def client(settings: Settings, keys: KeyStore) -> Client:
    return await connect(settings, plugin(keys), lazy=True, runtime=None)


@pytest.fixture
def relay(settings: Settings, client: Client) -> Relay:
    return Relay(settings, client, KINDS)


async def test_a_committed_bell_starts_the_workflow_and_rings_it(db: Database, relay: Relay, client: Client) -> None:
    workflow_id = new_workflow_id()
    async with running(relay):
        await ring(db, workflow_id)
        await until(all_sent(db))
    assert await signals(client, workflow_id) == 1
    described = await client.get_workflow_handle(workflow_id).describe()
    assert described.typed_search_attributes.search_attributes[0].value == ids.owner_attribute(workflow_id)
    assert await described.static_summary() == "Rung"


async def test_what_no_notification_announced_is_found_by_the_poll(db: Database, relay: Relay) -> None:
    async with running(relay):
        await db.reads.execute(
            "INSERT INTO outbox (id, aggregate, kind, workflow_id, args, coalescing, attempts) "
            "VALUES ($1, 'a', 'bell', $2, '{}', true, 0)",
            uuid4(),
            new_workflow_id(),
        )
        await until(all_sent(db))


async def test_a_one_shot_enqueued_twice_runs_once(db: Database, relay: Relay, client: Client) -> None:
    workflow_id = new_workflow_id()
    await ring(db, workflow_id, "once")
    await ring(db, workflow_id, "once")
    async with running(relay):
        await until(all_sent(db))
        handle = client.get_workflow_handle(workflow_id)
        first = (await handle.describe()).run_id
        await handle.terminate()
        await ring(db, workflow_id, "once")
        await until(all_sent(db))
    assert (await handle.describe()).run_id == first


async def test_what_may_be_repeated_runs_once_at_a_time(db: Database, relay: Relay, client: Client) -> None:
    workflow_id = new_workflow_id()
    handle, runs = client.get_workflow_handle(workflow_id), []
    async with running(relay):
        for _ in range(3):
            await ring(db, workflow_id, "search")
            await until(all_sent(db))
            runs.append((await handle.describe()).run_id)
            if len(runs) == 2:
                await handle.terminate()
    assert runs[0] == runs[1] != runs[2]


async def test_a_bell_for_an_ended_entity_starts_it_again(db: Database, relay: Relay, client: Client) -> None:
    workflow_id = new_workflow_id()
    async with running(relay):
        await ring(db, workflow_id)
        await until(all_sent(db))
        await client.get_workflow_handle(workflow_id).terminate()
        await ring(db, workflow_id)
        await until(all_sent(db))
    assert await signals(client, workflow_id) == 1


async def test_a_bell_rung_during_the_send_is_sent_after_it(
    db: Database, relay: Relay, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first send is held until the second bell has committed: the row must not be marked done with it."""
    workflow_id = new_workflow_id()
    sending, go_on, send = asyncio.Event(), asyncio.Event(), Sender.send

    async def held(sender: Sender, row: OutboxRow) -> None:
        await send(sender, row)
        sending.set()
        await go_on.wait()

    monkeypatch.setattr(Sender, "send", held)
    async with running(relay):
        await ring(db, workflow_id)
        await sending.wait()
        await ring(db, workflow_id)
        assert await unsent(db) == 1
        go_on.set()
        await until(all_sent(db))
    assert await signals(client, workflow_id) == 2


async def test_a_poison_row_blocks_nobody_else_and_is_parked(db: Database, relay: Relay) -> None:
    """Back-off is taken away, so that ten attempts pass quickly; others go through all the while."""
    await ring(db, new_workflow_id(), "poison")
    await ring(db, new_workflow_id(), "unheard-of")

    async def parked() -> bool:
        await db.reads.execute("UPDATE outbox SET claimed_until = NULL WHERE done_at IS NULL AND attempts > 0")
        await ring(db, new_workflow_id())
        await until(all_but(db, 2))
        return await db.reads.fetchval("SELECT count(*) FROM outbox WHERE attempts = 10") == 2

    async with running(relay):
        await until(parked)
        await until(lambda: gauges_are(parked=2, oldest=0))
    rows = await db.reads.fetch("SELECT last_error, claimed_until FROM outbox WHERE done_at IS NULL ORDER BY id")
    assert [(row["last_error"].partition(":")[0], row["claimed_until"]) for row in rows] == [
        ("ValueError", None),
        ("KeyError", None),
    ]


async def test_a_failing_row_blocks_its_aggregate_until_it_is_parked(db: Database, relay: Relay) -> None:
    aggregate = f"reminder/{uuid4()}"
    await ring(db, new_workflow_id(), "poison", aggregate=aggregate)
    await ring(db, new_workflow_id(), aggregate=aggregate)
    async with running(relay):
        await ring(db, new_workflow_id())
        await until(all_but(db, 2))
        await db.reads.execute("UPDATE outbox SET attempts = 9, claimed_until = NULL WHERE kind = 'poison'")
        await until(all_but(db, 1))


async def test_nothing_is_sent_for_somebody_being_erased_and_nobody_waits_for_it(
    db: Database, relay: Relay, keys: KeyStore
) -> None:
    user_id, aggregate = uuid4(), f"reminder/{uuid4()}"
    await db.reads.execute(
        "INSERT INTO users (id, email_ct, email_bidx, timezone, locale, subscription_tier, state, token_epoch,"
        " password_single_factor_ok) VALUES ($1, '', $2, 'UTC', 'en', 'free', 'erasing', 1, false)",
        user_id,
        user_id.bytes,
    )
    await ring(db, new_workflow_id(), "once", aggregate=aggregate, user_id=user_id)
    await ring(db, new_workflow_id(), aggregate=aggregate)
    async with running(relay):
        await until(all_but(db, 1))
    assert await db.reads.fetchval("SELECT user_id FROM outbox WHERE done_at IS NULL") == user_id


async def test_a_destroyed_key_counts_as_sent(db: Database, relay: Relay, keys: KeyStore, client: Client) -> None:
    user_id = uuid4()
    await keys.create(Subject.user(user_id))
    await db.reads.execute(
        "UPDATE user_keys SET destroyed_at = clock_timestamp(), wrapped_dek = NULL WHERE owner_id = $1", user_id
    )
    await ring(db, ids.mail(user_id, uuid4()), "once")
    async with running(relay):
        await until(all_sent(db))


async def test_a_missing_key_fails_the_row_and_no_other(db: Database, relay: Relay) -> None:
    await ring(db, ids.mail(uuid4(), uuid4()), "once")
    await ring(db, new_workflow_id())
    async with running(relay):
        await until(all_but(db, 1))
        await until(lambda: failed_with(db, "KeyMissing"))


async def test_a_row_that_gets_no_answer_while_others_do_waits_and_is_never_given_up(
    db: Database, settings: Settings
) -> None:
    connection = await connect_directly(settings)
    table = OutboxTable(connection)
    await ring(db, new_workflow_id())
    await db.reads.execute("UPDATE outbox SET attempts = 9")
    (row,) = await table.claim(1, 30)
    (unanswered,) = await table.failed([Failed(row, "TimeoutError", final=False)])
    (refused,) = await table.failed([Failed(row, "ValueError")])
    await connection.close()
    assert (unanswered.attempts, unanswered.parked) == (9, False)
    assert (refused.attempts, refused.parked) == (10, True)


async def test_what_one_relay_claimed_another_does_not_get(db: Database, settings: Settings) -> None:
    for _ in range(150):
        await ring(db, new_workflow_id())
    one, other = await connect_directly(settings), await connect_directly(settings)
    claims = await asyncio.gather(OutboxTable(one).claim(50, 30), OutboxTable(other).claim(50, 30))
    claims += [await OutboxTable(one).claim(100, 30)]
    claimed = [row.id for rows in claims for row in rows]
    assert len(claimed) == len(set(claimed)) == 150
    for connection in (one, other):
        await connection.close()


async def test_two_relays_do_nothing_twice(db: Database, settings: Settings, client: Client) -> None:
    """A start that timed out is sent again: the same bell, which an entity drops. Another bell would be a defect."""
    workflows = [new_workflow_id() for _ in range(60)]
    for workflow_id in workflows:
        await ring(db, workflow_id)
    async with AsyncExitStack() as relays:
        for _ in range(2):
            await relays.enter_async_context(running(Relay(settings, client, KINDS)))
        await until(all_sent(db))
    rung = await db.reads.fetch("SELECT workflow_id, seq FROM outbox")
    assert {row["workflow_id"]: {row["seq"]} for row in rung} == {it: await bells(client, it) for it in workflows}


async def test_the_relay_survives_the_loss_of_its_connection(db: Database, relay: Relay) -> None:
    async with running(relay):
        await ring(db, new_workflow_id())
        await until(all_sent(db))
        ended = await db.reads.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%outbox o%' AND pid <> pg_backend_pid()"
        )
        assert ended
        await ring(db, new_workflow_id())
        await until(all_sent(db))


def test_the_end_of_an_outage_of_a_minute_is_noticed_as_soon_as_that_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch, relay: Relay
) -> None:
    """It once was asked every half minute only, and what people had done meanwhile was late by as much."""
    now, outage = 1_000.0, relay._flight.outage
    monkeypatch.setattr("workers.relay.monotonic", lambda: now)
    while now < 1_060:
        started, now = now, now + CALL_SECONDS
        outage.note("away", started)
        asked_at = now
        while outage.waiting:
            now += 0.1
        assert now - asked_at < 2


def all_but(db: Database, count: int) -> Callable[[], Awaitable[bool]]:
    async def left() -> bool:
        return await unsent(db) == count

    return left


async def failed_with(db: Database, error: str) -> bool:
    return str(await db.reads.fetchval("SELECT last_error FROM outbox WHERE done_at IS NULL")).startswith(error)


async def gauges_are(*, parked: int, oldest: float) -> bool:
    """A parked row alarms as such, not as a backlog that grows for ever."""
    text = generate_latest().decode()
    return f"outbox_parked {parked}.0" in text and f"outbox_oldest_unsent_seconds {oldest}.0" in text
