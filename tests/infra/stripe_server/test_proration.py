"""The arithmetic of money: periods, prorations, discounts and taxes, as tables and as properties."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.emulators.stripe_server.billing.lines import Line, Reduction, priced
from infra.local.emulators.stripe_server.billing.periods import Interval, Period, period_at
from infra.local.emulators.stripe_server.billing.proration import apportioned, credit, debit, remaining, rounded
from infra.local.emulators.stripe_server.billing.taxes import taxed

MONTH, YEAR = Interval("month"), Interval("year")
AMOUNTS = st.integers(-1_000_000, 1_000_000)


def at(text: str) -> int:
    """An instant, as in `2026-01-31`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def line(amount: int, product: str = "prod_a", *, inclusive: bool = False) -> Line:
    """A line of an invoice."""
    return Line(amount, "", Period(0, 1), "price_a", product, amount, 1, "si_a", is_inclusive=inclusive)


@pytest.mark.parametrize(
    ("anchor", "interval", "boundaries"),
    [
        ("2026-01-31", MONTH, ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        ("2028-01-31T12:30", MONTH, ["2028-02-29T12:30", "2028-03-31T12:30"]),
        ("2028-02-29", YEAR, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2026-11-30", Interval("month", 3), ["2027-02-28", "2027-05-30"]),
        ("2026-03-28", Interval("week", 2), ["2026-04-11"]),
        ("2026-12-31", Interval("day"), ["2027-01-01"]),
    ],
)
def test_a_short_month_bills_on_its_last_day_and_the_next_one_on_the_anchors(
    anchor: str, interval: Interval, boundaries: list[str]
) -> None:
    found = [interval.after(at(anchor), index + 1) for index in range(len(boundaries))]
    assert found == [at(each) for each in boundaries]


@given(
    st.integers(at("2020-01-01"), at("2040-01-01")),
    st.integers(at("2020-01-01"), at("2040-01-01")),
    st.sampled_from([MONTH, YEAR, Interval("month", 6), Interval("week"), Interval("day", 10)]),
)
def test_every_instant_lies_in_exactly_the_period_that_is_found_for_it(
    anchor: int, instant: int, interval: Interval
) -> None:
    period = period_at(anchor, interval, instant)
    assert period.start <= instant < period.end
    assert period_at(anchor, interval, period.end).start == period.end
    assert period.seconds <= interval.longest()


@pytest.mark.parametrize(
    ("amount", "left", "credited", "debited"),
    [
        (1000, Fraction(1, 2), -500, 500),
        (1000, Fraction(2, 3), -667, 667),
        (999, Fraction(1, 2), -500, 499),  # ties go down: minus 499.5 to minus 500, and 499.5 to 499
        (1, Fraction(1, 2), -1, 0),
        (1000, Fraction(0), 0, 0),
        (1000, Fraction(1), -1000, 1000),
    ],
)
def test_credit_and_debit_are_rounded_each_for_itself(amount: int, left: Fraction, credited: int, debited: int) -> None:
    assert (credit(amount, left), debit(amount, left)) == (credited, debited)


@given(st.fractions(-10_000, 10_000))
def test_rounding_is_off_by_half_a_unit_at_most_and_ties_go_down(amount: Fraction) -> None:
    assert -Fraction(1, 2) <= rounded(amount) - amount < Fraction(1, 2)


@given(st.integers(0, 10**10), st.integers(1, 10**8), st.integers(0, 10**10))
def test_what_is_left_of_a_period_is_exact_to_the_second(start: int, seconds: int, instant: int) -> None:
    period = Period(start, start + seconds)
    left = remaining(period, instant)
    assert 0 <= left <= 1
    assert left * seconds == min(max(period.end - instant, 0), seconds)


@given(st.integers(0, 10**6), st.lists(AMOUNTS, min_size=1, max_size=20))
def test_a_discount_is_spread_over_the_lines_without_losing_a_unit(total: int, shares: list[int]) -> None:
    paying = [share for share in shares if share > 0]
    total = min(total, sum(paying))
    parts = apportioned(total, shares)
    assert sum(parts) == total
    assert all(0 <= part <= max(share, 0) for part, share in zip(parts, shares, strict=True))
    exact = [Fraction(total * share, sum(paying)) if share > 0 else 0 for share in shares]
    assert all(-len(shares) <= part - given < len(shares) for part, given in zip(parts, exact, strict=True))


def test_the_last_line_has_the_remainder_of_a_discount() -> None:
    assert apportioned(100, [50, 50, 50]) == [33, 33, 34]
    assert apportioned(100, [300, -50, 300, 0]) == [50, 0, 50, 0]
    assert apportioned(3, [0, 1, 1, 0, 2]) == [0, 0, 1, 0, 2]


@given(AMOUNTS, st.sampled_from(["19", "8.1", "25.5", "10"]))
def test_a_tax_that_is_included_and_its_net_amount_make_up_the_price(amount: int, percent: str) -> None:
    tax = taxed(amount, percent, is_inclusive=True)
    assert tax.amount + tax.taxable == amount
    assert abs(tax.taxable * Fraction(percent) / 100 - tax.amount) <= 1


@given(
    st.lists(AMOUNTS, min_size=1, max_size=10),
    st.lists(st.one_of(st.integers(1, 5000), st.fractions(1, 100, max_denominator=4)), max_size=3),
    st.sampled_from([None, "19", "8.1"]),
    st.booleans(),
)
def test_the_totals_are_the_sums_of_the_lines(
    amounts: list[int], discounts: list[int | Fraction], percent: str | None, inclusive: bool
) -> None:
    reductions = [
        Reduction(f"di_{index}", percent_off=each)
        if isinstance(each, Fraction)
        else Reduction(f"di_{index}", None, each)
        for index, each in enumerate(discounts)
    ]
    totals = priced([line(amount, inclusive=inclusive) for amount in amounts], reductions, percent)
    reduced = sum(totals.reductions.values())
    on_top = 0 if inclusive else totals.tax
    assert totals.subtotal == sum(amounts)
    assert totals.total == totals.subtotal - reduced + on_top
    assert all(abs(each.reduced) <= abs(each.line.amount) for each in totals.lines)


def test_a_coupon_of_one_product_leaves_the_others_alone() -> None:
    totals = priced([line(1000), line(500, "prod_b")], [Reduction("di_1", Fraction(50), products=("prod_b",))])
    assert [each.total for each in totals.lines] == [1000, 250]


def test_a_coupon_of_more_than_the_invoice_takes_no_more_than_it() -> None:
    assert priced([line(1000)], [Reduction("di_1", None, 5000)]).total == 0


def test_a_credit_gives_back_what_was_paid_after_the_discount() -> None:
    totals = priced([line(-600), line(1200)], [Reduction("di_1", Fraction(50))])
    assert [each.total for each in totals.lines] == [-300, 600]


def test_tax_on_top_is_computed_after_the_discount() -> None:
    totals = priced([line(1000)], [Reduction("di_1", Fraction(10))], "19")
    assert (totals.subtotal, totals.tax, totals.total) == (1000, 171, 1071)
