"""Many objects like some that are there."""

import httpx
import pytest

from tests.infra.stripe_server import shops
from tests.stripe_servers import Sandbox


async def test_copies_refer_to_each_other_as_the_originals_do(stripe_sandbox: Sandbox) -> None:
    shop = await shops.opened(stripe_sandbox)
    customer = await shop.customer()
    subscription = await shop.subscribe(customer)
    invoice = await shop.latest_invoice(subscription.id)
    told = len(shop.types())
    of = [customer, subscription.id, invoice.id, invoice.payments.data[0].id]
    copies = await stripe_sandbox.control("copies", of=of, times=2)
    for copied in copies:
        found = (await shop.v1.subscriptions.list_async({"customer": copied[0]})).data
        assert [each.id for each in found] == [copied[1]]
        assert (found[0].latest_invoice, found[0].items.data[0].price.id) == (copied[2], shop.prices["plus_month"])
        latest = await shop.latest_invoice(copied[1])
        assert (latest.customer, latest.payments.data[0].id) == (copied[0], copied[3])
    assert len({*of, *copies[0], *copies[1]}) == 12
    assert len(shop.types()) == told


async def test_what_is_not_there_is_not_copied(stripe_sandbox: Sandbox) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await stripe_sandbox.control("copies", of=["cus_nobody"], times=1)
