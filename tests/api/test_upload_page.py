"""What the page /upload says, in the language of whoever opens it."""

from html import escape

import pytest

from domain.media.reasons import GERMAN, SENTENCES
from tests.api.media_kit import settings as settings
from tests.api.signing_in import Api


@pytest.mark.parametrize(("language", "sentences"), [("de-CH,de;q=0.9", GERMAN), ("en", SENTENCES), ("fr", SENTENCES)])
async def test_every_reason_is_said_in_the_language_of_the_page(
    api: Api, language: str, sentences: dict[str, str]
) -> None:
    page = (await api.http.get("/upload", headers={"Accept-Language": language})).text
    for code, sentence in sentences.items():
        assert f'data-{code}="{escape(sentence)}"' in page
