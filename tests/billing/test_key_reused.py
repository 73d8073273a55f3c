"""The same key with other parameters is a mistake of ours: it ends, nobody repeats it, and somebody is paged (S18)."""

import re
from pathlib import Path
from typing import Any

import yaml

from activities.billing_metrics import REFUSED
from tests.billing.test_refunds import at_stripe, paid, reserved, sent
from tests.billing.till import Till

ALERTS = Path(__file__).resolve().parents[2] / "infra/observability/alerts.yml"


def paged_for() -> str:
    """The refusal that the alert is about."""
    groups: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"]
    (rule,) = (rule for group in groups for rule in group["rules"] if rule["alert"] == "StripeKeyReused")
    assert rule["labels"] == {"severity": "page"}
    assert REFUSED._name + "_total" in rule["expr"]
    (code,) = re.findall(r'code="(\w+)"', rule["expr"])
    return str(code)


async def test_a_key_that_was_used_for_something_else_is_told_once_and_never_tried_again(till: Till) -> None:
    refund_id = await reserved(till, await paid(till))
    charge_id = await till.value("SELECT charge_id FROM refunds WHERE id = :id", id=refund_id)
    await till.shop.v1.refunds.create_async(
        {"charge": charge_id, "amount": 1}, {"idempotency_key": f"pf:test:refund:{refund_id}"}
    )
    told = REFUSED.labels("refund", paged_for())
    before, posts = told._value.get(), len(till.shop.account.log.entries)
    for _ in range(3):
        await sent(till, refund_id)
    asked = [entry.method for entry in list(till.shop.account.log.entries)[posts:]]
    assert asked.count("POST") == 1
    assert told._value.get() == before + 1
    assert at_stripe(till) == [1]
