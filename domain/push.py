"""Which addresses a push message may go to: those of the browsers' own services, and nobody else's network."""

import re
from collections.abc import Iterable
from typing import Final

_ENDPOINT: Final = re.compile(r"((https?)://([a-z0-9.-]+)(?::([0-9]{1,5}))?)(?:/[!-~]*)?")


def is_push_service(endpoint: str, services: Iterable[str]) -> bool:
    """Whether an address is https at one of these hosts or below it, on the usual port: a browser makes the address,
    but a request brings it. An entry that is an origin itself (`http://127.0.0.1:8055`, the local stack) stands for
    exactly that origin."""
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None:
        return False
    origin, scheme, host, port = found.groups()
    return any(
        origin == service
        if "://" in service
        else scheme == "https" and port in (None, "443") and (host == service or host.endswith(f".{service}"))
        for service in services
    )
