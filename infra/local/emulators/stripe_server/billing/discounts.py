"""Coupons on a subscription: redeemed into discounts, which an invoice then applies as long as they last."""

from collections.abc import Sequence
from fractions import Fraction

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.billing.blank import made
from infra.local.emulators.stripe_server.billing.lines import Reduction
from infra.local.emulators.stripe_server.billing.periods import Interval
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document


def redeemed(account: Account, given: Sequence[Document], customer: str, currency: str) -> list[str]:
    """The ids of the discounts that coupons, promotion codes or existing discounts make. Raises `StripeError`."""
    checked = [(each, *coupon_of(account, each, currency)) for each in given]
    return [each.get("discount") or _redeem(account, customer, coupon, code) for each, coupon, code in checked]


def coupon_of(account: Account, given: Document, currency: str) -> tuple[Document, Document | None]:
    """The coupon that is meant, and its promotion code. Raises `StripeError` for one that cannot be redeemed."""
    if "discount" in given:
        discount = account.objects.get("discount", given["discount"], "discounts[0][discount]")
        return account.objects.get("coupon", discount["source"]["coupon"]), None
    code = None
    if "promotion_code" in given:
        code = account.objects.get("promotion_code", given["promotion_code"], "discounts[0][promotion_code]")
        if not code["active"]:
            raise invalid("This promotion code cannot be redeemed because it is inactive.", "discounts[0][promotion_code]")
    coupon = account.objects.get("coupon", _coupon_id(code) if code else given.get("coupon", ""), "discounts[0][coupon]")
    _check(account, coupon, currency)
    return coupon, code


def reductions(account: Account, ids: Sequence[str], instant: int) -> list[Reduction]:
    """The discounts that hold at an instant, in numbers."""
    found = [account.objects.get("discount", each) for each in ids]
    return [_reduction(account, each) for each in found if each["end"] is None or each["end"] > instant]


def lasting(account: Account, ids: Sequence[str]) -> list[str]:
    """Those that go on after an invoice: a coupon for `once` does not."""
    return [each for each in ids if _coupon(account, account.objects.get("discount", each))["duration"] != "once"]


def _redeem(account: Account, customer: str, coupon: Document, code: Document | None) -> str:
    months = coupon["duration_in_months"]
    discount = made(
        account,
        "discount",
        "di",
        customer=customer,
        promotion_code=code and code["id"],
        source={"coupon": coupon["id"], "type": "coupon"},
        start=account.now(),
        end=Interval("month").after(account.now(), months) if months else None,
    )
    for each in (coupon, code):
        if each:
            each["times_redeemed"] += 1
    return str(discount["id"])


def _check(account: Account, coupon: Document, currency: str) -> None:
    spent = coupon["max_redemptions"] is not None and coupon["times_redeemed"] >= coupon["max_redemptions"]
    expired = coupon["redeem_by"] is not None and coupon["redeem_by"] < account.now()
    if spent or expired or not coupon["valid"]:
        raise invalid(f"Coupon expired: {coupon['id']}", "discounts[0][coupon]", "coupon_expired")
    if coupon["amount_off"] is not None:
        _amount_off(coupon, currency)


def _reduction(account: Account, discount: Document) -> Reduction:
    coupon = _coupon(account, discount)
    products = tuple((coupon.get("applies_to") or coupon.get("_applies_to") or {}).get("products", ()))
    if coupon["percent_off"] is not None:
        return Reduction(discount["id"], Fraction(str(coupon["percent_off"])), products=products)
    currency = account.objects.get("customer", discount["customer"])["currency"]
    return Reduction(discount["id"], None, _amount_off(coupon, currency or coupon["currency"]), products)


def _amount_off(coupon: Document, currency: str) -> int:
    if coupon["currency"] == currency:
        return int(coupon["amount_off"])
    options = coupon.get("currency_options") or coupon.get("_currency_options") or {}
    if currency not in options:
        message = f"The coupon is in {coupon['currency']}, and cannot be applied in {currency}."
        raise invalid(message, "discounts[0][coupon]")
    return int(options[currency]["amount_off"])


def _coupon(account: Account, discount: Document) -> Document:
    return account.objects.get("coupon", discount["source"]["coupon"])


def _coupon_id(code: Document) -> str:
    promotion = code.get("promotion") or {}
    return str(promotion.get("coupon") or code.get("coupon"))
