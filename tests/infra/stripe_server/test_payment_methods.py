"""Test methods behave as their numbers say: attached, declined, authenticated, kept for later."""

from typing import Any

import pytest
import stripe

from infra.local.emulators.stripe_server import cards
from tests.stripe_servers import Sandbox

EXPIRY = {"exp_month": 12, "exp_year": 2040}


async def _customer(box: Sandbox) -> str:
    return str((await box.v1.customers.create_async()).id)


async def _card(box: Sandbox, number: str) -> Any:
    return await box.v1.payment_methods.create_async({"type": "card", "card": {"number": number, **EXPIRY}})


@pytest.mark.parametrize("number", sorted(cards.CARDS))
async def test_attaching_a_card_is_what_its_bank_says(stripe_sandbox: Sandbox, number: str) -> None:
    test, customer = cards.CARDS[number], await _customer(stripe_sandbox)
    method = await _card(stripe_sandbox, number)
    assert (method.card.last4, method.card.brand) == (number[-4:], test.brand)
    if test.refuses_saving:
        with pytest.raises(stripe.CardError) as declined:
            await stripe_sandbox.v1.payment_methods.attach_async(method.id, {"customer": customer})
        assert declined.value.error.decline_code == test.decline_code
    else:
        attached = await stripe_sandbox.v1.payment_methods.attach_async(method.id, {"customer": customer})
        assert attached.customer == customer


def test_those_that_are_declined_only_when_they_are_charged_can_be_saved() -> None:
    refused = {number for number, test in cards.CARDS.items() if test.refuses_saving}
    assert "4000000000000002" in refused
    assert not refused & {"4242424242424242", "4000000000000341", "4000008260003178", "4000000000000259"}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("pm_card_visa", "4242424242424242"),
        ("tok_visa", "4242424242424242"),
        ("pm_card_chargeCustomerFail", "4000000000000341"),
        ("tok_chargeDeclinedInsufficientFunds", "4000000000009995"),
        ("pm_card_threeDSecureRequired", "4000002760003184"),
        ("pm_card_createDispute", "4000000000000259"),
        ("pm_card_refundFail", "4000000000005126"),
    ],
)
def test_a_name_stands_for_a_number(name: str, number: str) -> None:
    assert cards.by_name(name) is cards.CARDS[number]


@pytest.mark.parametrize("name", ["pm_card_nobody", "pm_123", "card_visa", "visa", ""])
def test_another_name_stands_for_none(name: str) -> None:
    assert cards.by_name(name) is None


async def test_each_use_of_a_name_is_a_method_of_its_own(stripe_sandbox: Sandbox) -> None:
    ids = set()
    for _ in range(2):
        customer = await _customer(stripe_sandbox)
        method = await stripe_sandbox.v1.payment_methods.attach_async("pm_card_visa", {"customer": customer})
        ids.add(method.id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"type": "card", "card": {"number": "4000000000000001", **EXPIRY}}, "card[number]"),
        ({"type": "card", "card": {"number": "DE89370400440532013000", **EXPIRY}}, "card[number]"),
        ({"type": "sepa_debit", "sepa_debit": {"iban": "DE00000000000000000000"}}, "sepa_debit[iban]"),
    ],
)
async def test_a_number_that_there_is_not_is_refused(
    stripe_sandbox: Sandbox, given: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.CardError) as refused:
        await stripe_sandbox.v1.payment_methods.create_async(given)
    assert refused.value.param == param


async def test_a_method_belongs_to_one_customer(stripe_sandbox: Sandbox) -> None:
    v1, (ada, grace) = stripe_sandbox.v1, (await _customer(stripe_sandbox), await _customer(stripe_sandbox))
    method = await v1.payment_methods.attach_async("pm_card_visa", {"customer": ada})
    assert (await v1.payment_methods.attach_async(method.id, {"customer": ada})).customer == ada
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        await v1.payment_methods.attach_async(method.id, {"customer": grace})
    attached = [each.type for each in (await v1.events.list_async({"type": "payment_method.*"})).data]
    assert attached == ["payment_method.attached"]


