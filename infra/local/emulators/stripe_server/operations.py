"""How an operation is written: a function of a `Call`, registered under a route of the pinned SDK.

    @operation("POST", "/v1/subscriptions", required=("customer",), exclusive=(("coupon", "promotion_code"),))
    def create(call: Call) -> Document: ...

The types of the SDK mark as optional some parameters that Stripe asks for in practice: these are `required`. Of the
names in one group of `exclusive` at most one may be given. `takes` names the parameters that the function does: one
that Stripe knows and this server does not do is refused, not ignored.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from infra.local.emulators.stripe_server import params, sdk
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.errors import exclusive_parameters, missing_parameter, not_done
from infra.local.emulators.stripe_server.form import Nested
from infra.local.emulators.stripe_server.objects import Document

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `params` are typed and nested as the SDK's types say, `ids` those in the path, in its order.

    What is expanded (`expand`) is done to the answer afterwards; an operation answers the document itself.
    """

    account: Account
    path: str
    ids: Names
    params: dict[str, Any]
    expand: Names = ()

    @property
    def id(self) -> str:
        """The first id in the path."""
        return self.ids[0]


@dataclass(frozen=True, slots=True)
class Operation:
    """A route with what serves it."""

    route: sdk.Route
    serve: Callable[[Call], Document]
    required: Names
    exclusive: tuple[Names, ...]
    takes: Names | None
    pattern: re.Pattern[str]

    def __call__(self, call: Call) -> Document:
        """The document that is answered. Raises `StripeError`."""
        return self.serve(call)

    def call(self, account: Account, path: str, given: Nested) -> Call:
        """A request with its parameters checked. Raises `StripeError`."""
        for name in self.required:
            if name not in given:
                raise missing_parameter(name)
        for names in self.exclusive:
            if sum(name in given for name in names) > 1:
                raise exclusive_parameters(*(name for name in names if name in given))
        values = params.decode(self.route, given)
        for name in values:
            if self.takes is not None and name not in (*self.takes, "expand"):
                raise not_done(name)
        found = self.pattern.fullmatch(path)
        return Call(account, path, found.groups() if found else (), values, tuple(values.pop("expand", ())))


def operation(
    method: Literal["GET", "POST", "DELETE"],
    path: str,
    *,
    required: Names = (),
    exclusive: tuple[Names, ...] = (),
    takes: Names | None = None,
) -> Callable[[Callable[[Call], Document]], Operation]:
    """Register a function. Raises `LookupError` at import for a route that the SDK does not have."""
    route = sdk.routes().get((method, path))
    if route is None:
        raise LookupError(f"the pinned SDK has no {method} {path}")
    pattern = re.compile(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path)))
    return lambda serve: Operation(route, serve, required, exclusive, takes, pattern)


class Operations:
    """Those of some modules. A literal path wins over a template."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        found = [each for module in modules for each in vars(module).values() if isinstance(each, Operation)]
        self._operations = sorted(found, key=lambda each: each.route.path.count("{"))

    def find(self, method: str, path: str) -> Operation | None:
        """What serves a request."""
        fits = (each for each in self._operations if each.route.method == method and each.pattern.fullmatch(path))
        return next(fits, None)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)
