"""Which messages are Stripe's. The SDK signs them, so that what it does is what is checked."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.events import BillingEvent
from integrations.payments.signature import MAX_BODY, BodyTooLarge, SignatureRejected, verify

SECRET, OLDER = "whsec_newer", "whsec_older"
NOW = 1_790_000_000
SNAPSHOT = {
    "id": "evt_1",
    "object": "event",
    "type": "customer.subscription.updated",
    "created": NOW - 3,
    "livemode": False,
    "api_version": "2026-10-28.endive",
    "data": {"object": {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active"}},
}
THIN = {
    "id": "evt_2",
    "object": "v2.core.event",
    "type": "v1.invoice.paid",
    "created": "2026-09-21T14:53:17.000Z",
    "livemode": False,
    "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
}


def signed(body: bytes, secret: str = SECRET, at: int = NOW) -> str:
    return str(stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at))


def checked(document: object, secret: str = SECRET, at: int = NOW) -> BillingEvent:
    body = orjson.dumps(document)
    return verify(body, signed(body, secret, at), [SECRET, OLDER], NOW)


def test_a_snapshot_event_says_where_it_belongs() -> None:
    assert checked(SNAPSHOT) == BillingEvent(
        id="evt_1",
        format="snapshot",
        type="customer.subscription.updated",
        created=datetime.fromtimestamp(NOW - 3, UTC),
        api_version="2026-10-28.endive",
        livemode=False,
        object_id="sub_1",
        customer_id="cus_1",
    )


def test_a_thin_event_names_its_object_alone() -> None:
    envelope = checked(THIN)
    assert (envelope.format, envelope.object_id, envelope.customer_id) == ("thin", "in_1", None)
    assert envelope.created == datetime(2026, 9, 21, 14, 53, 17, tzinfo=UTC)


def test_a_thin_event_about_a_customer_names_the_customer() -> None:
    related = {"id": "cus_7", "type": "customer", "url": "/v1/customers/cus_7"}
    assert checked({**THIN, "related_object": related}).customer_id == "cus_7"


def test_an_event_about_a_customer_is_that_customers() -> None:
    document = {**SNAPSHOT, "data": {"object": {"id": "cus_9", "object": "customer"}}}
    assert checked(document).customer_id == "cus_9"


def test_both_secrets_count_while_one_replaces_the_other() -> None:
    assert checked(SNAPSHOT, OLDER).id == checked(SNAPSHOT, SECRET).id == "evt_1"


def test_one_good_signature_among_several_is_enough() -> None:
    body = orjson.dumps(SNAPSHOT)
    header = signed(body).replace("v1=", f"v1={'0' * 64},v0=abc,v1=")
    assert verify(body, header, [SECRET], NOW).id == "evt_1"


@pytest.mark.parametrize("age", [-300, 300])
def test_a_message_may_be_five_minutes_off(age: int) -> None:
    assert checked(SNAPSHOT, at=NOW - age).id == "evt_1"


@pytest.mark.parametrize("age", [301, -301, -timedelta(days=1).total_seconds()])
def test_a_message_of_another_time_is_refused(age: float) -> None:
    with pytest.raises(SignatureRejected):
        checked(SNAPSHOT, at=int(NOW - age))


def test_a_body_that_a_proxy_wrote_anew_is_refused() -> None:
    header = signed(orjson.dumps(SNAPSHOT))
    with pytest.raises(SignatureRejected):
        verify(orjson.dumps(SNAPSHOT, option=orjson.OPT_INDENT_2), header, [SECRET], NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        "t=,v1=",
        f"t={NOW}",
        "v1=abc",
        f"t={NOW},v0=abc",
        f"t={NOW},v1=\u00e4",
        f"t=\u0664,v1={'0' * 64}",
        f"t={'9' * 40},v1={'0' * 64}",
        f"t=-{NOW},v1={'0' * 64}",
    ],
)
def test_a_header_that_says_nothing_is_refused(header: str | None) -> None:
    with pytest.raises(SignatureRejected):
        verify(orjson.dumps(SNAPSHOT), header, [SECRET], NOW)


@pytest.mark.parametrize("secrets", [[], [""], ["  "], ["whsec_of_somebody_else"]])
def test_without_the_secret_nothing_is_believed(secrets: list[str]) -> None:
    body = orjson.dumps(SNAPSHOT)
    for header in (signed(body), signed(body, " "), signed(body, "x")):
        with pytest.raises(SignatureRejected):
            verify(body, header, secrets, NOW)


def _without(name: str) -> dict[str, object]:
    return {key: value for key, value in SNAPSHOT.items() if key != name}


@pytest.mark.parametrize(
    "document",
    [
        [],
        None,
        {},
        "event",
        7,
        *(_without(name) for name in ("id", "object", "type", "created", "livemode", "data")),
        {**SNAPSHOT, "id": "sub_1"},
        {**SNAPSHOT, "id": "evt_\0"},
        {**SNAPSHOT, "object": "invoice"},
        {**SNAPSHOT, "object": []},
        {**SNAPSHOT, "type": ""},
        {**SNAPSHOT, "created": "yesterday"},
        {**SNAPSHOT, "created": 10**18},
        {**SNAPSHOT, "livemode": "no"},
        {**SNAPSHOT, "data": []},
        {**SNAPSHOT, "data": {"object": None}},
        {**SNAPSHOT, "data": {"object": {"id": 7, "object": "invoice"}}},
        {**SNAPSHOT, "data": {"object": {"id": "in_1", "customer": {"no": "id"}}}},
    ],
    ids=lambda document: str(document)[:50],
)
def test_signed_words_that_are_no_event_are_refused(document: object) -> None:
    with pytest.raises(SignatureRejected):
        checked(document)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{", b"\xc3\x28"])
def test_signed_bytes_that_are_no_text_are_refused(body: bytes) -> None:
    header = f"t={NOW},v1={'0' * 64}"
    with pytest.raises(SignatureRejected):
        verify(body, header, [SECRET], NOW)


def test_a_body_of_any_size_costs_nothing() -> None:
    with pytest.raises(BodyTooLarge):
        verify(b" " * (MAX_BODY + 1), None, [SECRET], NOW)


@given(st.text(max_size=200), st.text(max_size=40), st.integers(-400, 0))
def test_what_is_believed_the_sdk_believes_too(header: str, secret: str, age: int) -> None:
    """It never accepts what Stripe's own check refuses."""
    body, now = orjson.dumps(SNAPSHOT), time.time()
    made = (lambda: header), (lambda: signed(body, secret, int(now) + age) if secret else header)
    for make in made:
        accepted = _accepts(lambda make=make: verify(body, make(), [secret], now))  # type: ignore[misc]
        trusted = _accepts(
            lambda make=make: stripe.WebhookSignature.verify_header(body.decode(), make(), secret, tolerance=300)  # type: ignore[misc]
        )
        assert trusted or not accepted


def _accepts(check: Callable[[], object]) -> bool:
    try:
        check()
    except (SignatureRejected, stripe.SignatureVerificationError, ValueError):
        return False
    return True
