"""Microchip numbers as readers show them and people type them (product.md §4.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain import microchip


@pytest.mark.parametrize(
    ("entered", "code", "standard", "kind"),
    [
        ("985112345678903", "985112345678903", "iso", "maker"),
        ("900123456789012", "900123456789012", "iso", "shared"),
        ("276098102345678", "276098102345678", "iso", "country"),
        ("999000000000001", "999000000000001", "iso", "test"),
        ("3E7.1CBE991A14", "999123456789012", "iso", "test"),
        ("3e7.1cbe991a14", "999123456789012", "iso", "test"),
        (" 276-098 102.345678* ", "276098102345678", "iso", "country"),
        ("123*456*789", "123456789", "non_iso", None),
        ("4a5b6c7d8e", "4A5B6C7D8E", "non_iso", None),
    ],
)
def test_what_a_reader_shows_is_understood(entered: str, code: str, standard: str, kind: str | None) -> None:
    chip = microchip.read(entered)
    assert (chip.code, chip.standard, chip.prefix_kind, chip.entered) == (code, standard, kind, entered)


@pytest.mark.parametrize(
    "entered",
    [
        "985999999999999",  # the number has 38 bits
        "000123456789012",
        "3FF.FFFFFFFFFF",  # prefix 1023
        "12345678",
        "12345678901",
        "27609810234567٨",  # an Arabic digit is no ASCII digit
        "ab",
        "",
    ],
)
def test_what_no_chip_carries_is_refused(entered: str) -> None:
    with pytest.raises(Invalid) as refusal:
        microchip.read(entered)
    assert refusal.value.errors[0].code == "microchip_invalid"


@given(st.integers(1, 999), st.integers(0, 274_877_906_943))
def test_the_dot_hex_form_names_the_same_chip_as_the_digits(prefix: int, number: int) -> None:
    digits = f"{prefix:03}{number:012}"
    assert microchip.read(f"{prefix:03X}.{number:010X}").code == microchip.read(digits).code == digits


@given(st.text(max_size=40))
def test_any_text_is_a_chip_or_a_refusal(entered: str) -> None:
    try:
        chip = microchip.read(entered)
    except Invalid:
        return
    assert chip.code.isascii()
    assert chip.code.isalnum()
