"""Stripe's webhook: what is accepted, what is written down, and who hears of it (billing.md §9, S1–S5)."""

import asyncio
import json
import secrets
import time
from typing import Any, Final

import asyncpg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from core.db import Database, connect_directly
from core.settings import Settings
from domain.billing.events import HANDLED
from temporal import ids, outbox
from tests.api.signing_in import OPEN, Api, Person, api_process
from tests.api.stripe_kit import (
    OLDER,
    SECRET,
    bells,
    body_of,
    customer,
    deliver,
    heard,
    kept,
    post,
    signature,
    signed,
    snapshot,
    thin,
)

SWITCHED_ON: Final[dict[str, Any]] = {
    "rate_limits": OPEN,
    "stripe_api_key": SecretStr("sk_test_none"),
    "stripe_webhook_secrets": (SecretStr(SECRET), SecretStr(OLDER)),
}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def paying(db: Database, person: Person) -> str:
    """The customer that the person is at Stripe."""
    return await customer(db, person.user_id)


def paid(customer_id: str, **fields: Any) -> dict[str, Any]:
    return snapshot("invoice.paid", {"id": "in_1", "object": "invoice", "customer": customer_id}, **fields)


async def test_an_event_is_written_down_with_one_bell_for_its_account(
    api: Api, db: Database, person: Person, paying: str
) -> None:
    event = paid(paying)
    answer = await deliver(api, event)
    assert (answer.status_code, answer.content) == (200, b"")
    assert await kept(db, event["id"]) == ("received", person.user_id)
    (bell,) = await bells(db, ids.billing(person.user_id))
    async with db.sessions.begin() as session:
        await outbox.ring_billing(session, person.user_id)
    (again,) = await bells(db, ids.billing(person.user_id))
    assert again.pop("seq") > bell.pop("seq"), "the outbox's own bell falls on the same row"
    assert again == bell


async def test_a_body_that_a_proxy_wrote_anew_is_refused_and_not_kept(api: Api, db: Database, paying: str) -> None:
    event = paid(paying)
    header = signed(body_of(event))
    answer = await post(api, json.dumps(event, separators=(",", ":")).encode(), header)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_rejected")
    assert await kept(db, event["id"]) is None


@pytest.mark.parametrize("off", [-301, 301, 86_400])
async def test_a_message_of_another_time_is_refused(api: Api, db: Database, paying: str, off: int) -> None:
    event = paid(paying)
    body = body_of(event)
    assert (await post(api, body, signed(body, at=time.time() + off))).status_code == 400
    assert await kept(db, event["id"]) is None


async def test_one_good_signature_of_two_is_enough(api: Api, db: Database, paying: str) -> None:
    event, stamp = paid(paying), int(time.time())
    body = body_of(event)
    header = f"t={stamp},v1={'0' * 64},v1={signature(body, stamp)},v0=deadbeef"
    assert (await post(api, body, header)).status_code == 200
    assert await kept(db, event["id"]) is not None


async def test_both_secrets_count_while_one_replaces_the_other_and_no_third_does(api: Api, paying: str) -> None:
    assert (await deliver(api, paid(paying), SECRET)).status_code == 200
    assert (await deliver(api, paid(paying), OLDER)).status_code == 200
    assert (await deliver(api, paid(paying), "whsec_other")).status_code == 400
    assert (await deliver(api, paid(paying), "")).status_code == 400


@pytest.mark.parametrize("header", [None, "", "t=,v1=", "v1=abc", "t=1", "t=9999999999999999999,v1=aa", "t=½,v1=aa"])
async def test_a_message_without_a_signature_is_refused(api: Api, header: str | None) -> None:
    body = body_of(snapshot("invoice.paid", {"id": "in_1"}))
    assert (await post(api, body, header)).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b"{",
        b"\xff\xfe",
        b'{"id": "evt_1"}',
        b'{"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1, "livemode": false, "data": []}',
        json.dumps(snapshot("invoice.paid", {"id": "in_1"}, id=1)).encode(),
        json.dumps(snapshot("invoice.paid", {"id": "in_1"}, created=10**18)).encode(),
        json.dumps(snapshot("invoice.paid", {"id": "in_1"}, created="yesterday")).encode(),
        json.dumps(snapshot("invoice.paid", {"id": "in_1"}, livemode="no")).encode(),
        json.dumps(snapshot("invoice.paid\0", {"id": "in_1"})).encode(),
        json.dumps(snapshot("invoice.paid", {"id": "in_1"}, api_version={"a": 1})).encode(),
        json.dumps(snapshot("invoice.paid", {"id": "in_1", "customer": "cus\0"})).encode(),
    ],
)
async def test_what_is_signed_and_no_event_is_refused(api: Api, body: bytes) -> None:
    assert (await post(api, body, signed(body))).status_code == 400


