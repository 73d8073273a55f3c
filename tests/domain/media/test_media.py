"""What is taken, what it is called, and how far it has come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.ids import new_id
from domain.media import keys, names
from domain.media.limits import KINDS, LARGEST, PART_BYTES, Kind, Purpose, check_upload, part_sizes
from domain.media.reasons import GERMAN, SENTENCES, Reason, reason_of
from domain.media.state import Stage, percent


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../x", "x"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a\r\nSet-Cookie: b.jpg", "aSet-Cookie b.jpg"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("Mädchen 🐕\u200d🦺.heic", "Mädchen 🐕\u200d🦺.heic"),
        ("  .hidden. ", "hidden"),
        ("", "file"),
        ("///", "file"),
        ("\x00\x1b", "file"),
    ],
)
def test_a_name_is_shown_without_what_hides_or_breaks(given: str, shown: str) -> None:
    assert names.clean(given) == shown


def test_a_name_of_a_thousand_characters_keeps_its_ending() -> None:
    shown = names.clean("a" * 1000 + ".jpeg")
    assert len(shown) == names.LONGEST
    assert shown.endswith("aaa.jpeg")


@given(st.text(max_size=400))
def test_no_name_holds_controls_separators_or_marks_of_direction(given: str) -> None:
    shown = names.clean(given)
    assert 0 < len(shown) <= names.LONGEST
    assert not set(shown) & set("/\\\r\n\0:\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert names.clean(shown) == shown


@pytest.mark.parametrize("content_type", sorted(KINDS))
def test_each_kind_has_its_largest_size(content_type: str) -> None:
    kind = KINDS[content_type]
    assert check_upload(Purpose.DOCUMENT, content_type, LARGEST[kind]) is kind
    with pytest.raises(Invalid):
        check_upload(Purpose.DOCUMENT, content_type, LARGEST[kind] + 1)


@pytest.mark.parametrize("content_type", ["image/svg+xml", "text/html", "application/zip", ""])
def test_other_types_are_not_taken(content_type: str) -> None:
    with pytest.raises(Invalid):
        check_upload(Purpose.DOCUMENT, content_type, 1)


def test_a_profile_photo_is_an_image() -> None:
    assert check_upload(Purpose.PROFILE_PHOTO, "image/heic", 1) is Kind.IMAGE
    with pytest.raises(Invalid):
        check_upload(Purpose.PROFILE_PHOTO, "application/pdf", 1)


@given(st.integers(1, 200 * 10**6))
def test_parts_are_the_whole_and_all_but_the_last_are_full(size: int) -> None:
    sizes = part_sizes(size)
    assert sum(sizes.values()) == size
    assert list(sizes) == list(range(1, len(sizes) + 1))
    assert all(each == PART_BYTES for each in list(sizes.values())[:-1])
    assert 0 < sizes[len(sizes)] <= PART_BYTES


def test_progress_never_goes_back_and_ends_below_a_hundred() -> None:
    seen = [percent(stage, share / 10) for stage in Stage for share in range(11)]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 99)


def test_every_reason_has_a_sentence_and_an_unknown_word_says_damaged() -> None:
    assert set(SENTENCES) == set(GERMAN) == set(Reason)
    assert reason_of("encrypted") is Reason.ENCRYPTED
    assert reason_of("a word of next year's decoder") is Reason.DAMAGED


def test_a_key_tells_its_asset_and_a_foreign_one_tells_nothing() -> None:
    home, asset = new_id(), new_id()
    assert keys.asset_of(keys.upload(home, asset)) == asset
    assert keys.asset_of(keys.published(home, asset, "480.webp")) == asset
    for foreign in ("x", "uploads/a/b", "other/a/b", f"media/{home}/{asset}/a/b"):
        assert keys.asset_of(foreign) is None
