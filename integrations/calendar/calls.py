"""How many requests a provider gets: what a change costs, and whether an application's quota lasts."""

from typing import Final

from prometheus_client import Counter

from integrations.calendar.protocol import ProviderName

CALLS: Final = Counter(
    "petfolio_calendar_calls", "HTTP requests to calendar providers, those for tokens included.", ["provider"]
)


def called(provider: ProviderName) -> None:
    """A request goes out."""
    CALLS.labels(provider).inc()
