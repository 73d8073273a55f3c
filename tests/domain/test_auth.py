"""The rules of signing in, without any server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.auth import (
    Attempts,
    Quota,
    Refresh,
    RefreshChain,
    Wait,
    admit,
    canonical_address,
    charge,
    delay_after,
    judge_refresh,
    network_of,
    truncated_ip,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEVER = Attempts(0, 0, datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC))


def test_delays_start_after_five_failures_and_double_up_to_a_quarter_of_an_hour() -> None:
    seconds = [int(delay_after(failures).total_seconds()) for failures in range(18)]
    assert seconds == [0] * 6 + [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert delay_after(10**9) == timedelta(minutes=15)


def test_the_delay_is_forgotten_a_day_after_the_last_counted_attempt() -> None:
    tired = Attempts(9, 9, NOW + timedelta(seconds=16), NOW)
    assert charge(tired, now=NOW + timedelta(seconds=10)) == Wait(6)
    later = NOW + timedelta(hours=24)
    assert charge(tired, now=later) == Attempts(1, 10, later, later)


def test_after_a_hundred_failures_in_a_row_no_time_is_enough_and_no_device_known_enough() -> None:
    attempts, now, counted = NEVER, NOW, 0
    while isinstance(verdict := charge(attempts, now=now), Attempts):
        attempts, counted = verdict, counted + 1
        now = max(now, attempts.next_allowed_at)
    assert counted == 100
    for later in (now, now + timedelta(days=400)):
        assert charge(attempts, now=later) == charge(attempts, now=later, known_device=True) == Wait(None)


def test_failures_a_day_apart_wait_for_nothing_and_still_come_to_a_hundred() -> None:
    attempts, now, counted = NEVER, NOW, 0
    while isinstance(verdict := charge(attempts, now=now), Attempts):
        assert verdict.next_allowed_at == now
        attempts, counted, now = verdict, counted + 1, now + timedelta(hours=24)
    assert counted == 100


def test_a_known_device_does_not_wait_for_strangers_and_is_counted() -> None:
    tired = Attempts(9, 9, NOW + timedelta(seconds=16), NOW)
    verdict = charge(tired, now=NOW, known_device=True)
    assert verdict == Attempts(10, 10, NOW + timedelta(seconds=32), NOW)


def test_a_refused_attempt_does_not_lengthen_the_wait() -> None:
    tired = Attempts(8, 8, NOW + timedelta(seconds=8), NOW)
    waits = [charge(tired, now=NOW + timedelta(seconds=second)) for second in (0, 1, 2)]
    assert waits == [Wait(8), Wait(7), Wait(6)]


@pytest.mark.parametrize(
    ("left", "right"),
    [("Ada", "ada"), ("ADA", "ada"), ("ａｄａ", "ada"), ("straße", "STRASSE"), ("ﬁona", "fiona"), ("ᾳ", "ᾼ")],
)
def test_spellings_of_one_local_part_are_one_address(left: str, right: str) -> None:
    assert canonical_address(left, "Example.test") == canonical_address(right, "example.TEST")


@given(st.text(min_size=1, max_size=20))
def test_a_canonical_address_is_its_own_canonical_form(local_part: str) -> None:
    once = canonical_address(local_part, "example.test")
    assert canonical_address(once.rpartition("@")[0], "example.test") == once


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_limit_counts_the_network_a_person_can_choose_from(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_session_list_shows_a_truncated_address() -> None:
    assert [truncated_ip(address) for address in ("192.0.2.7", "2001:db8:1:2::9", "unknown")] == [
        "192.0.2.0/24",
        "2001:db8:1::/48",
        None,
    ]


@given(
    quota=st.integers(1, 1000),
    window=st.integers(1, 3600),
    burst=st.integers(1, 200),
    gaps=st.lists(st.floats(0, 100), max_size=300),
)
def test_a_limit_never_lets_more_through_than_its_burst_and_rate(
    quota: int, window: int, burst: int, gaps: list[float]
) -> None:
    now, arrival, passed = 1000.0, 0.0, 0
    for gap in gaps:
        now += gap
        admission, arrival = admit(Quota(quota, window, burst), arrival, now)
        passed += admission.allowed
    assert passed <= burst + (now - 1000) * quota / window + 1e-6


def test_a_full_burst_passes_at_once_and_the_next_one_waits_one_step() -> None:
    arrival, remaining = 0.0, []
    for _ in range(5):
        admission, arrival = admit(Quota(60, 60, 5), arrival, 1000.0)
        assert admission.allowed
        remaining.append(admission.remaining)
    assert remaining == [4, 3, 2, 1, 0]
    refused, same = admit(Quota(60, 60, 5), arrival, 1000.0)
    assert (refused.allowed, refused.retry_after, refused.reset, same) == (False, 1, 5, arrival)
    allowed, _ = admit(Quota(60, 60, 5), arrival, 1000.0 + refused.retry_after)
    assert allowed.allowed


CHAIN = RefreshChain(
    live=b"r3",
    parent=b"r2",
    rotated_at=NOW,
    idle_expires_at=NOW + timedelta(days=30),
    absolute_expires_at=NOW + timedelta(days=90),
    revoked=False,
    user_active=True,
    epoch_current=True,
)
WINDOW = timedelta(seconds=10)


@pytest.mark.parametrize(
    ("presented", "age", "verdict"),
    [
        (b"r3", 0, Refresh.ROTATE),
        (b"r3", 86_400, Refresh.ROTATE),
        (b"r2", 0, Refresh.REPLAY),
        (b"r2", 10, Refresh.REPLAY),
        (b"r2", 11, Refresh.REUSED),
        (b"r1", 0, Refresh.REUSED),
    ],
)
def test_only_the_live_token_rotates_and_only_its_parent_is_replayed(
    presented: bytes, age: int, verdict: Refresh
) -> None:
    assert judge_refresh(CHAIN, presented, now=NOW + timedelta(seconds=age), window=WINDOW) is verdict


@pytest.mark.parametrize("presented", [b"r1", b"r2", b"r3"])
@pytest.mark.parametrize(
    "dead",
    [
        replace(CHAIN, revoked=True),
        replace(CHAIN, user_active=False),
        replace(CHAIN, epoch_current=False),
        replace(CHAIN, idle_expires_at=NOW),
        replace(CHAIN, absolute_expires_at=NOW),
    ],
)
def test_a_dead_session_refuses_every_token_of_it(dead: RefreshChain, presented: bytes) -> None:
    assert judge_refresh(dead, presented, now=NOW, window=WINDOW) is Refresh.REFUSE
