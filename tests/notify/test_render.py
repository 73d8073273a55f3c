"""Mails, word for word, and what people may type into them."""

import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from integrations.notify.render import LOCALES, one_line, render, spoken
from models.notification import MailTemplate

SNAPSHOTS = Path(__file__).parent / "snapshots"
BERLIN = ZoneInfo("Europe/Berlin")
VALUES = {
    "public_url": "https://petfolio.test",
    "link": "https://petfolio.test/verify-email?token=TOKEN",
    "inviter": "Ada",
    "offerer": "Ada",
    "pet": "Milo",
    "role": "caretaker",
    "expires_at": datetime(2026, 12, 7, 9, 30, tzinfo=BERLIN),
    "execute_at": datetime(2026, 12, 7, 9, 30, tzinfo=BERLIN),
    "reason": "You asked us why the reminder of Monday did not come.",
    "minutes": 30,
    "method": "totp",
    "left": 9,
    "provider": "Google",
    "giver": "Ada",
    "household": "Die Lovelaces",
    "pets": ["Milo", "Luna"],
    "begins": "2026-08-01T09:00:00+02:00",
    "ends": "2026-08-08T18:30:00+02:00",
    "asked": True,
    "acts": True,
    "adds": True,
    "sitter": "Sam",
    "answer": "accepted",
    "until": "2026-08-02T21:00:00+02:00",
    "sections": [
        ("done", [{"title": "Tablet", "pet": "Milo", "at": "2026-08-02T08:05:00+02:00", "by": "Sam"}], 2),
        ("open", [{"title": "Brush", "pet": "Luna", "at": "2026-08-02T18:00:00+02:00", "by": None}], 0),
    ],
    "ending": "no_answer",
    "by": "Ada",
    "note": "Last seen at the lake.\r\nVery shy.",
    "message": "She sits below our car.\r\nBcc: spy@example.test <script>alert(1)</script>\u202e",
    "place": "Lakeside 4",
    "contact": "finder@example.test",
    "title": "Vet",
    "called_off": False,
    "said": "wait_or_pay",
    "amount": "4.99 EUR",
    "days_left": 11,
    "pay_link": "https://invoice.stripe.test/i/TOKEN",
    "name": "Milo\r\nBcc: spy@example.test <b>\u202e.jpg",
    "why": {"en": "The file is damaged.", "de": "Die Datei ist beschädigt."},
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", MailTemplate)
def test_the_words_of_a_mail_change_only_on_purpose(template: str, locale: str) -> None:
    """Set UPDATE_SNAPSHOTS=1 to write them anew, then read the difference."""
    mail = render(template, locale, "ada@example.test", VALUES)
    shown = f"Subject: {mail.subject}\n\n{mail.text}\n{'=' * 20}\n{mail.html}"
    path = SNAPSHOTS / f"{template}.{locale}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(shown)
    assert shown == path.read_text()


@pytest.mark.parametrize(
    ("locale", "said", "words"),
    [
        ("en", "confirm", "Your bank wants you to confirm the payment of 4.99 EUR"),
        ("en", "replace_card", "the same card will not be tried again"),
        ("de", "confirm", "Zahlung von 4,99 EUR"),
        ("de", "replace_card", "dieselbe Karte wird nicht"),
    ],
)
def test_a_payment_that_failed_is_told_by_what_helps(locale: str, said: str, words: str) -> None:
    mail = render("payment_failed", locale, "ada@example.test", VALUES | {"said": said, "days_left": 1})
    assert words in " ".join(mail.text.split())
    assert "https://invoice.stripe.test/i/TOKEN" in mail.text
    assert "11" not in mail.text


@pytest.mark.parametrize(("locale", "said"), [("en", "was called off here"), ("de", "wurde hier abgesagt")])
def test_an_appointment_that_is_planned_again_was_called_off_and_may_have_no_title(locale: str, said: str) -> None:
    mail = render("calendar_revived", locale, "ada@example.test", VALUES | {"title": "", "called_off": True})
    assert said in " ".join(mail.text.split())
    assert "“" not in mail.subject


@pytest.mark.parametrize(("locale", "subject"), [("xx", "Confirm"), ("de-AT", "Bestätige"), ("en-GB", "Confirm")])
def test_a_locale_is_spoken_in_its_language_or_in_english(locale: str, subject: str) -> None:
    assert render("verify_email", locale, "a@example.test", VALUES).subject.startswith(subject)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (datetime(2026, 11, 23, 18, 5, tzinfo=BERLIN), ("today at 18:05", "heute um 18:05 Uhr")),
        (datetime(2026, 11, 24, 9, 0, tzinfo=BERLIN), ("tomorrow at 09:00", "morgen um 09:00 Uhr")),
        (datetime(2026, 11, 22, 0, 0, tzinfo=BERLIN), ("yesterday at 00:00", "gestern um 00:00 Uhr")),
        (
            datetime(2026, 11, 27, 9, 0, tzinfo=BERLIN),
            ("on Friday, 27 November at 09:00", "am Freitag, 27. November um 09:00 Uhr"),
        ),
        (
            datetime(2027, 1, 2, 9, 0, tzinfo=BERLIN),
            ("on Saturday, 2 January 2027 at 09:00", "am Samstag, 2. Januar 2027 um 09:00 Uhr"),
        ),
        (datetime(2026, 11, 24, 7, 0, tzinfo=ZoneInfo("Asia/Tokyo")), ("today at 07:00", "heute um 07:00 Uhr")),
    ],
)
def test_a_time_is_told_as_people_say_it_on_its_own_clock(at: datetime, said: tuple[str, str]) -> None:
    now = datetime(2026, 11, 23, 23, 30, tzinfo=BERLIN)
    assert (spoken(at, now, "en"), spoken(at, now, "de")) == said


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Pill\r\nBcc: spy@example.test", "Pill Bcc: spy@example.test"),
        ("\u202egnp.exe\u061c\u2066", "gnp.exe"),
        ("a\u2028b\u0085c\x00d", "a b c d"),
        ("  much \t space  ", "much space"),
        ("👩\u200d⚕️ pill", "👩\u200d⚕️ pill"),
    ],
)
def test_what_people_type_becomes_one_line(typed: str, shown: str) -> None:
    assert one_line(typed) == shown


def test_what_is_too_long_ends_in_an_ellipsis_within_its_length() -> None:
    assert one_line("A" * 5_000, 80) == "A" * 79 + "…"
    assert one_line("A" * 5_000, 80, "...") == "A" * 77 + "..."
    assert one_line("A" * 80, 80) == "A" * 80
