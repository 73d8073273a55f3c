"""Which account an identity elsewhere leads to, and what a challenge is."""

import hashlib
from base64 import urlsafe_b64encode
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.oauth import Owner, Way, challenge_of, fits, is_challenge, way_in

NOBODY, CONFIRMED, CLAIMED = None, Owner(active=True, verified=True), Owner(active=True, verified=False)
CLOSED = Owner(active=False, verified=True)


@pytest.mark.parametrize(
    ("authoritative", "owner", "way"),
    [
        (True, NOBODY, Way.CREATE),
        (True, CONFIRMED, Way.LINK),
        (True, CLAIMED, Way.TAKE_OVER),
        (True, CLOSED, Way.REFUSE),
        (False, NOBODY, Way.CREATE_UNVERIFIED),
        (False, CONFIRMED, Way.TELL_OWNER),
        (False, CLAIMED, Way.TELL_OWNER),
        (False, CLOSED, Way.TELL_OWNER),
    ],
)
def test_an_address_counts_only_where_the_provider_speaks_for_it(
    authoritative: bool, owner: Owner | None, way: Way
) -> None:
    assert way_in(address=True, authoritative=authoritative, owner=owner) is way


def test_without_an_address_there_is_no_account() -> None:
    for authoritative, owner in product((True, False), (NOBODY, CONFIRMED, CLAIMED, CLOSED)):
        assert way_in(address=False, authoritative=authoritative, owner=owner) is Way.NEED_ADDRESS


def test_a_challenge_is_that_of_the_rfc() -> None:
    """RFC 7636, appendix B."""
    verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert challenge_of(verifier) == challenge
    assert is_challenge(challenge)
    assert fits(verifier, challenge)
    assert not fits(challenge, challenge)


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 43 + " ", "é" * 43, "a" * 43 + "\n"])
def test_what_is_no_verifier_fits_nothing(verifier: str) -> None:
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert not fits(verifier, challenge)


@given(st.text(max_size=60))
def test_only_what_a_hash_can_be_is_a_challenge(text: str) -> None:
    letters = text.replace("-", "a").replace("_", "a")
    assert is_challenge(text) == (len(text) == 43 and text.isascii() and letters.isalnum())
