"""Must hold: whatever dies at whatever moment, nobody is charged twice, and what we have is what Stripe has (S26).

Five people subscribe, change, cancel, replace cards and want their money back while months pass at Stripe; the api, two
workers, Temporal and Postgres are killed at random moments of it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from core.settings import RateLimit
from temporal import ids
from tests.conftest import EXPLORE
from tests.faults import billing_books as books
from tests.faults.billing import DAY, HOMES, Load, Payer, Stripe, stripe_of
from tests.faults.billing_books import Theirs
from tests.person import sign_up
from tests.stack import Inbox, Stack, running_stack, until

POINTS = 100 if EXPLORE else 6
VICTIMS: Final = ("api", "worker-billing", "worker-core", "temporal", "postgres")
APART = 5.0
"""Seconds between two kills: the supervisor gives a service up that ends more than five times in a minute."""
ANSWERS: Final = {200, 202, 402, 404, 409, 429, 502, 503}
"""What people are told. 402: the card was declined; 502: Stripe would not have it as it was asked, because it was not
any more as it had been read; never 500."""
MIX: Final = {"checkout.session.completed", "customer.subscription.updated", "invoice.payment_failed", "refund.created"}
"""What happens at Stripe in every run, beside much else."""
JOBS: Final = ("billing-events", "billing-sweep")
SEED = 6
pytestmark = pytest.mark.timeout(300 + POINTS * 30)


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    """One in which people may ask Stripe as often as they like, and whose clock is theirs."""
    roomy = RateLimit(quota=6000, window=60, burst=1000).model_dump_json()
    async with running_stack("billing", PETFOLIO_RATE_LIMITS__PAYMENTS=roomy) as stack:
        yield stack


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=(await stack.status())["api_url"], timeout=20) as client:
        yield client


@pytest.fixture
async def inbox(stack: Stack) -> AsyncIterator[Inbox]:
    async with httpx.AsyncClient(base_url=(await stack.status())["inbox_url"], timeout=20) as client:
        yield Inbox(client)


@pytest.fixture
async def payers(stack: Stack, client: httpx.AsyncClient, inbox: Inbox) -> AsyncIterator[list[Payer]]:
    await inbox.faults(honour_keys=True)
    async with stripe_of(stack) as stripe:
        answers = Counter[tuple[int, str, str]]()
        yield [Payer(await sign_up(client, inbox), currency, stripe, answers) for currency in HOMES]
    await inbox.faults(honour_keys=False)


async def test_whatever_dies_in_the_middle_of_it_the_books_agree_and_each_mail_came_once(
    stack: Stack, payers: list[Payer], inbox: Inbox, record_property: Callable[[str, object], None]
) -> None:
    dice, over = random.Random(SEED), asyncio.Event()
    stripe = payers[0].stripe
    people = asyncio.create_task(Load(stripe, payers, dice).run(over))
    for point in range(POINTS):
        pause = asyncio.create_task(asyncio.sleep(APART))
        await asyncio.sleep(dice.uniform(0, 3))  # any moment is meant
        assert not people.done(), people
        await strike(stack, VICTIMS[point % len(VICTIMS)])
        await pause
    await until(lambda: has_seen_everything(stripe), within=120, what="people have done all that there is to do")
    over.set()
    await people
    await until(lambda: everything_runs(stack), within=90, what="everything runs again")
    record_property("answers", [*payers[0].answers.items()])
    assert {status for status, *_ in payers[0].answers} <= ANSWERS, payers[0].answers
    await look_after(stack, stripe)
    theirs = await agree(stack, stripe, payers, inbox)
    record_property("happened", [*theirs.happened().items()])


async def has_seen_everything(stripe: Stripe) -> bool:
    """Chance may leave something out of the first minute."""
    return Theirs(await stripe.objects(), await stripe.ledger()).happened().keys() >= MIX


async def strike(stack: Stack, victim: str) -> None:
    """Kill it, once it runs; others may not yet have come back from before."""

    async def runs() -> bool:
        return bool((await stack.status())["services"][victim]["state"] == "running")

    await until(runs, within=90, what=f"{victim} runs")
    await stack.kill(victim)


async def everything_runs(stack: Stack) -> bool:
    """Every process of ours."""
    services = (await stack.status())["services"]
    return all(services[victim]["state"] == "running" for victim in VICTIMS)


async def look_after(stack: Stack, stripe: Stripe) -> None:
    """A day passes in peace; then the jobs of the hour run. An operation that nobody goes on with is a day older."""
    for _ in range(4):
        await stripe.pass_by(DAY // 4)
    database = await asyncpg.connect(stack.settings()["PETFOLIO_DATABASE_URL"], ssl=False)
    await database.execute("UPDATE billing_operations SET created_at = created_at - interval '1 day'")
    await database.close()
    temporal = await Client.connect((await stack.status())["temporal_address"], namespace="petfolio")
    for job in JOBS:
        await temporal.get_schedule_handle(ids.job(job)).trigger()


async def agree(stack: Stack, stripe: Stripe, payers: list[Payer], inbox: Inbox) -> Theirs:
    """Soon, and then still: nothing is left to do, and the three books say the same."""
    database = await asyncpg.connect(stack.settings()["PETFOLIO_DATABASE_URL"], ssl=False)
    for each in payers:
        await each.person.login()
    accounts = {(await each.person.call("GET", "/users/profile")).json()["id"]: each for each in payers}
    now = await stripe.now()

    async def differences() -> dict[str, object]:
        theirs, found = Theirs(await stripe.objects(), await stripe.ledger()), dict[str, object]()
        for account_id, payer in accounts.items():
            here, since = await books.ours(database, account_id, now)
            there = theirs.of(account_id, now, since)
            arrived, sent = await books.mails(database, inbox, account_id, payer.person.email)
            left = await books.unfinished(database, account_id)
            if here != there or left or arrived != Counter(sent):
                found[account_id] = {"here": here, "there": there, "left": left, "mails": (arrived, sent)}
        return found

    async def none() -> bool:
        await asyncio.sleep(0.5)  # the books are long
        return not await differences()

    try:
        await until(none, within=150, what="the books agree")
    except AssertionError:
        assert await differences() == {}
    finally:
        await database.close()
    theirs = Theirs(await stripe.objects(), await stripe.ledger())
    assert theirs.charged_twice() == []
    assert all(len(theirs.customers(account_id)) <= 1 for account_id in accounts)
    return theirs
