"""The rules of second factors, without any server."""

import base64
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.mfa import (
    Method,
    has_second_factor,
    hotp,
    is_copied,
    matching_step,
    normalize_recovery_code,
    recovery_code,
    time_step,
)

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 11, 28, 12, 0, 7, tzinfo=UTC)


def code(steps: int) -> str:
    return pyotp.TOTP(SECRET).at(NOW + timedelta(seconds=30 * steps))


@pytest.mark.parametrize(
    ("counter", "digits"),
    [*enumerate("755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split())],
)
def test_codes_are_those_of_rfc_4226_appendix_d(counter: int, digits: str) -> None:
    assert hotp(b"12345678901234567890", counter) == digits


@given(secret=st.binary(min_size=20, max_size=20), counter=st.integers(0, 2**40))
def test_codes_are_those_that_apps_show(secret: bytes, counter: int) -> None:
    assert hotp(secret, counter) == pyotp.HOTP(base64.b32encode(secret).decode()).at(counter)


@pytest.mark.parametrize(("steps", "matches"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_to_either_side_is_as_good_as_the_present_one(steps: int, matches: bool) -> None:
    assert matching_step(SECRET, code(steps), NOW) == (time_step(NOW) + steps if matches else None)


def test_of_several_steps_with_one_code_the_latest_is_the_one_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.mfa.hotp", lambda *_: "123456")
    assert matching_step(SECRET, "123456", NOW) == time_step(NOW) + 1


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "١٢٣٤٥٦", "abcdef"])
def test_what_is_no_code_matches_nothing(typed: str) -> None:
    assert matching_step(SECRET, typed, NOW) is None


def test_a_recovery_code_may_be_typed_in_small_letters_and_without_dashes() -> None:
    shown = recovery_code(bytes(range(10)))
    assert shown == "AAAQ-EAYE-AUDA-OCAJ"
    assert {normalize_recovery_code(typed) for typed in (shown, shown.lower(), " aaaq eaye\tauda ocaj ")} == {
        "AAAQEAYEAUDAOCAJ"
    }


def test_recovery_codes_alone_ask_for_nothing() -> None:
    assert not has_second_factor([Method.RECOVERY_CODE])
    assert has_second_factor([Method.RECOVERY_CODE, Method.PASSKEY])


@pytest.mark.parametrize(
    ("stored", "seen", "copied"),
    [(0, 0, False), (0, 1, False), (5, 6, False), (5, 5, True), (5, 4, True), (5, 0, True)],
)
def test_a_counter_that_does_not_go_up_is_a_sign_of_a_copy(stored: int, seen: int, copied: bool) -> None:
    assert is_copied(stored, seen) is copied
