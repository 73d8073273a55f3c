"""Coupons on a subscription: redeemed into discounts, which an invoice then applies as long as they last."""

from collections.abc import Sequence
from fractions import Fraction

from infra.local.emulators.stripe_server import coupons
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.lines import Reduction
from infra.local.emulators.stripe_server.billing.periods import Interval
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document

_PARAM = "discounts"


def redeemed(account: Account, given: Sequence[Document], customer: str, currency: str) -> list[str]:
    """The ids of the discounts that coupons, promotion codes or existing discounts make. Raises `StripeError`."""
    for each in given:
        check(account, each, currency)
    return [each.get("discount") or _redeem(account, each, customer) for each in given]


def check(account: Account, given: Document, currency: str) -> Document:
    """The coupon that is meant. Raises `StripeError` for one that cannot be redeemed, or is in another currency."""
    if "discount" in given:
        return _coupon(account.objects.get("discount", given["discount"], _PARAM))
    coupon, _ = coupons.redeemable(account, _coupon_id(account, given), given.get("promotion_code"), _PARAM)
    if coupon["amount_off"] is not None and coupon["currency"] != currency:
        raise invalid(f"The coupon is in {coupon['currency']}, and cannot be applied in {currency}.", _PARAM)
    return coupon


def reductions(account: Account, ids: Sequence[str], instant: int) -> list[Reduction]:
    """The discounts that hold at an instant, in numbers."""
    found = [account.objects.get("discount", each) for each in ids]
    return [reduction(_coupon(each), each["id"]) for each in found if each["end"] is None or each["end"] > instant]


def reduction(coupon: Document, discount: str) -> Reduction:
    """A coupon in numbers."""
    products = tuple((coupon["_applies_to"] or {}).get("products", ()))
    if coupon["percent_off"] is not None:
        return Reduction(discount, Fraction(str(coupon["percent_off"])), products=products)
    return Reduction(discount, None, coupon["amount_off"], products)


def lasting(account: Account, ids: Sequence[str]) -> list[str]:
    """Those that go on after an invoice: a coupon for `once` does not."""
    return [each for each in ids if _coupon(account.objects.get("discount", each))["duration"] != "once"]


def _redeem(account: Account, given: Document, customer: str) -> str:
    code = given.get("promotion_code")
    coupon = coupons.redeem(account, _coupon_id(account, given), code)
    months = coupon["duration_in_months"]
    discount = made(
        account,
        "discount",
        "di",
        customer=customer,
        promotion_code=code,
        source={"coupon": coupon["id"], "type": "coupon"},
        start=account.now(),
        end=Interval("month").after(account.now(), months) if months else None,
        _coupon=coupon,
    )
    return str(discount["id"])


def _coupon(discount: Document) -> Document:
    """What was redeemed; a coupon that is deleted meanwhile goes on for those who have it."""
    coupon: Document = discount["_coupon"]
    return coupon


def _coupon_id(account: Account, given: Document) -> str:
    if code := given.get("promotion_code"):
        promotion = account.objects.get("promotion_code", code, _PARAM)["promotion"]
        return str(promotion["coupon"])
    return str(given.get("coupon", ""))
