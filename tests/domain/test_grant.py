"""Access that ends by itself: what it is at any moment, what is to be done, and which evenings are told of."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.grant import (
    SUMMARY_AT,
    GrantState,
    Span,
    Standing,
    Step,
    Todo,
    last_summary,
    next_summary,
    summary_span,
    todo,
)

BERLIN = "Europe/Berlin"
FROM = datetime(2026, 8, 1, 7, tzinfo=UTC)
UNTIL = datetime(2026, 8, 8, 22, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)
ZONES = st.sampled_from([BERLIN, "America/Vancouver", "Asia/Tokyo", "Pacific/Apia", "America/Sao_Paulo", "UTC"])
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


def grant(**fields: object) -> Standing:
    return Standing(**{"accepted": True, "valid_from": FROM, "valid_until": UNTIL, "mailed": True} | fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "now", "state"),
    [
        ({"accepted": False}, FROM - A_SECOND, GrantState.OFFERED),
        ({"accepted": False}, FROM + A_SECOND, GrantState.OFFERED),
        ({"accepted": False}, UNTIL, GrantState.OVER),
        ({}, FROM - A_SECOND, GrantState.COMING),
        ({}, FROM, GrantState.ACTIVE),
        ({}, UNTIL - A_SECOND, GrantState.ACTIVE),
        ({}, UNTIL, GrantState.OVER),
        ({"revoked_at": FROM}, FROM + A_SECOND, GrantState.REVOKED),
        ({"revoked_at": FROM, "declined": True}, UNTIL, GrantState.DECLINED),
    ],
)
def test_a_grant_gives_access_from_its_beginning_up_to_its_end(
    fields: dict[str, object], now: datetime, state: GrantState
) -> None:
    assert grant(**fields).state(now) is state


@pytest.mark.parametrize(
    ("fields", "now", "expected"),
    [
        ({"accepted": False, "mailed": False}, FROM - A_SECOND, Todo(Step.MAIL)),
        ({"mailed": False}, FROM, Todo(Step.MAIL)),
        ({"accepted": False}, FROM, Todo(until=UNTIL)),
        ({}, FROM - A_SECOND, Todo(until=FROM)),
        ({}, FROM, Todo(Step.START)),
        ({"started_at": FROM}, FROM, Todo(until=datetime(2026, 8, 1, 19, tzinfo=UTC))),
        ({"started_at": FROM}, datetime(2026, 8, 1, 19, tzinfo=UTC), Todo(Step.SUMMARISE)),
        (
            {"started_at": FROM, "summarised_at": datetime(2026, 8, 7, 19, tzinfo=UTC)},
            datetime(2026, 8, 7, 20, tzinfo=UTC),
            Todo(until=datetime(2026, 8, 8, 19, tzinfo=UTC)),
        ),
        (
            {"started_at": FROM, "summarised_at": datetime(2026, 8, 8, 19, tzinfo=UTC)},
            datetime(2026, 8, 8, 20, tzinfo=UTC),
            Todo(until=UNTIL),
        ),
        ({"started_at": FROM}, UNTIL, Todo(Step.END)),
        ({"mailed": False, "revoked_at": FROM}, FROM, Todo(Step.END)),
        ({"started_at": FROM, "ended_at": UNTIL}, UNTIL, Todo()),
    ],
)
def test_each_moment_has_one_next_step(fields: dict[str, object], now: datetime, expected: Todo) -> None:
    assert todo(grant(**fields), [BERLIN], now) == expected


def test_the_earliest_evening_of_several_owners_comes_first() -> None:
    started = grant(started_at=FROM)
    expected = Todo(until=datetime(2026, 8, 1, 12, tzinfo=UTC))
    assert todo(started, [BERLIN, "Asia/Tokyo", "America/Vancouver"], FROM) == expected


def test_a_household_without_owners_waits_for_the_end() -> None:
    assert todo(grant(started_at=FROM), [], FROM) == Todo(until=UNTIL)


@given(ZONES, INSTANTS)
def test_summaries_come_once_a_local_day_around_every_instant(zone: str, now: datetime) -> None:
    last, following = last_summary(zone, now), next_summary(zone, now)
    assert last <= now < following
    assert next_summary(zone, last) == following
    assert following - last <= timedelta(days=2)  # Apia left out a day
    local = following.astimezone(ZoneInfo(zone))
    assert local.time() >= SUMMARY_AT


@given(ZONES, st.lists(st.integers(1, 100), min_size=1, max_size=20), st.integers(0, 23))
def test_whenever_somebody_looks_every_moment_is_told_of_exactly_once(zone: str, gaps: list[int], offset: int) -> None:
    """Looks come late, early and after days of outage; the spans that are told join without a gap."""
    begins = datetime(2026, 3, 20, offset, tzinfo=UTC)
    ends = begins + timedelta(hours=sum(gaps) + 1)
    told: list[Span] = []
    standing = Standing(accepted=True, valid_from=begins, valid_until=ends, started_at=begins)
    now = begins
    for gap in (*gaps, 2):
        now += timedelta(hours=gap)
        if (span := summary_span(standing, zone, now)) is not None:
            told.append(span)
        standing = Standing(
            accepted=True, valid_from=begins, valid_until=ends, started_at=begins, summarised_at=min(now, ends)
        )
        if now >= ends:
            break
    assert told[0].start == begins
    assert told[-1].end == ends
    assert all(before.end == after.start for before, after in pairwise(told))
