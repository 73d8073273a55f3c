"""Tokens of unsubscribe links: what was signed comes back, and nothing else does."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.unsubscribe import Unsubscriber, Wish, headers, page_link

OURS = Unsubscriber(b"k" * 32)
WISH = Wish(UUID("019aaf3e-0000-7000-8000-000000000002"), "grooming", "email", date(2026, 11, 23))
TOKEN = OURS.mint(WISH)
WORD = st.from_regex(r"[a-z_]{1,20}", fullmatch=True)


@given(st.uuids(), WORD, WORD, st.dates())
def test_a_token_says_what_it_was_minted_for(user_id: UUID, category: str, channel: str, issued: date) -> None:
    wish = Wish(user_id, category, channel, issued)
    assert OURS.read(OURS.mint(wish)) == wish


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_no_character_can_be_changed(place: int) -> None:
    for other in "ABz09-_":
        if other != TOKEN[place]:
            assert OURS.read(TOKEN[:place] + other + TOKEN[place + 1 :]) is None


@given(st.text(max_size=200))
def test_anything_else_is_no_token(text: str) -> None:
    assert OURS.read(text) is None


@pytest.mark.parametrize(
    "token", ["", TOKEN[:-1], TOKEN + "=", TOKEN + "A", " " + TOKEN, TOKEN + "\n", TOKEN * 9, "AQ", "ü" * 90]
)
def test_a_token_has_one_spelling(token: str) -> None:
    assert OURS.read(token) is None


def test_a_token_of_another_key_is_none_of_ours() -> None:
    assert Unsubscriber(b"x" * 32).read(TOKEN) is None


def test_the_same_wish_has_the_same_token_so_a_retried_mail_is_the_same_mail() -> None:
    assert OURS.mint(WISH) == TOKEN


def test_the_headers_are_those_of_rfc_8058() -> None:
    assert headers("https://petfolio.test", TOKEN) == {
        "List-Unsubscribe": f"<https://petfolio.test/api/v1/unsubscribe/{TOKEN}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert page_link("https://petfolio.test", TOKEN) == f"https://petfolio.test/unsubscribe?token={TOKEN}"
    # RFC 5322 §2.1.1: a header line has at most 998 characters.
    assert all(len(name) + len(value) < 300 for name, value in headers("https://petfolio.test", TOKEN).items())
