"""Whatever is sent is answered in Stripe's words: no request breaks the server, and no answer has an odd form."""

import pytest

from infra.local.emulators.stripe_server import resources
from infra.local.emulators.stripe_server.operations import Operations
from infra.local.emulators.stripe_server.sdk import API_VERSION
from tests.infra.stripe_server.guesses import Guesses
from tests.infra.stripe_server.shapes import problems
from tests.stripe_servers import Sandbox

REQUESTS = 1_500
FORM = "application/x-www-form-urlencoded"


async def _beginning(box: Sandbox) -> None:
    """Somebody who subscribes, so that there is something to guess about."""
    v1 = box.v1
    product = await v1.products.create_async({"name": "Plus"})
    about = {"product": product.id, "currency": "eur", "unit_amount": 499, "recurring": {"interval": "month"}}
    price = await v1.prices.create_async(about)
    customer = await v1.customers.create_async({"email": "ada@example.com", "payment_method": "pm_card_visa"})
    (method,) = (await v1.customers.payment_methods.list_async(customer.id)).data
    items = [{"price": price.id}]
    about = {"customer": customer.id, "items": items, "default_payment_method": method.id}
    await v1.subscriptions.create_async(about)


@pytest.mark.parametrize("seed", range(3))
async def test_any_request_is_answered_in_stripes_words(stripe_sandbox: Sandbox, seed: int) -> None:
    box, guesses = stripe_sandbox, Guesses(stripe_sandbox.account, seed)
    operations = [each for each in Operations(resources.MODULES) if "test_clocks" not in each.route.path]
    answered = 0
    for number in range(REQUESTS):
        if number % 100 == 0:
            await _beginning(box)
            await box.passes(10 * 86_400)
        served = guesses.choose(operations)
        path, form = guesses.request(served)
        url, body = (path, form) if served.route.method == "POST" else (f"{path}?{form}", "")
        headers = {"Stripe-Version": API_VERSION, "Content-Type": FORM}
        answer = await box.http.request(served.route.method, url, content=body, headers=headers)
        assert answer.status_code in (200, 400, 402, 404), (served.route, form)
        found = answer.json()
        if answer.status_code == 200:
            answered += 1
            assert problems(found) == [], (served.route, form)
        else:
            assert found["error"]["message"], (served.route, form)
    assert answered > REQUESTS / 10
