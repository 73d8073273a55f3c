"""Which passwords may be set, without any server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.password import (
    Exposure,
    PasswordRefused,
    Weakness,
    context_words,
    is_contextual,
    is_enough_alone,
    normalize_password,
    refuse,
    weaknesses_of_exposure,
    weaknesses_of_form,
)

WORDS = context_words("ada.byron@example.test", ["Ada", "King-Noel", None, "Milo", "Jo"])


@given(st.text(min_size=15, max_size=60))
def test_a_password_of_fitting_length_is_never_changed_but_by_normalising(text: str) -> None:
    normalized = normalize_password(text)
    assert normalize_password(normalized) == normalized
    if 15 <= len(normalized) <= 128:
        assert not set(weaknesses_of_form(normalized, frozenset(), 15)) - {Weakness.TOO_LONG}


@pytest.mark.parametrize(
    ("text", "minimum", "found"),
    [
        ("", 15, [Weakness.TOO_SHORT]),
        ("x" * 14, 15, [Weakness.TOO_SHORT]),
        ("x" * 15, 15, []),
        ("x" * 7, 8, [Weakness.TOO_SHORT]),
        ("x" * 8, 8, []),
        ("e\u0301" * 14, 15, [Weakness.TOO_SHORT]),
        ("ﬁ" * 8, 15, []),
        ("x" * 128, 15, []),
        ("x" * 129, 15, [Weakness.TOO_LONG]),
        ("😀" * 129, 15, [Weakness.TOO_LONG]),
        ("petfolio2026", 15, [Weakness.TOO_SHORT, Weakness.CONTEXTUAL]),
    ],
)
def test_length_is_counted_in_normalised_code_points(text: str, minimum: int, found: list[Weakness]) -> None:
    assert weaknesses_of_form(normalize_password(text), WORDS, minimum) == found


def test_what_may_stand_alone_has_fifteen_characters() -> None:
    assert [is_enough_alone("x" * length) for length in (14, 15)] == [False, True]


@pytest.mark.parametrize(
    "password",
    [
        "petfolio",
        "Petfolio-2026-!!",
        "P3tf0l10P3tf0l10",
        "ada.byron@example.test",
        "ADA.BYRON@EXAMPLE.TEST",
        "ada.byron20260101",
        "byron byron byron",
        "Ada & Milo 4ever <3",
        "ｍｉｌｏｍｉｌｏｍｉｌｏ",
        "king-noel-1815-1852",
        "xX_petfolio_Xx 000",
    ],
)
def test_words_about_oneself_alone_or_decorated_make_no_password(password: str) -> None:
    assert is_contextual(normalize_password(password), WORDS)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "Milo chases seven herons",
        "jojojojojojojojo",
        "1815 1852 1900 2026",
        "日本語のパスワードです",
    ],
)
def test_words_about_oneself_may_be_part_of_a_longer_thought(password: str) -> None:
    assert not is_contextual(normalize_password(password), WORDS)


def test_every_reason_is_named_and_the_gravest_is_the_code() -> None:
    with pytest.raises(PasswordRefused) as refused:
        refuse(weaknesses_of_exposure(Exposure(common=True, breached=True, score=2)))
    assert refused.value.problem_code == "common"
    assert [problem.code for problem in refused.value.errors] == ["common", "breached", "guessable"]
    assert {problem.pointer for problem in refused.value.errors} == {"/password"}


def test_the_sentence_names_the_length_that_is_asked_for() -> None:
    with pytest.raises(PasswordRefused, match="at least 8 characters"):
        refuse([Weakness.TOO_SHORT], 8)


def test_a_strong_password_is_not_refused() -> None:
    refuse(weaknesses_of_exposure(Exposure(common=False, breached=False, score=3)))
