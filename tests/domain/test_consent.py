"""Words people agreed to are proof: they never change under a version somebody has seen."""

import hashlib

import pytest

from core.errors import Invalid
from domain.consent import WORDINGS, ConsentAction, Purpose, SignalSaysNo, Wording, WordingOutdated, wording_for

SHOWN = {
    ("sms", "2026-11", "en"): "35fc8012f96e9d602fa8427414822fff",
    ("sms", "2026-11", "de"): "8ecc60580e16cddffe80475c698851d9",
    ("analytics", "2026-11", "en"): "e78c8311dfdd52b3ff5cfe4313aa6f40",
    ("analytics", "2026-11", "de"): "5df22058bf247a896c4386a6f66d7fad",
    ("marketing", "2026-11", "en"): "1e271b1ed715af4ef67b664f84c1a314",
    ("marketing", "2026-11", "de"): "c936afba3d65e7d8b6fbbf2148619992",
    ("sale_or_share", "2026-11", "en"): "79e718085cc2c8eed73180e69878cb33",
    ("sale_or_share", "2026-11", "de"): "6a2e7d8fd805d7a8b31d63ba2ac6e3ff",
}
"""Every text ever shown, by the beginning of its SHA-256. New words are a new version: add lines, change none."""


@pytest.mark.parametrize("purpose", Purpose)
def test_words_are_those_their_version_was_shown_with(purpose: Purpose) -> None:
    wording = WORDINGS[purpose]
    for language, text in wording.texts.items():
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        assert SHOWN[purpose.value, wording.version, language] == digest, "give the new words a new version"


@pytest.mark.parametrize(
    ("locale", "language"), [("de", "de"), ("de-AT", "de"), ("DE", "de"), ("den", "en"), ("fr", "en"), ("", "en")]
)
def test_words_come_in_the_locale_s_language_or_in_english(locale: str, language: str) -> None:
    assert Wording("1", {"en": "yes", "de": "ja"}).text(locale)[0] == language


def test_withdrawing_needs_no_words() -> None:
    for purpose in Purpose:
        assert wording_for(purpose, ConsentAction.WITHDRAWN, None, refused_by_signal=True) == WORDINGS[purpose]


def test_granting_needs_the_present_ones() -> None:
    present = WORDINGS[Purpose.SMS]
    assert wording_for(Purpose.SMS, ConsentAction.GRANTED, present.version, refused_by_signal=True) is present
    with pytest.raises(Invalid):
        wording_for(Purpose.SMS, ConsentAction.GRANTED, None, refused_by_signal=False)
    with pytest.raises(WordingOutdated):
        wording_for(Purpose.SMS, ConsentAction.GRANTED, "1999-12", refused_by_signal=False)


def test_a_browser_that_says_no_cannot_say_yes() -> None:
    version = WORDINGS[Purpose.SALE_OR_SHARE].version
    with pytest.raises(SignalSaysNo):
        wording_for(Purpose.SALE_OR_SHARE, ConsentAction.GRANTED, version, refused_by_signal=True)
