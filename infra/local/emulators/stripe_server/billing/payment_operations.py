"""Payment intents, charges, disputes and the balance, as requests read them."""

from typing import Final

from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_PAGED: Final = ("limit", "starting_after", "ending_before", "created")


@operation("GET", "/v1/payment_intents/{intent}")
def payment_intent(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("payment_intent", call.id)


@operation("GET", "/v1/payment_intents", takes=("customer", *_PAGED))
def payment_intents(call: Call) -> Document:
    """Newest first."""
    return _listed(call, "payment_intent", "customer")


@operation("GET", "/v1/charges/{charge}")
def charge(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("charge", call.id)


@operation("GET", "/v1/charges", takes=("customer", "payment_intent", *_PAGED))
def charges(call: Call) -> Document:
    """Newest first."""
    return _listed(call, "charge", "customer", "payment_intent")


@operation("GET", "/v1/disputes/{dispute}")
def dispute(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("dispute", call.id)


@operation("GET", "/v1/disputes", takes=("charge", "payment_intent", *_PAGED))
def disputes(call: Call) -> Document:
    """Newest first."""
    return _listed(call, "dispute", "charge", "payment_intent")


@operation("GET", "/v1/balance_transactions/{id}")
def balance_transaction(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("balance_transaction", call.id)


@operation("GET", "/v1/balance_transactions", takes=("currency", "source", "type", *_PAGED))
def balance_transactions(call: Call) -> Document:
    """Newest first."""
    return _listed(call, "balance_transaction", "currency", "source", "type")


def _listed(call: Call, kind: str, *names: str) -> Document:
    """Those whose fields are as asked for."""
    fields = {name: call.params[name] for name in names if name in call.params}
    found = call.account.objects.find(kind, lambda each: all(each[name] == fields[name] for name in fields))
    return page(call, found)
