"""Length and encoding of a text message, known before it is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import sms


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("ä" * 160, 1),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("🐈" * 35, 1),
        ("🐈" * 36, 2),
        ("ç" + "a" * 69, 1),
        ("ç" + "a" * 70, 2),
        ("–" * 134, 2),
        ("–" * 135, 3),
    ],
)
def test_a_text_takes_as_many_segments_as_its_encoding_needs(text: str, segments: int) -> None:
    assert sms.segments(text) == segments


@given(st.text(max_size=600))
def test_one_character_more_never_makes_it_shorter(text: str) -> None:
    assert sms.segments(text + "a") >= sms.segments(text)
