"""What a challenge is, and who fits it."""

import hashlib
from base64 import urlsafe_b64encode

import pytest

from core.pkce import challenge_of, fits


def test_a_challenge_is_that_of_the_rfc() -> None:
    """RFC 7636, appendix B."""
    verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert challenge_of(verifier) == challenge
    assert fits(verifier, challenge)
    assert not fits(challenge, challenge)


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 43 + " ", "é" * 43, "a" * 43 + "\n"])
def test_what_is_no_verifier_fits_nothing(verifier: str) -> None:
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert not fits(verifier, challenge)
