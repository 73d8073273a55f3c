"""Rules of the health diary: what a write says about the cost, and which dates it may carry (product.md §3.3)."""

from datetime import date
from decimal import Decimal
from typing import TypedDict

from core.errors import FieldProblem, Invalid
from domain.money import Money, from_number


class Cost(TypedDict, total=False):
    """The fields of a write that speak about money; absent ones say nothing."""

    cost: Decimal | None
    cost_money: Money | None
    currency: str | None


def cost_after(current: Money | None, said: Cost, home_currency: str) -> Money | None:
    """The cost after a write. What merely repeats the present value says nothing, so that an answer can be edited in
    any of its fields and sent back whole; a new currency alone keeps the number.

    Raises `Invalid` (`cost_conflict` when the two forms differ, and what `domain.money` refuses).
    """
    news = _news(current, said)
    currency = news.get("currency") or (current.currency if current else home_currency)
    if "cost" not in news:
        if "cost_money" in news:
            return news["cost_money"]
        return from_number(Decimal(str(current.number)), currency) if current and "currency" in news else current
    money = None if news["cost"] is None else from_number(news["cost"], currency)
    if news.get("cost_money", money) != money:
        raise _invalid("cost_money", "cost_conflict", "cost and cost_money say different things: send one of them")
    return money


def _news(current: Money | None, said: Cost) -> Cost:
    number, currency = (current.number, current.currency) if current else (None, None)
    news = Cost(**said)
    if "cost" in news and (None if news["cost"] is None else float(news["cost"])) == number:
        del news["cost"]
    if "cost_money" in news and news["cost_money"] == current:
        del news["cost_money"]
    if "currency" in news and news["currency"] in (None, currency):
        del news["currency"]
    return news


def check_date(on: date | None, today: date, *, planned: bool) -> None:
    """What was done lies in the past; what is planned may lie anywhere. `today` is the pet's. Raises `Invalid`."""
    if not planned and on is not None and on > today:
        raise _invalid("date_administered", "date_in_future", 'a future date needs "state": "planned"')


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, errors=(FieldProblem(f"/{field}", code, detail),))
