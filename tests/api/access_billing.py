"""Examples of billing for `test_access_matrix.py`, whose process has no key of Stripe's: everything is off there, for
whoever may ask at all. With a key they are in `test_billing_access.py`."""

from collections.abc import Mapping
from typing import Final

from tests.api.access_ground import Example, refused

BILLING_OFF: Final[Mapping[str, Example]] = {
    "checkout_page": refused("GET", "//billing/return", 404),
    "list_plans": refused("GET", "/billing/plans", 404),
    "get_subscription": refused("GET", "/billing/subscription", 404),
    "list_invoices": refused("GET", "/billing/invoices", 404),
    "list_refunds": refused("GET", "/billing/refunds", 404),
    "return_from_checkout": refused("GET", "/billing/return?session_id=cs_1", 404),
    "start_checkout": refused("POST", "/billing/checkout", 404, body={"plan": "plus_month", "currency": "EUR"}),
    "preview_plan_change": refused("POST", "/billing/plan-change/preview", 404, body={"plan": "family_month"}),
    "change_plan": refused("POST", "/billing/plan-change", 404, body={"plan": "family_month"}),
    "cancel_subscription": refused("POST", "/billing/cancel", 404),
    "resume_subscription": refused("POST", "/billing/resume", 404),
    "request_refund": refused("POST", "/billing/refunds", 404, body={}),
    "open_billing_portal": refused("POST", "/billing/portal", 404, body={}),
    "get_account_billing": refused("GET", "/staff/accounts/{nobody}/billing", 404),
    "replay_account_billing": refused("POST", "/staff/accounts/{nobody}/billing/replay", 404),
    "receive_stripe_event": refused("POST", "/webhooks/stripe", 404, body={}),
}
