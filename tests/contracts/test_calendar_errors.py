"""What the refusals of Google and Microsoft mean: one table for both, with what only one of them says."""

from datetime import UTC, datetime
from itertools import product

import pytest

from integrations.calendar import errors
from integrations.calendar.errors import SCOPE_MISSING, Asked, Refusal
from integrations.calendar.protocol import (
    AlreadyExists,
    CalendarError,
    CalendarMissing,
    CursorExpired,
    EtagMismatch,
    EventGone,
    EventRejected,
    Misunderstood,
    NeedsReauth,
    RateLimited,
    UnknownOutcome,
)

ACCOUNT, LIST, READ, CREATE, CHANGE = Asked
BOTH = [
    (401, Asked, NeedsReauth),
    (429, Asked, RateLimited),
    (500, Asked, UnknownOutcome),
    (502, Asked, UnknownOutcome),
    (503, Asked, UnknownOutcome),
    (408, Asked, UnknownOutcome),
    (410, [LIST], CursorExpired),
    (400, [LIST], CursorExpired),
    (404, [LIST, CREATE, ACCOUNT], CalendarMissing),
    (404, [READ, CHANGE], EventGone),
    (410, [READ, CHANGE], EventGone),
    (412, [CHANGE], EtagMismatch),
    (409, [CHANGE], EtagMismatch),
    (409, [CREATE, ACCOUNT], AlreadyExists),
    (412, [CREATE], AlreadyExists),
    (400, [CREATE, CHANGE], EventRejected),
    (422, [CREATE, CHANGE], EventRejected),
    (413, [CREATE, CHANGE], EventRejected),
]
VENDORS = {"google": errors.google, "microsoft": errors.microsoft}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("status", "among", "meant"), BOTH)
def test_a_status_means_what_was_asked(
    vendor: str, status: int, among: list[Asked], meant: type[CalendarError]
) -> None:
    for asked in among:
        assert type(VENDORS[vendor](Refusal(status), asked)) is meant


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [429, 503, 504])
def test_a_pause_that_was_asked_for_is_kept(vendor: str, status: int) -> None:
    for asked in Asked:
        error = VENDORS[vendor](Refusal(status, retry_after=7), asked)
        assert (type(error), error.retry_after, error.retryable) == (RateLimited, 7, True)


@pytest.mark.parametrize(
    ("reason", "meant"),
    [
        ("rateLimitExceeded", RateLimited),
        ("userRateLimitExceeded", RateLimited),
        ("quotaExceeded", RateLimited),
        ("insufficientPermissions", NeedsReauth),
        ("forbiddenForNonOrganizer", EventRejected),
        ("calendarUsageLimitsExceeded", EventRejected),
        (None, EventRejected),
    ],
)
def test_a_403_of_google_means_its_reason(reason: str | None, meant: type[CalendarError]) -> None:
    assert type(errors.google(Refusal(403, reason), CHANGE)) is meant


@pytest.mark.parametrize(
    ("status", "code", "asked", "meant"),
    [
        (400, "syncStateInvalid", LIST, CursorExpired),
        (404, "syncStateNotFound", LIST, CursorExpired),
        (410, "resyncRequired", LIST, CursorExpired),
        (400, "ErrorDuplicateTransactionId", CREATE, AlreadyExists),
        (409, "ErrorDuplicateTransactionId", CREATE, AlreadyExists),
        (412, "ErrorIrresolvableConflict", CHANGE, EtagMismatch),
        (404, "ErrorItemNotFound", READ, EventGone),
        (403, "ApplicationThrottled", CHANGE, RateLimited),
        (403, "ErrorAccessDenied", LIST, NeedsReauth),
        (403, "ErrorAccessDenied", CHANGE, EventRejected),
        (507, "ErrorQuotaExceeded", CREATE, UnknownOutcome),
    ],
)
def test_graph_says_more_with_its_code(status: int, code: str, asked: Asked, meant: type[CalendarError]) -> None:
    assert type(errors.microsoft(Refusal(status, code), asked)) is meant


def test_a_consent_that_reaches_less_far_is_told_from_a_refused_token() -> None:
    short = errors.google(Refusal(403, "insufficientPermissions"), ACCOUNT)
    assert short.problem_code == SCOPE_MISSING != errors.google(Refusal(401), ACCOUNT).problem_code


def test_an_answer_that_nobody_can_read_may_have_been_a_write() -> None:
    for asked in Asked:
        expected = UnknownOutcome if asked in (CREATE, CHANGE) else Misunderstood
        assert type(errors.unreadable(asked)) is expected
    assert type(errors.no_answer()) is UnknownOutcome


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("999999999", 86_400),
        ("Sat, 02 Jan 2027 10:00:30 GMT", 30),
        ("Sat, 02 Jan 2027 09:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
        ("²", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(header: str | None, seconds: int | None) -> None:
    assert errors.seconds(header, datetime(2027, 1, 2, 10, tzinfo=UTC)) == seconds


def test_no_error_says_what_a_vendor_or_a_person_wrote() -> None:
    for (name, vendor), status, asked in product(VENDORS.items(), (400, 401, 403, 404, 409, 410, 412, 429, 503), Asked):
        error = vendor(Refusal(status, "ada@example.com"), asked)
        assert "ada" not in f"{error!r}{error.detail}{error.extra}", name
