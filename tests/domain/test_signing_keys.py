"""Keys of access tokens on a clock that is moved by hand: published a day ahead, gone after their last token."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.signing_keys import DAY, HOUR, PERIOD, plan_rotation

TOKEN = 600
START = 1_800_000_000


class Ring:
    """Keys as the rotation leaves them, and the diary of each: when it was made, signs, was forgotten."""

    def __init__(self) -> None:
        self.signs_from = {"k0": START}
        self.made, self.signs, self.gone = {"k0": START}, {"k0": START}, dict[str, int]()

    def run(self, now: int) -> None:
        plan = plan_rotation(self.signs_from, token_seconds=TOKEN, now=now)
        for kid in plan.retired:
            del self.signs_from[kid]
            self.gone[kid] = now
        if plan.next_signs_from is not None:
            kid = f"k{len(self.made)}"
            self.signs_from[kid] = self.signs[kid] = plan.next_signs_from
            self.made[kid] = now

    def signer(self, now: int) -> str:
        return max((kid for kid in self.signs_from if self.signs_from[kid] <= now), key=self.signs_from.__getitem__)


def test_nothing_is_due_on_most_days() -> None:
    ring = Ring()
    for day in range(86):
        ring.run(START + day * DAY)
    assert ring.signs_from == {"k0": START}


def test_a_year_of_nights() -> None:
    ring, signed = Ring(), list[str]()
    for night in range(365):
        now = START + night * DAY
        ring.run(now)
        signed.append(ring.signer(now))
    assert [signed.count(kid) for kid in ("k0", "k1", "k2", "k3", "k4")] == [90, 90, 90, 90, 5]
    assert list(ring.signs_from) == ["k4"], "the former ones are gone"


def test_a_run_that_comes_months_late_still_publishes_a_day_ahead() -> None:
    late = START + 2 * PERIOD
    plan = plan_rotation({"k0": START}, token_seconds=TOKEN, now=late)
    assert plan.next_signs_from is not None
    assert plan.next_signs_from - late >= DAY
    assert plan.retired == frozenset()


def test_a_second_run_finds_nothing_to_do() -> None:
    ring = Ring()
    for _ in range(3):
        ring.run(START + PERIOD)
    assert len(ring.signs_from) == 2


@pytest.mark.parametrize(("after", "gone"), [(TOKEN + 30, False), (HOUR, False), (HOUR + TOKEN, True)])
def test_the_former_key_stays_until_its_last_token_has_expired(after: int, gone: bool) -> None:
    heir = START + PERIOD
    plan = plan_rotation({"k0": START, "k1": heir}, token_seconds=TOKEN, now=heir + after)
    assert plan.retired == ({"k0"} if gone else set())


@given(st.lists(st.integers(min_value=1, max_value=40 * DAY), min_size=1, max_size=60))
def test_whenever_it_runs_every_key_was_announced_and_outlives_its_tokens(steps: list[int]) -> None:
    ring, now = Ring(), START
    for step in steps:
        now += step
        ring.run(now)
        assert ring.signer(now) in ring.signs_from
        assert len(ring.signs_from) <= 3
    kids = list(ring.made)
    assert all(ring.signs[kid] - ring.made[kid] >= DAY for kid in kids[1:])
    assert all(ring.signs[heir] - ring.signs[kid] >= PERIOD for kid, heir in pairwise(kids))
    handed_over = {kid: ring.signs[heir] for kid, heir in pairwise(kids)}
    assert all(at > handed_over[kid] + TOKEN + 30 for kid, at in ring.gone.items())
