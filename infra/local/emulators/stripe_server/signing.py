"""The secrets of webhook endpoints. Not part of the SDK's world: the launcher needs them without loading it."""

import hashlib
import hmac


def endpoint_secret(seed: str, key: str, url: str, turn: int = 0) -> str:
    """The secret of an account's endpoint at an address, after so many rotations. Whoever has the seed knows it before
    it is made, so a stack can be told of it at its start, and a server that starts anew signs as the old one did."""
    digest = hmac.new(seed.encode(), f"{key} {url} {turn}".encode(), hashlib.sha256).hexdigest()
    return f"whsec_{digest[:32]}"
