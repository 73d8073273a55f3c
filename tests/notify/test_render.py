"""Mails, word for word, and what people may type into them."""

import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from integrations.notify.render import LOCALES, render
from models.notification import MailTemplate

SNAPSHOTS = Path(__file__).parent / "snapshots"
BERLIN = ZoneInfo("Europe/Berlin")
VALUES = {
    "public_url": "https://petfolio.test",
    "link": "https://petfolio.test/verify-email?token=TOKEN",
    "execute_at": datetime(2026, 12, 7, 9, 30, tzinfo=BERLIN),
    "title": "Tablet",
    "pet_name": "Milo",
    "description": "Half a tablet, with food.",
    "due": datetime(2026, 11, 23, 18, 5, tzinfo=BERLIN),
    "nominal": "2026-11-23T18:05",
    "all_day": False,
    "here": None,
    "planned": None,
    "shift": None,
    "overdue": False,
    "late": False,
    "missed": 0,
}
CASES = {template: VALUES for template in (*MailTemplate, "reminder_due")}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", CASES)
def test_the_words_of_a_mail_change_only_on_purpose(template: str, locale: str) -> None:
    """Set UPDATE_SNAPSHOTS=1 to write them anew, then read the difference."""
    mail = render(template, locale, "ada@example.test", CASES[template])
    shown = f"Subject: {mail.subject}\n\n{mail.text}\n{'=' * 20}\n{mail.html}"
    path = SNAPSHOTS / f"{template}.{locale}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(shown)
    assert shown == path.read_text()


def test_a_late_reminder_says_so_and_counts_what_was_missed() -> None:
    mail = render("reminder_due", "en", "a@example.test", VALUES | {"late": True, "missed": 3})
    assert mail.subject.startswith("Late: Tablet")
    assert "3 occurrences were missed" in mail.text


def test_an_unknown_language_is_english() -> None:
    assert render("verify_email", "xx", "a@example.test", VALUES).subject == "Confirm your e-mail address"


@pytest.mark.parametrize(
    ("typed", "subject"),
    [
        ("Pill\r\nBcc: spy@example.test", "Pill Bcc: spy@example.test – Milo"),
        ("<script>alert(1)</script>", "<script>alert(1)</script> – Milo"),
        ("\u202egnp.exe", "gnp.exe – Milo"),
        ("A" * 5_000, "A" * 79 + "… – Milo"),
    ],
)
def test_what_people_type_stays_one_harmless_line(typed: str, subject: str) -> None:
    mail = render("reminder_due", "en", "a@example.test", VALUES | {"title": typed})
    assert mail.subject == subject
    assert mail.html is not None
    assert "<script>" not in mail.html
    assert "\u202e" not in mail.text + mail.html
    assert len(mail.text) < 4_000


def test_a_text_with_markup_and_ampersands_is_shown_as_typed() -> None:
    mail = render("reminder_due", "en", "a@example.test", VALUES | {"description": "a & b <i>c</i>"})
    assert "a & b <i>c</i>" in mail.text
    assert mail.html is not None
    assert "a &amp; b &lt;i&gt;c&lt;/i&gt;" in mail.html
