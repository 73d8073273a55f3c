"""What operators watch of Stripe's lists."""

from typing import Final

from prometheus_client import Counter

FOREIGN: Final = Counter(
    "petfolio_billing_foreign",
    "Objects of Stripe's lists that were left out: in a currency whose minor units are others there than here.",
    ["object"],
)