async def test_a_message_that_is_too_large_is_refused(api: Api) -> None:
    body = body_of(snapshot("invoice.paid", {"id": "in_1", "padding": "x" * 512 * 1024}))
    assert (await post(api, body, signed(body))).status_code == 413


async def test_the_same_event_ten_times_at_once_is_one_row_and_one_bell(
    api: Api, db: Database, person: Person, paying: str
) -> None:
    event = paid(paying)
    answers = await asyncio.gather(*(deliver(api, event) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert await kept(db, event["id"]) == ("received", person.user_id)
    assert len(await bells(db, ids.billing(person.user_id))) == 1


async def test_an_event_that_was_seen_and_not_handled_rings_again(
    api: Api, db: Database, person: Person, paying: str
) -> None:
    event = paid(paying)
    await deliver(api, event)
    await heard(db, ids.billing(person.user_id))
    assert (await deliver(api, event)).status_code == 200
    assert len(await bells(db, ids.billing(person.user_id))) == 1


@pytest.mark.parametrize("state", ["applied", "ignored"])
async def test_an_event_that_was_handled_is_a_duplicate(
    api: Api, db: Database, person: Person, paying: str, state: str
) -> None:
    event = paid(paying)
    await deliver(api, event)
    await heard(db, ids.billing(person.user_id))
    await db.reads.execute("UPDATE stripe_events SET state = $2 WHERE id = $1", event["id"], state)
    assert (await deliver(api, event)).status_code == 200
    assert await kept(db, event["id"]) == (state, person.user_id)
    assert await bells(db, ids.billing(person.user_id)) == []


async def test_thin_and_snapshot_of_one_thing_that_happened_ring_the_same_bell(
    api: Api, db: Database, person: Person, paying: str
) -> None:
    await db.reads.execute(
        """INSERT INTO billing_charges (charge_id, account_id, payment_intent_id, invoice_id, amount_minor, currency,
                                        is_disputed, paid_at)
           VALUES ($1, $2, $1, $3, 500, 'EUR', false, clock_timestamp())""",
        f"ch_{paying}",
        person.user_id,
        f"in_{paying}",
    )
    events = (thin("v1.invoice.paid", f"in_{paying}"), paid(paying), thin("v1.customer.updated", paying))
    for event in events:
        assert (await deliver(api, event)).status_code == 200
        assert await kept(db, event["id"]) == ("received", person.user_id)
    assert len(await bells(db, ids.billing(person.user_id))) == 1


async def test_an_event_that_names_nobody_is_asked_about(api: Api, db: Database) -> None:
    event = thin("v1.invoice.paid", "in_of_whom")
    assert (await deliver(api, event)).status_code == 200
    assert await kept(db, event["id"]) == ("received", None)
    assert (await deliver(api, event)).status_code == 200
    (row,) = await bells(db, ids.billing_resolve(event["id"]))
    await heard(db, ids.billing_resolve(event["id"]))
    async with db.sessions.begin() as session:
        await outbox.start_resolve(session, event["id"])
    (same,) = await bells(db, ids.billing_resolve(event["id"]))
    passing = {"id", "seq", "created_at", "updated_at"}
    assert {name: value for name, value in same.items() if name not in passing} == {
        name: value for name, value in row.items() if name not in passing
    }


async def test_an_event_of_a_customer_who_is_none_of_ours_is_nobody_s_until_they_are_ours(
    api: Api, db: Database, person: Person
) -> None:
    stranger = paid("cus_stranger")
    assert (await deliver(api, stranger)).status_code == 200
    assert await kept(db, stranger["id"]) == ("orphan", None)
    mine = await customer(db, person.user_id)
    await db.reads.execute("UPDATE stripe_events SET customer_id = $1 WHERE id = $2", mine, stranger["id"])
    assert (await deliver(api, paid(mine, id=stranger["id"]))).status_code == 200
    assert await kept(db, stranger["id"]) == ("received", person.user_id)
    assert len(await bells(db, ids.billing(person.user_id))) == 1


@pytest.mark.parametrize("fields", [{"type": "product.created"}, {"livemode": True}])
async def test_what_is_not_for_us_is_noted_and_rings_nobody(
    api: Api, db: Database, person: Person, paying: str, fields: dict[str, Any]
) -> None:
    event = paid(paying) | fields
    assert (await deliver(api, event)).status_code == 200
    assert await kept(db, event["id"]) == ("ignored", None)
    assert await bells(db, ids.billing(person.user_id)) == []


async def test_a_redelivery_after_a_failure_of_the_database_is_processed(
    app: FastAPI, api: Api, db: Database, person: Person, paying: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, first_of_invoice = paid(paying), paid(paying) | {"type": "invoice.created"}

    async def away(*_: object) -> None:
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    with monkeypatch.context() as patched:
        patched.setattr(app.state.services.db.reads, "fetchrow", away)
        assert (await deliver(api, event)).status_code == 503
        assert (await deliver(api, first_of_invoice)).status_code == 200, "Stripe would hold the charge back"
    assert await kept(db, event["id"]) is None
    assert (await deliver(api, event)).status_code == 200
    assert await kept(db, event["id"]) == ("received", person.user_id)


async def test_a_hundred_events_of_one_account_at_once_are_one_bell(
    api: Api, db: Database, person: Person, paying: str
) -> None:
    events = [paid(paying) for _ in range(100)]
    answers = await asyncio.gather(*(deliver(api, event) for event in events))
    assert {answer.status_code for answer in answers} == {200}
    written = "SELECT count(*) FROM stripe_events WHERE account_id = $1 AND state = 'received'"
    assert await db.reads.fetchval(written, person.user_id) == 100
    assert len(await bells(db, ids.billing(person.user_id))) == 1


async def test_a_bell_that_waits_is_left_as_it_is_and_one_that_is_being_sent_is_rung_anew(
    api: Api, db: Database, person: Person, paying: str
) -> None:
    await deliver(api, paid(paying))
    (first,) = await bells(db, ids.billing(person.user_id))
    await deliver(api, paid(paying))
    assert await bells(db, ids.billing(person.user_id)) == [first]
    await db.reads.execute("UPDATE outbox SET claimed_until = clock_timestamp() + interval '1 minute', attempts = 3")
    await deliver(api, paid(paying))
    (again,) = await bells(db, ids.billing(person.user_id))
    assert (again["id"], again["attempts"]) == (first["id"], 0)
    assert again["seq"] > first["seq"], "or the relay would mark done what it has not sent"


@pytest.mark.parametrize(
    ("waiting", "woken"),
    [
        ("created_at = clock_timestamp() + interval '1 minute'", 0),
        ("created_at = clock_timestamp() - interval '1 minute'", 1),
        ("claimed_until = clock_timestamp() + interval '1 minute'", 1),
        ("done_at = clock_timestamp()", 1),
    ],
    ids=["fresh", "old", "being sent", "sent"],
)
async def test_the_relay_is_woken_unless_the_newest_bell_has_just_woken_it(
    api: Api, db: Database, settings: Settings, paying: str, waiting: str, woken: int
) -> None:
    await deliver(api, thin("v1.invoice.paid", f"in_{secrets.token_hex(8)}"))
    await db.reads.execute(f"UPDATE outbox SET {waiting} WHERE done_at IS NULL")
    woken_by: asyncio.Queue[str] = asyncio.Queue()
    connection = await connect_directly(settings)
    try:
        await connection.add_listener(outbox.CHANNEL, lambda *said: woken_by.put_nowait(said[-1]))
        await deliver(api, paid(paying))
        await db.reads.execute("SELECT pg_notify($1, 'after it')", outbox.CHANNEL)
        for _ in range(woken):
            assert await woken_by.get() == ""
        assert await woken_by.get() == "after it"
    finally:
        connection.terminate()


async def test_without_a_key_there_is_nothing(settings: Settings) -> None:
    async with api_process(settings.model_copy(update={"stripe_api_key": None})) as off:
        assert (await deliver(off, paid("cus_1"))).status_code == 404


def test_every_event_we_are_subscribed_to_is_handled() -> None:
    assert len(HANDLED) == 34
    assert {"charge.dispute.closed", "customer.subscription.trial_will_end", "refund.failed"} <= HANDLED
