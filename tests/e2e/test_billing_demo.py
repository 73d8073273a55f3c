"""`petfolio demo billing` on real parts: what it shows is true at Stripe too, and nothing that was paid with is written
down anywhere."""

import json
import re
import time

import httpx
import pytest

from infra.local.billing_demo import FAILING_CARD, GOOD_CARD
from tests.leaks import every_log, everything_temporal_holds, everything_temporal_opens
from tests.stack import Stack

pytestmark = pytest.mark.timeout(300)

EMAIL = re.compile(r"\S+@example\.test")


async def test_a_plan_is_paid_renewed_declined_dunned_charged_anew_and_paid_back(stack: Stack) -> None:
    began = time.monotonic()
    told = await stack.petfolio("demo", "billing", within=240)
    assert time.monotonic() - began < 60
    assert re.findall(r"Your payment did not come through · .* in (\d+) days", told) == ["14", "11", "6"]
    assert "the plan is in good standing" in told
    assert "with which the plan has ended" in told
    assert "Your refund is on its way · We have paid back 4.99 EUR" in told
    assert "can still be paid back: 0.00 EUR, 4.99 EUR, 4.99 EUR" in told

    services = (await stack.status())["services"]
    async with httpx.AsyncClient(base_url=services["stripe"]["url"], timeout=20) as stripe:
        ledger = (await stripe.get("/_control/ledger")).json()
        clock = (await stripe.get("/_control/clock")).json()
        secrets = await things_of_stripes(stripe)
    assert [each["amount"] for each in ledger if each["kind"] != "stripe_fee"][-4:] == [499, 499, 499, -499]
    assert not clock["frozen"]
    assert clock["now"] > time.time() + 60 * 86_400

    (email,) = set(EMAIL.findall(told))
    canaries = [GOOD_CARD, FAILING_CARD, email, *secrets, *secrets_of(stack)]
    held = await everything_temporal_holds(stack)
    async with httpx.AsyncClient(base_url=(await stack.status())["api_url"], timeout=60) as client:
        held += await everything_temporal_opens(stack, client)
    assert [word for word in canaries if word in held] == []
    leaks = {str(path): [word for word in canaries if word in text] for path, text in every_log(stack.data_dir)}
    assert {path: found for path, found in leaks.items() if found} == {}


async def things_of_stripes(stripe: httpx.AsyncClient) -> list[str]:
    """What opens a payment, or a page on which one pays: client secrets and addresses of pages."""
    objects = (await stripe.get("/_control/objects")).json()
    names = ("client_secret", "hosted_invoice_url", "invoice_pdf", "url")
    found = [
        each[name] for each in objects for name in names if each.get(name) and each["object"] != "webhook_endpoint"
    ]
    assert len(found) > 5
    return found


def secrets_of(stack: Stack) -> list[str]:
    """What signs Stripe's messages, and what their signatures are made from."""
    kept = json.loads((stack.data_dir / "secrets.json").read_text())
    signing = stack.settings()["PETFOLIO_STRIPE_WEBHOOK_SECRETS"].split(",")
    assert all(signing)
    return [kept["stripe_endpoints"], *signing]


async def test_a_second_demo_goes_on_from_the_time_that_the_first_has_left(stack: Stack) -> None:
    assert "can still be paid back" in await stack.petfolio("demo", "billing", within=240)
