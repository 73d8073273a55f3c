"""Coupons and the promotion codes that customers type."""

import secrets
from typing import Final

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import StripeError, invalid, missing_parameter
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_TERMS: Final = ("amount_off", "percent_off", "currency", "duration_in_months", "max_redemptions", "name", "redeem_by")
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@operation(
    *("POST", "/v1/coupons"),
    exclusive=(("amount_off", "percent_off"),),
    takes=("id", "duration", "metadata", "applies_to", *_TERMS),
)
def create(call: Call) -> Document:
    """A coupon over a percentage or an amount, once, for some months or for ever; its id may be chosen."""
    given = call.params
    if "amount_off" not in given and "percent_off" not in given:
        raise missing_parameter("percent_off")
    if "amount_off" in given and "currency" not in given:
        raise missing_parameter("currency")
    duration = given.get("duration", "once")
    if (duration == "repeating") != ("duration_in_months" in given):
        raise invalid("duration_in_months belongs to the duration repeating.", "duration_in_months")
    coupon_id = given.get("id") or "".join(secrets.choice(_ALPHABET) for _ in range(8))
    if call.account.objects.maybe(coupon_id):
        raise StripeError(400, "invalid_request_error", "resource_already_exists", "Coupon already exists.", "id")
    coupon = call.account.make(
        "coupon",
        "coupon",
        id=coupon_id,
        **dict.fromkeys(_TERMS),
        duration=duration,
        times_redeemed=0,
        valid=True,
        _applies_to=given.get("applies_to"),
    )
    update(coupon, given, *_TERMS)
    call.account.emit("coupon.created", coupon)
    return coupon


@operation("GET", "/v1/coupons/{coupon}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return _current(call.account, call.account.objects.get("coupon", call.id))


@operation("DELETE", "/v1/coupons/{coupon}")
def delete(call: Call) -> Document:
    """Nobody can redeem it any more; whoever has stays as they are."""
    call.account.emit("coupon.deleted", call.account.objects.delete("coupon", call.id))
    return {"id": call.id, "object": "coupon", "deleted": True}


@operation("GET", "/v1/coupons", takes=_PAGED)
def index(call: Call) -> Document:
    """Newest first."""
    return page(call, [_current(call.account, each) for each in call.account.objects.find("coupon")])


@operation(
    *("POST", "/v1/promotion_codes"),
    takes=("active", "code", "customer", "expires_at", "max_redemptions", "metadata", "promotion", "restrictions"),
)
def create_code(call: Call) -> Document:
    """A code for a coupon. Raises `StripeError` for one that is active already, whatever its case."""
    given, objects = call.params, call.account.objects
    coupon_id = given["promotion"].get("coupon")
    if coupon_id is None:
        raise missing_parameter("promotion[coupon]")
    objects.get("coupon", coupon_id, "promotion[coupon]")
    code = given.get("code") or "".join(secrets.choice(_ALPHABET) for _ in range(8))
    if objects.find("promotion_code", lambda each: each["active"] and each["code"].lower() == code.lower()):
        raise invalid(
            f"An active promotion code with `code: {code}` already exists.", "code", "resource_already_exists"
        )
    terms = given.get("restrictions", {})
    restrictions = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None} | terms
    made = call.account.make(
        "promotion_code",
        "promo",
        active=True,
        code=code,
        customer=None,
        expires_at=None,
        max_redemptions=None,
        promotion={"type": "coupon", "coupon": coupon_id},
        restrictions=restrictions,
        times_redeemed=0,
    )
    update(made, given, "active", "customer", "expires_at", "max_redemptions")
    call.account.emit("promotion_code.created", made)
    return made


@operation("GET", "/v1/promotion_codes/{promotion_code}")
def retrieve_code(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("promotion_code", call.id)


@operation("POST", "/v1/promotion_codes/{promotion_code}", takes=("active", "metadata"))
def change_code(call: Call) -> Document:
    """Switch it on or off."""
    code = call.account.objects.get("promotion_code", call.id)
    with call.account.changing(code, "promotion_code.updated"):
        update(code, call.params, "active")
    return code


@operation("GET", "/v1/promotion_codes", takes=("active", "code", "coupon", "customer", *_PAGED))
def index_codes(call: Call) -> Document:
    """Newest first."""
    given = call.params
    fields = {name: given[name] for name in ("active", "customer") if name in given}
    code, coupon = given.get("code"), given.get("coupon")

    def fits(each: Document) -> bool:
        is_named = code is None or each["code"].lower() == code.lower()
        is_of = coupon in (None, each["promotion"]["coupon"])
        return is_named and is_of and all(each[name] == value for name, value in fields.items())

    return page(call, call.account.objects.find("promotion_code", fits))


def redeem(account: Account, coupon_id: str, code_id: str | None = None, param: str = "discounts") -> Document:
    """Count a use of a coupon, and of the code that it was typed as; answers the coupon. Raises `StripeError` when it
    cannot be redeemed any more."""
    coupon, code = redeemable(account, coupon_id, code_id, param)
    for each in (coupon, *([code] if code else [])):
        each["times_redeemed"] += 1
    return _current(account, coupon)


def redeemable(
    account: Account, coupon_id: str, code_id: str | None = None, param: str = "discounts"
) -> tuple[Document, Document | None]:
    """A coupon and its code. Raises `StripeError` when they cannot be redeemed any more."""
    coupon = _current(account, account.objects.get("coupon", coupon_id, param))
    code = account.objects.get("promotion_code", code_id, param) if code_id else None
    if not coupon["valid"]:
        raise invalid(f"Coupon {coupon_id} is expired and cannot be used.", param, "coupon_expired")
    if code and not _is_open(account, code):
        raise invalid("This promotion code is inactive or has expired.", param, "promotion_code_expired")
    return coupon, code


def _is_open(account: Account, code: Document) -> bool:
    is_used_up = code["max_redemptions"] is not None and code["times_redeemed"] >= code["max_redemptions"]
    is_late = code["expires_at"] is not None and code["expires_at"] <= account.now()
    return bool(code["active"]) and not is_used_up and not is_late


def _current(account: Account, coupon: Document) -> Document:
    """With `valid` as of now."""
    is_used_up = coupon["max_redemptions"] is not None and coupon["times_redeemed"] >= coupon["max_redemptions"]
    is_late = coupon["redeem_by"] is not None and coupon["redeem_by"] <= account.now()
    coupon["valid"] = not is_used_up and not is_late
    return coupon


def applies_to(_: Account, coupon: Document) -> Document | None:
    """The products that a coupon is for: a field that is shown on demand alone."""
    products: Document | None = coupon["_applies_to"]
    return products
