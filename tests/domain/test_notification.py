"""Who may be told what, where and when: the matrix, consent, quiet hours, the digest."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Invalid
from domain.consent import Purpose
from domain.notification import (
    MATRIX,
    Account,
    Category,
    Channel,
    Digest,
    DigestFrequency,
    Forbidden,
    Standing,
    forbidden,
    free_at,
    is_enabled,
    may_be_stopped,
    next_digest,
)
from domain.quiet_hours import QuietHours, Window, defer, together

ANYBODY = Standing(
    user_id=UUID(int=1),
    account=Account.ACTIVE,
    verified=True,
    timezone="Europe/Berlin",
    locale="en",
    granted=frozenset({Purpose.SMS}),
    has_phone=True,
    has_device=True,
)
ESSENTIAL = (Category.ACCOUNT, Category.SECURITY, Category.PRIVACY, Category.BILLING)
CELLS = [(category, channel) for category in Category for channel in Channel]
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Tokyo", "UTC", "Africa/Cairo"]
)
INSTANTS = st.datetimes(datetime(2007, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
MINUTES = st.builds(time, st.integers(0, 23), st.integers(0, 59))


class TestMatrix:
    def test_every_cell_has_a_default_and_a_reason(self) -> None:
        for category, channel in CELLS:
            assert len(MATRIX[category][channel].reason) > 10

    def test_mails_that_protect_a_person_cannot_be_switched_off(self) -> None:
        for category in ESSENTIAL:
            off = replace(ANYBODY, changed={(category, Channel.EMAIL): False})
            assert forbidden(category, Channel.EMAIL, off) is None
            assert not may_be_stopped(category, Channel.EMAIL)

    @pytest.mark.parametrize(("category", "channel"), [c for c in CELLS if not MATRIX[c[0]][c[1]].locked])
    def test_every_other_cell_is_the_person_s_own(self, category: Category, channel: Channel) -> None:
        off = replace(ANYBODY, changed={(category, channel): False})
        on = replace(ANYBODY, changed={(category, channel): True})
        assert forbidden(category, channel, off) is Forbidden.PREFERENCE
        assert forbidden(category, channel, on) is None

    def test_a_digest_is_a_mail_whatever_a_row_says(self) -> None:
        changed = {(Category.DIGEST, channel): True for channel in Channel}
        assert [channel for channel in Channel if is_enabled(Category.DIGEST, channel, changed)] == [Channel.EMAIL]

    def test_one_category_says_nothing_about_another(self) -> None:
        quiet = replace(ANYBODY, changed={(Category.GROOMING, Channel.PUSH): False})
        assert forbidden(Category.MEDICATION, Channel.PUSH, quiet) is None
        assert forbidden(Category.GROOMING, Channel.EMAIL, quiet) is None


class TestReach:
    def test_a_text_message_needs_consent_and_a_number(self) -> None:
        never = replace(ANYBODY, granted=frozenset({Purpose.MARKETING}))
        assert forbidden(Category.MEDICATION, Channel.SMS, never) is Forbidden.NO_CONSENT
        assert forbidden(Category.MEDICATION, Channel.SMS, replace(ANYBODY, has_phone=False)) is Forbidden.NO_PHONE
        assert forbidden(Category.MEDICATION, Channel.SMS, ANYBODY) is None

    def test_a_push_message_needs_a_device(self) -> None:
        assert forbidden(Category.FEEDING, Channel.PUSH, replace(ANYBODY, has_device=False)) is Forbidden.NO_DEVICE

    def test_an_address_nobody_confirmed_gets_what_confirms_it(self) -> None:
        unknown = replace(ANYBODY, verified=False)
        reached = {category for category in Category if forbidden(category, Channel.EMAIL, unknown) is None}
        assert reached == set(ESSENTIAL)
        assert forbidden(Category.OTHER, Channel.EMAIL, unknown) is Forbidden.NOT_VERIFIED

    def test_an_address_that_bounced_gets_no_bulk_mail_and_may_still_come_back(self) -> None:
        bounced = replace(ANYBODY, suppressed=True)
        reached = {category for category in Category if forbidden(category, Channel.EMAIL, bounced) is None}
        assert reached == set(ESSENTIAL)
        assert forbidden(Category.OTHER, Channel.EMAIL, bounced) is Forbidden.SUPPRESSED
        assert forbidden(Category.OTHER, Channel.PUSH, bounced) is None

    def test_a_blocked_account_hears_about_itself_by_mail_only(self) -> None:
        blocked = replace(ANYBODY, account=Account.BLOCKED)
        reached = {cell for cell in CELLS if forbidden(*cell, blocked) is None}
        assert reached == {(category, Channel.EMAIL) for category in ESSENTIAL}

    def test_whoever_was_forgotten_hears_nothing(self) -> None:
        gone = replace(ANYBODY, account=Account.GONE)
        assert {forbidden(*cell, gone) for cell in CELLS} == {Forbidden.ACCOUNT_BLOCKED}

    def test_what_the_person_said_is_the_reason_that_is_told(self) -> None:
        nobody = replace(ANYBODY, changed={(Category.OTHER, Channel.SMS): False}, granted=frozenset(), has_phone=False)
        assert forbidden(Category.OTHER, Channel.SMS, nobody) is Forbidden.PREFERENCE


class TestQuietHours:
    NIGHT = QuietHours(time(22), time(7), "Europe/Berlin")

    def test_a_notice_of_the_night_waits_for_the_person_s_own_morning(self) -> None:
        sleeper = replace(ANYBODY, quiet_hours=(self.NIGHT,))
        assert free_at(datetime(2026, 11, 23, 23, tzinfo=UTC), sleeper, critical=False) == datetime(
            2026, 11, 24, 6, tzinfo=UTC
        )

    def test_a_dose_breaks_through_unless_the_person_said_otherwise(self) -> None:
        at = datetime(2026, 11, 23, 23, tzinfo=UTC)
        sleeper = replace(ANYBODY, quiet_hours=(self.NIGHT,))
        assert free_at(at, sleeper, critical=True) == at
        assert free_at(at, replace(sleeper, critical_bypass=False), critical=True) > at

    def test_without_quiet_hours_nothing_waits(self) -> None:
        at = datetime(2026, 11, 23, 23, tzinfo=UTC)
        assert free_at(at, ANYBODY, critical=False) == at

    def test_of_two_windows_with_one_start_the_longer_one_holds(self) -> None:
        longer, shorter = Window(time(22), time(7)), Window(time(22), time(23))
        assert together([longer, shorter]) == together([shorter, longer]) == (longer,)

    def test_overlapping_windows_stay_and_are_ordered(self) -> None:
        noon, evening = Window(time(12), time(14)), Window(time(13), time(20))
        assert together([evening, noon]) == (noon, evening)

    def test_a_window_without_length_is_refused_by_its_place(self) -> None:
        with pytest.raises(Invalid) as refused:
            together([Window(time(12), time(13)), Window(time(8), time(8))])
        assert [(p.pointer, p.code) for p in refused.value.errors] == [("/windows/1", "quiet_hours_empty")]

    def test_windows_that_leave_no_minute_are_refused(self) -> None:
        with pytest.raises(Invalid) as refused:
            together([Window(time(0), time(12)), Window(time(11), time(0))])
        assert [(p.pointer, p.code) for p in refused.value.errors] == [("/windows", "quiet_hours_whole_day")]

    @given(st.lists(st.builds(Window, MINUTES, MINUTES), max_size=5), ZONES, INSTANTS)
    def test_what_is_kept_holds_back_exactly_what_was_asked_for(
        self, asked: list[Window], tzid: str, at: datetime
    ) -> None:
        try:
            kept = together(asked)
        except Invalid:
            return
        assert len({window.start for window in kept}) == len(kept)
        assert defer(at, _of(kept, tzid)) == defer(at, _of(asked, tzid))


class TestDigest:
    def test_a_daily_digest_comes_at_its_time_on_the_person_s_clock(self) -> None:
        assert next_digest(datetime(2026, 11, 23, 12, tzinfo=UTC), ANYBODY) == datetime(2026, 11, 24, 7, tzinfo=UTC)

    def test_at_its_very_instant_the_next_one_is_meant(self) -> None:
        at = datetime(2026, 11, 24, 7, tzinfo=UTC)
        assert next_digest(at - timedelta(microseconds=1), ANYBODY) == at
        assert next_digest(at, ANYBODY) == at + timedelta(days=1)

    def test_a_weekly_digest_comes_on_its_day(self) -> None:
        weekly = replace(ANYBODY, digest=Digest(DigestFrequency.WEEKLY, weekday=4, at=time(18, 30)))
        found = next_digest(datetime(2026, 11, 23, 12, tzinfo=UTC), weekly)
        assert found == datetime(2026, 11, 27, 17, 30, tzinfo=UTC)

    def test_switched_off_there_is_none(self) -> None:
        assert next_digest(datetime(2026, 11, 23, tzinfo=UTC), replace(ANYBODY, digest=_digest("off"))) is None

    def test_a_time_that_the_clocks_skip_comes_after_the_gap(self) -> None:
        night = replace(ANYBODY, digest=_digest("daily", at=time(2, 30)))
        assert next_digest(datetime(2027, 3, 27, 12, tzinfo=UTC), night) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)

    def test_a_time_that_comes_twice_is_used_once(self) -> None:
        night = replace(ANYBODY, digest=_digest("daily", at=time(2, 30)))
        first = next_digest(datetime(2027, 10, 30, 12, tzinfo=UTC), night)
        assert first == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
        assert next_digest(first, night) == datetime(2027, 11, 1, 1, 30, tzinfo=UTC)

    @settings(max_examples=200)
    @given(INSTANTS, ZONES, MINUTES, st.integers(0, 6))
    def test_one_comes_every_week_at_its_wall_time(self, after: datetime, tzid: str, at: time, weekday: int) -> None:
        weekly = replace(ANYBODY, timezone=tzid, digest=Digest(DigestFrequency.WEEKLY, weekday, at))
        found = next_digest(after, weekly)
        assert found is not None
        assert timedelta(0) < found - after <= timedelta(days=8, hours=1)
        local = found.astimezone(ZoneInfo(tzid))
        # A gap moves the time, and where it begins at midnight or swallows a date, the day too.
        assert (local.weekday(), local.time()) == (weekday, at) or _is_after_a_gap(local)

    @settings(max_examples=200)
    @given(INSTANTS, ZONES, MINUTES)
    def test_one_comes_every_day_and_no_instant_twice(self, after: datetime, tzid: str, at: time) -> None:
        daily = replace(ANYBODY, timezone=tzid, digest=_digest("daily", at=at))
        seen = [after]
        for _ in range(4):
            found = next_digest(seen[-1], daily)
            assert found is not None
            seen.append(found)
        steps = [later - earlier for earlier, later in pairwise(seen[1:])]
        assert all(timedelta(0) < step <= timedelta(days=2, hours=2) for step in steps)


def _digest(frequency: str, at: time = time(8)) -> Digest:
    return Digest(DigestFrequency(frequency), at=at)


def _of(windows: list[Window] | tuple[Window, ...], tzid: str) -> list[QuietHours]:
    return [QuietHours(window.start, window.end, tzid) for window in windows if window.start != window.end]


def _is_after_a_gap(local: datetime) -> bool:
    offsets = {(local + timedelta(days=d)).utcoffset() for d in (-2, 0)}
    return len(offsets) == 2
