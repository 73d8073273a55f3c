"""How Stripe says no."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

ErrorType = Literal["api_error", "card_error", "idempotency_error", "invalid_request_error"]


@dataclass(eq=False)
class StripeError(Exception):
    """An answer with an error. `more` joins the error object, such as `payment_intent` beside a decline."""

    status: int
    type: ErrorType
    code: str | None
    message: str
    param: str | None = None
    decline_code: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """The envelope; what is not said is left out."""
        about = {"type": self.type, "code": self.code, "message": self.message, "param": self.param}
        about |= {"decline_code": self.decline_code}
        return {"error": {name: value for name, value in about.items() if value is not None} | self.more}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """400: the request cannot be done."""
    return StripeError(400, "invalid_request_error", code, message, param)


def unknown_parameter(param: str) -> StripeError:
    """400: the pinned version has no such parameter."""
    return invalid(f"Received unknown parameter: {param}", param, "parameter_unknown")


def not_done(param: str) -> StripeError:
    """400: Stripe knows it, this server does not do it."""
    return invalid(f"Stripe knows {param} here; this server does not do it yet.", param)


def require_done(given: Iterable[str], names: Collection[str], path: str) -> None:
    """Raises `not_done` for the first name in an object at `path` that is none of those."""
    for name in given:
        if name not in names:
            raise not_done(f"{path}[{name}]")


def missing_parameter(param: str) -> StripeError:
    """400: it must be given."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def exclusive_parameters(*names: str) -> StripeError:
    """400: at most one of them may be given."""
    message = f"You may only specify one of these parameters: {', '.join(names)}."
    return invalid(message, names[0], "parameters_exclusive")


def resource_missing(kind: str, object_id: str, param: str = "id") -> StripeError:
    """404: an account has no object of this kind with this id."""
    message = f"No such {kind}: '{object_id}'"
    return StripeError(404, "invalid_request_error", "resource_missing", message, param)


def card_declined(decline_code: str, message: str = "Your card was declined.", **more: Any) -> StripeError:
    """402: the bank said no, with `code` `card_declined`."""
    return StripeError(402, "card_error", "card_declined", message, None, decline_code, more)
