"""Requests that the SDK's types allow, drawn at random: what somebody might send, sensible or not."""

import random
import re
import typing
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from stripe._encode import _api_encode
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import is_typeddict

from infra.local.emulators.stripe_server import sdk
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.operations import Operation

_INTEGERS = (-1, 0, 1, 2, 100, 500, 99_999)
_SECONDS = (-86_400, 0, 1, 3_600, 40 * 86_400)
_WORDS = ("", "a", "eur", "usd", "xxx", "plus_month", "http://us.test/", "pm_card_visa", "customer", "data.customer")
_KINDS = {
    "default_payment_method": "payment_method",
    "from_subscription": "subscription",
    "schedule": "subscription_schedule",
}
_OFTEN = 0.3


class Guesses:
    """One sequence of requests to an account; the same for the same seed."""

    def __init__(self, account: Account, seed: int) -> None:
        self._account, self._draw = account, random.Random(seed)

    def request(self, served: Operation) -> tuple[str, str]:
        """(path, form) of a request for an operation."""
        path = re.sub(r"\{(\w+)\}", lambda found: self._id(found[1]), served.route.path)
        given = self._fields(served.route.kind) if served.route.kind else {}
        known = sdk.parameters(served.route.kind) if served.route.kind else {}
        given |= {name: self._value(known[name][0], name) for name in served.required if name not in given}
        kept = given if served.takes is None else {name: given[name] for name in given if name in served.takes}
        return path, urlencode(list(_api_encode(kept)))

    def choose(self, among: typing.Sequence[Any]) -> Any:
        """One of them."""
        return self._draw.choice(among)

    def _fields(self, kind: Any) -> dict[str, Any]:
        known = sdk.parameters(kind).items()
        drawn = {name: hint for name, (hint, must) in known if must or self._draw.random() < _OFTEN}
        return {name: self._value(hint, name) for name, hint in drawn.items()}

    def _value(self, kind: Any, name: str) -> Any:
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if is_typeddict(kind):
            return self._fields(kind)
        if origin is list:
            return [self._value(inner[0], name)]
        if origin in (dict, UntypedStripeObject):
            return {self.choose(_WORDS[1:4]): self._value(inner[-1], name)}
        return self.choose(inner) if origin is typing.Literal else self._scalar(kind, inner, name)

    def _scalar(self, kind: Any, inner: tuple[Any, ...], name: str) -> Any:
        if inner:
            return self._value(self.choose(inner), name)
        if kind is int:
            now = self._account.now()
            return self.choose((*_INTEGERS, *(now + each for each in _SECONDS)))
        if kind in (float, Decimal, bool):
            return self.choose((True, False)) if kind is bool else self.choose((-3, 0, 1.5, 20, 101))
        return self._id(name) if self._draw.random() < 0.5 else self.choose(_WORDS)

    def _id(self, name: str) -> str:
        """Of an object that a parameter of this name means, mostly; else of any."""
        kind = _KINDS.get(name, name)
        found = self._account.objects.find(kind) or list(self._account.objects)
        return str(self.choose(found)["id"]) if found and self._draw.random() < 0.95 else "nothing_0"
