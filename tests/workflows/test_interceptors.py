"""What a history and the retry policy get to know of an error in an activity."""

from datetime import timedelta

from pydantic import TypeAdapter, ValidationError
from temporalio.exceptions import ApplicationErrorCategory

from core.errors import Conflict, PetfolioError, Unavailable
from temporal.interceptors import as_failure


def test_a_refusal_keeps_its_code_is_not_retried_and_alarms_nobody() -> None:
    failure = as_failure(Conflict("it is closed", code="already_closed"))
    assert (failure.type, failure.message, failure.non_retryable) == ("already_closed", "it is closed", True)
    assert failure.category is ApplicationErrorCategory.BENIGN


def test_somebody_being_away_is_retried_when_they_said() -> None:
    failure = as_failure(Unavailable("the provider asks for patience", retry_after=90))
    assert (failure.non_retryable, failure.next_retry_delay) == (False, timedelta(seconds=90))
    assert failure.category is ApplicationErrorCategory.UNSPECIFIED


def test_a_defect_of_ours_that_retrying_cannot_heal_is_not_benign() -> None:
    failure = as_failure(PetfolioError("a ciphertext does not open"))
    assert failure.non_retryable
    assert failure.category is ApplicationErrorCategory.UNSPECIFIED


def test_what_nobody_foresaw_is_retried_bounded_and_tells_no_input() -> None:
    try:
        TypeAdapter(int).validate_python("Rex the dog")
    except ValidationError as error:
        refused = as_failure(error)
    assert (refused.type, refused.non_retryable) == ("ValidationError", False)
    assert "Rex" not in refused.message
    assert len(as_failure(RuntimeError("x" * 10_000)).message) == 500


def test_the_history_shows_where_it_happened() -> None:
    try:
        raise OSError("reset")
    except OSError as error:
        failure = as_failure(error)
    assert failure.__traceback__ is not None
    assert failure.__cause__ is None
