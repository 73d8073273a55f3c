"""Stripe in the local stack: a process, with the plans and our endpoint in it, that drops connections for real."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import stripe

from domain.billing.catalogue import CURRENCIES, INTERVALS, Tier, lookup_key
from infra.local import stripe_seed
from infra.local.environment import with_settings
from infra.local.launchers import stripe as launcher
from infra.local.site import Site
from tests.services import Servers
from tests.stripe_servers import API_VERSION


@pytest.fixture
def site(servers: Servers) -> Site:
    return servers.start(launcher.SERVICE)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[stripe.StripeClient]:
    base = launcher.settings(site)["PETFOLIO_STRIPE_API_BASE"]
    http = stripe.HTTPXClient(timeout=5)
    bases = dict.fromkeys(("api", "files", "connect", "meter_events"), base)
    yield stripe.StripeClient(
        launcher.KEY,
        http_client=http,
        stripe_version=API_VERSION,
        base_addresses=bases,  # type: ignore[arg-type]
        max_network_retries=0,
    )
    await http.close_async()  # type: ignore[no-untyped-call]


async def test_the_plans_are_there_in_every_currency(client: stripe.StripeClient) -> None:
    expand: list[str] = ["data.currency_options", "data.product"]
    keys = [lookup_key(tier, interval) for tier in stripe_seed.PLANS for interval in INTERVALS]
    found = await client.v1.prices.list_async({"lookup_keys": keys, "expand": expand})
    prices = {price.lookup_key: price for price in found.data}
    assert set(prices) == {"plus_month", "plus_year", "family_month", "family_year"}
    options = prices["family_year"].currency_options
    assert options is not None
    assert {name: options[name].unit_amount for name in map(str.lower, CURRENCIES)} == {
        name: amounts[1] for name, amounts in stripe_seed.PLANS[Tier.FAMILY].items()
    }
    product = prices["family_year"].product
    assert not isinstance(product, str)
    assert product.metadata["tier"] == "family"


async def test_the_portal_offers_every_plan_from_the_start(client: stripe.StripeClient) -> None:
    customer = await client.v1.customers.create_async({})
    opened = await client.v1.billing_portal.sessions.create_async(
        {"customer": customer.id, "expand": ["configuration"]}
    )
    features: Any = opened.configuration.to_dict()["features"]  # type: ignore[union-attr]
    offered = [price for product in features["subscription_update"]["products"] for price in product["prices"]]
    assert len(offered) == len(stripe_seed.PLANS) * len(stripe_seed.INTERVALS)


async def test_seeding_again_makes_nothing_more(site: Site, client: stripe.StripeClient) -> None:
    async def ids() -> set[str]:
        v1 = client.v1
        lists = await asyncio.gather(
            v1.products.list_async(), v1.prices.list_async(), v1.promotion_codes.list_async(), v1.coupons.list_async()
        )
        endpoints = await v1.webhook_endpoints.list_async()
        portals = await v1.billing_portal.configurations.list_async()
        return {each.id for page in (*lists, endpoints, portals) for each in page.data}

    before = await ids()
    await asyncio.to_thread(launcher.SERVICE.provision, site)
    assert await ids() == before
    assert len(before) == 2 + 4 + 1 + 1 + 1 + 1


async def test_the_secret_that_the_stack_was_told_signs_the_messages(site: Site) -> None:
    """Known before the endpoint is made, and the same after the server has forgotten everything."""
    told = launcher.settings(site)["PETFOLIO_STRIPE_WEBHOOK_SECRETS"]
    base = launcher.settings(site)["PETFOLIO_STRIPE_API_BASE"]
    async with httpx.AsyncClient(base_url=base) as http:
        assert (await http.post("/_control/reset")).status_code == 200
    url = launcher.webhook_url(site)
    assert await asyncio.to_thread(stripe_seed.seed, launcher.KEY, base, url) == told


async def test_an_event_is_posted_and_signed(site: Site, client: stripe.StripeClient) -> None:
    arrived: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        signed = next(line.split(": ", 1)[1] for line in head.split("\r\n") if line.startswith("Stripe-Signature"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await arrived.put((body, signed))

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        endpoint = await client.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["customer.created"]})
        made = await client.v1.customers.create_async({"email": "ada@example.com"})
        body, signed = await asyncio.wait_for(arrived.get(), 10)
        await client.v1.webhook_endpoints.delete_async(endpoint.id)
    assert endpoint.secret is not None
    assert stripe.WebhookSignature.verify_header(body.decode(), signed, endpoint.secret, tolerance=300)
    assert json.loads(body)["data"]["object"]["id"] == made.id


async def test_a_dropped_connection_is_no_answer_but_what_was_done_stays(
    site: Site, client: stripe.StripeClient
) -> None:
    base = launcher.settings(site)["PETFOLIO_STRIPE_API_BASE"]
    key = f"pf:test:{os.urandom(4).hex()}"
    async with httpx.AsyncClient(base_url=base) as http:
        await http.post("/_control/faults", json={"method": "POST", "when": "after", "effect": "drop"})
        with pytest.raises(stripe.APIConnectionError):
            await client.v1.customers.create_async({"name": key}, {"idempotency_key": key})
    again = await client.v1.customers.create_async({"name": key}, {"idempotency_key": key})
    everybody = [each async for each in (await client.v1.customers.list_async({"limit": 100})).auto_paging_iter()]
    assert [each.id for each in everybody if each.name == key] == [again.id]


async def test_its_clock_ticks_by_itself(site: Site, client: stripe.StripeClient) -> None:
    async with httpx.AsyncClient(base_url=launcher.settings(site)["PETFOLIO_STRIPE_API_BASE"]) as http:
        await http.post("/_control/webhooks", json={"rules": [{"what": "delay", "seconds": 1}]})
        url = "http://127.0.0.1:9/nobody"
        endpoint = await client.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["customer.created"]})
        await client.v1.customers.create_async({"email": "late@example.com"})
        for _ in range(100):
            sent = [each for each in (await http.get("/_control/deliveries")).json() if each["url"] == url]
            if sent and sent[0]["attempts"]:
                break
            await asyncio.sleep(0.1)
        await client.v1.webhook_endpoints.delete_async(endpoint.id)
    assert sent[0]["attempts"][0]["status"] is None


async def test_the_page_shows_what_is_there_and_moves_the_clock(site: Site) -> None:
    async with httpx.AsyncClient(base_url=f"http://{site.address('stripe')}", follow_redirects=True) as http:
        before = (await http.get("/_control/clock")).json()["now"]
        answer = await http.post("/", data={"account": launcher.KEY, "action": "advance", "step": "a day"})
        after = (await http.get("/_control/clock")).json()["now"]
    assert answer.status_code == 200
    assert "plus_month" in answer.text
    assert "It is a day later." in answer.text
    assert 86_400 <= after - before < 86_400 + 60


async def test_a_key_of_the_persons_own_takes_its_place(site: Site) -> None:
    base = f"http://{site.address('stripe')}"
    environ = {"PETFOLIO_STRIPE_API_KEY": "sk_test_mine", "PETFOLIO_STRIPE_API_BASE": base}
    theirs = replace(site, environ=environ)
    assert launcher.SERVICE.given_by(theirs) == "sk_test_mine"
    assert with_settings(theirs, [launcher.SERVICE]).settings == {}
    assert await asyncio.to_thread(launcher.SERVICE.answers, theirs)
    nobody = replace(site, environ=environ | {"PETFOLIO_STRIPE_API_BASE": "http://127.0.0.1:9"})
    assert not await asyncio.to_thread(launcher.SERVICE.answers, nobody)
    assert launcher.SERVICE.given_by(replace(site, environ=launcher.settings(site))) is None
