"""Forms: what the SDK encodes is read as what was meant."""

from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.form import unflatten

NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
NESTED = st.recursive(
    st.text(max_size=10),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3),
    max_leaves=12,
)


def _as_read(value: Any) -> Any:
    """A list is an object with digits: only the type of the parameter knows which it is."""
    if isinstance(value, list):
        return {str(place): _as_read(each) for place, each in enumerate(value)}
    if isinstance(value, dict):
        return {name: _as_read(each) for name, each in value.items()}
    return value


@given(st.dictionaries(NAMES, NESTED, max_size=4))
def test_what_the_sdk_encodes_is_read_as_it_was(params: dict[str, Any]) -> None:
    text = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in _api_encode(params))
    assert unflatten(text) == _as_read(params)


def test_brackets_without_a_number_count_on() -> None:
    assert unflatten("expand[]=a&expand[]=b") == {"expand": {"0": "a", "1": "b"}}


@pytest.mark.parametrize(
    "text", ["a[b=1", "a]b=1", "[a]=1", "a[b]c=1", "a=1&a[b]=2", "&".join("a=1" for _ in range(6_000))]
)
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(StripeError):
        unflatten(text)