async def test_a_customer_may_begin_with_a_method(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    made = await v1.customers.create_async({"payment_method": "pm_card_visa"})
    (method,) = (await v1.customers.payment_methods.list_async(made.id)).data
    assert method.customer == made.id
    other = await _customer(stripe_sandbox)
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_method"):
        await v1.customers.payment_methods.retrieve_async(other, method.id)


async def test_a_customer_whose_card_is_declined_is_not_made(stripe_sandbox: Sandbox) -> None:
    with pytest.raises(stripe.CardError):
        await stripe_sandbox.v1.customers.create_async({"payment_method": "pm_card_chargeDeclined"})
    assert stripe_sandbox.account.objects.find("customer") == []


async def test_an_intent_for_somebody_elses_method_is_not_made(stripe_sandbox: Sandbox) -> None:
    v1 = stripe_sandbox.v1
    method = await v1.payment_methods.attach_async("pm_card_visa", {"customer": await _customer(stripe_sandbox)})
    given = {"customer": await _customer(stripe_sandbox), "payment_method": method.id}
    with pytest.raises(stripe.InvalidRequestError, match="another Customer"):
        await v1.setup_intents.create_async(given)
    assert stripe_sandbox.account.objects.find("setup_intent") == []


async def test_a_card_that_its_bank_replaced_is_told_of(stripe_sandbox: Sandbox) -> None:
    box = stripe_sandbox
    method = await box.v1.payment_methods.attach_async("pm_card_visa", {"customer": await _customer(box)})
    await box.control(f"payment_methods/{method.id}", card={"exp_year": 2050})
    (event,) = (await box.v1.events.list_async({"type": "payment_method.automatically_updated"})).data
    assert event.data.object.card.exp_year == 2050
    assert event.data.previous_attributes.to_dict() == {"card": {"exp_year": 2040}}


async def test_only_a_method_of_the_customer_can_be_their_default(stripe_sandbox: Sandbox) -> None:
    v1, (ada, grace) = stripe_sandbox.v1, (await _customer(stripe_sandbox), await _customer(stripe_sandbox))
    method = await v1.payment_methods.attach_async("pm_card_visa", {"customer": ada})
    default = {"invoice_settings": {"default_payment_method": method.id}}
    with pytest.raises(stripe.InvalidRequestError, match="must be attached"):
        await v1.customers.update_async(grace, default)
    changed = await v1.customers.update_async(ada, default)
    assert changed.invoice_settings.default_payment_method == method.id


async def test_a_detached_method_is_nobodys_default_and_of_no_use(stripe_sandbox: Sandbox) -> None:
    v1, ada = stripe_sandbox.v1, await _customer(stripe_sandbox)
    method = await v1.payment_methods.attach_async("pm_card_visa", {"customer": ada})
    await v1.customers.update_async(ada, {"invoice_settings": {"default_payment_method": method.id}})
    assert (await v1.payment_methods.detach_async(method.id)).customer is None
    assert (await v1.customers.retrieve_async(ada)).invoice_settings.default_payment_method is None
    assert (await v1.customers.payment_methods.list_async(ada)).data == []
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        await v1.payment_methods.attach_async(method.id, {"customer": ada})
    (event,) = (await v1.events.list_async({"type": "payment_method.detached"})).data
    assert event.data.previous_attributes.to_dict() == {"customer": ada}


async def test_methods_of_a_customer_are_listed_by_type(stripe_sandbox: Sandbox) -> None:
    v1, ada = stripe_sandbox.v1, await _customer(stripe_sandbox)
    card = await v1.payment_methods.attach_async("pm_card_visa", {"customer": ada})
    iban = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}}
    debit = await v1.payment_methods.create_async(iban)
    await v1.payment_methods.attach_async(debit.id, {"customer": ada})
    assert [each.id for each in (await v1.customers.payment_methods.list_async(ada)).data] == [debit.id, card.id]
    only = await v1.customers.payment_methods.list_async(ada, {"type": "card"})
    assert [each.id for each in only.data] == [card.id]


@pytest.mark.parametrize("number", ["4000002500003155", "4000002760003184", "4000008260003178"])
@pytest.mark.parametrize("decision", ["authenticate", "refuse"])
async def test_a_card_with_3ds_is_kept_once_its_owner_has_confirmed(
    stripe_sandbox: Sandbox, number: str, decision: str
) -> None:
    box, ada = stripe_sandbox, await _customer(stripe_sandbox)
    method = await _card(box, number)
    given = {"customer": ada, "payment_method": method.id, "confirm": True, "return_url": "http://us.test/back"}
    intent = await box.v1.setup_intents.create_async(given)
    assert intent.status == "requires_action"
    page = intent.next_action.redirect_to_url.url
    assert "Yes, it is me" in (await box.http.get(page)).text
    answer = await box.http.post(page, data={"decision": decision})
    assert (answer.status_code, answer.headers["location"]) == (303, "http://us.test/back")
    intent = await box.v1.setup_intents.retrieve_async(intent.id)
    kept = (await box.v1.payment_methods.retrieve_async(method.id)).customer
    if decision == "authenticate":
        assert (intent.status, kept) == ("succeeded", ada)
        behaviour = cards.behaviour(box.account.objects.get("payment_method", method.id))
        assert behaviour.authentication == ("never" if number == "4000002500003155" else "always")
    else:
        assert (intent.status, kept) == ("requires_payment_method", None)
        assert intent.last_setup_error.code == "setup_intent_authentication_failure"
    assert (await box.http.post(page, data={"decision": decision})).status_code == 400


async def test_a_declined_card_leaves_the_intent_waiting_for_another(stripe_sandbox: Sandbox) -> None:
    box, ada = stripe_sandbox, await _customer(stripe_sandbox)
    intent = await box.v1.setup_intents.create_async({"customer": ada})
    given = {"payment_method": "pm_card_chargeDeclined"}
    with pytest.raises(stripe.CardError) as declined:
        await box.v1.setup_intents.confirm_async(intent.id, given)
    assert declined.value.error.setup_intent["id"] == intent.id
    intent = await box.v1.setup_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert (intent.status, intent.last_setup_error) == ("succeeded", None)
    with pytest.raises(stripe.InvalidRequestError, match="succeeded"):
        await box.v1.setup_intents.confirm_async(intent.id)


async def test_a_bank_changes_its_mind_when_it_is_asked_to(stripe_sandbox: Sandbox) -> None:
    box, ada = stripe_sandbox, await _customer(stripe_sandbox)
    method = await _card(box, "4242424242424242")
    await box.control(f"payment_methods/{method.id}", decline_code="lost_card")
    with pytest.raises(stripe.CardError) as declined:
        await box.v1.payment_methods.attach_async(method.id, {"customer": ada})
    assert declined.value.error.decline_code == "lost_card"
    await box.control(f"payment_methods/{method.id}", decline_code=None)
    assert (await box.v1.payment_methods.attach_async(method.id, {"customer": ada})).customer == ada
