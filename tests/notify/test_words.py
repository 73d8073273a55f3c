"""Notices of reminders word for word on every channel, and what hostile words in them can do: nothing."""

import email
import email.policy
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.notification import Channel
from integrations.notify import words
from integrations.notify.mime import mime, sender_header
from integrations.notify.protocol import Message
from integrations.notify.render import LOCALES
from integrations.notify.words import LINES_SHOWN, DigestWords, Kind, Outcome, ReminderWords, kind_of

SNAPSHOTS = Path(__file__).parent / "snapshots"
KEY = UUID("019aaf3e-0000-7000-8000-000000000001")
TO = "ada@example.test"
BERLIN = ZoneInfo("Europe/Berlin")
DUE = ReminderWords(
    locale="en",
    title="Tablet",
    description="Half a tablet, with food.",
    pet_name="Milo",
    step="due",
    due=datetime(2026, 11, 23, 18, 5, tzinfo=BERLIN),
    nominal="2026-11-23T18:05",
    tzid="Europe/Berlin",
    timezone="Europe/Berlin",
    now=datetime(2026, 11, 23, 17, 5, 1, tzinfo=UTC),
    public_url="https://petfolio.test",
    link="https://petfolio.test",
    unsubscribe_token="TOKEN",
)
THURSDAY = datetime(2026, 11, 20, 18, 5, tzinfo=BERLIN)
LATER = DUE.now + timedelta(hours=3)
KINDS = {
    "due": DUE,
    "lead": replace(DUE, step="lead-900", now=DUE.now - timedelta(hours=15), due=DUE.due + timedelta(hours=15)),
    "repeat": replace(DUE, step="due+10", now=DUE.now + timedelta(minutes=10)),
    "snooze": replace(DUE, step="snooze-1", now=LATER),
    "overdue": replace(DUE, step="overdue-1", now=DUE.now + timedelta(weeks=1)),
    "late": replace(DUE, late=True, now=LATER, missed=2, missed_from=THURSDAY, dose=True),
    "missed_once": replace(DUE, step="missed", now=LATER + timedelta(days=1)),
    "missed_doses": replace(DUE, step="missed", missed=4, missed_from=THURSDAY, dose=True, now=LATER),
    "withdrawn": replace(DUE, step="withdrawn:due+10", outcome=Outcome.DONE, done_by="Anna", done_at=LATER, now=LATER),
    "overtaken": replace(DUE, step="withdrawn:due", outcome=Outcome.MISSED, now=DUE.now + timedelta(days=1)),
    "all_day": replace(DUE, nominal="2026-11-23", step="lead-1440", now=DUE.now - timedelta(days=1)),
    "together": replace(
        DUE,
        late=True,
        now=LATER,
        also=(replace(DUE, title="Walk", step="missed", missed=3, missed_from=THURSDAY, now=LATER),),
    ),
}
DIGEST = DigestWords(
    locale="en",
    weekly=False,
    coming=(replace(DUE, now=DUE.now - timedelta(hours=9)),),
    still_open=(replace(DUE, title="Claws", pet_name=None, due=THURSDAY),),
    missed=(replace(DUE, title="Brush", missed=3, missed_from=THURSDAY - timedelta(days=3), due=THURSDAY),),
    public_url="https://petfolio.test",
    link="https://petfolio.test",
    unsubscribe_token="TOKEN",
)
HOSTILE = [
    "Pill\r\nBcc: spy@example.test",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\u202egnp.exe\u2066 \u061c",
    "A" * 5_000,
    "🐈‍⬛💊" * 300,
    '"; DROP TABLE pets; --',
    "{{ 7 * 7 }}{% raw %}",
    "=?utf-8?q?=0D=0ABcc:_spy=40example.test?=",
    "=_019aaf3e000070008000000000000001--",
    "\x00\x1b[31m\u2028\u2029\x85",
    " \t ",
]


def compare(name: str, shown: str) -> None:
    """Set UPDATE_SNAPSHOTS=1 to write them anew, then read the difference."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(shown)
    assert shown == path.read_text()


def shown(mail: Message) -> str:
    headers = "".join(f"{name}: {value}\n" for name, value in mail.headers.items())
    return f"Subject: {mail.subject}\n{headers}\n{mail.text}\n{'=' * 20}\n{mail.html}"


def parsed(mail: Message) -> email.message.EmailMessage:
    raw = mime(mail, sender_header("Petfolio <reminders@petfolio.test>"), KEY)
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    return found


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", KINDS)
def test_the_words_of_a_notice_change_only_on_purpose(name: str, locale: str) -> None:
    said = replace(KINDS[name], locale=locale, also=tuple(replace(a, locale=locale) for a in KINDS[name].also))
    text, pushed = words.sms(said), words.push(said)
    push = "" if said.also else f"Push: {pushed.title} | {pushed.body}\n"
    mail = "" if said.kind is Kind.WITHDRAWN else f"\n{shown(words.email(said, TO))}"
    compare(f"notice_{name}.{locale}", f"SMS: {text}\n{push}{mail}")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("weekly", [False, True], ids=["daily", "weekly"])
def test_the_words_of_a_digest_change_only_on_purpose(locale: str, weekly: bool) -> None:
    lists = {
        name: tuple(replace(entry, locale=locale) for entry in getattr(DIGEST, name))
        for name in ("coming", "still_open", "missed")
    }
    said = replace(DIGEST, locale=locale, weekly=weekly, **(lists if not weekly else lists | {"missed": ()}))
    compare(f"digest_{'weekly' if weekly else 'daily'}.{locale}", shown(words.digest_email(said, TO)))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.PUSH, Channel.EMAIL])
def test_the_words_about_a_channel_that_fails_change_only_on_purpose(channel: Channel, locale: str) -> None:
    said = replace(DUE, locale=locale, unsubscribe_token=None)
    mail = words.undelivered_email(said, TO, channel=channel, since=THURSDAY)
    compare(f"undelivered_{channel}.{locale}", shown(mail))


@pytest.mark.parametrize(
    ("step", "late", "kind"),
    [
        ("due", False, Kind.DUE),
        ("due", True, Kind.LATE),
        ("lead-120", False, Kind.LEAD),
        ("due+10", False, Kind.REPEAT),
        ("snooze-2", False, Kind.SNOOZE),
        ("snooze-2+10", True, Kind.REPEAT),
        ("overdue-1", True, Kind.OVERDUE),
        ("missed", True, Kind.MISSED),
        ("withdrawn:due+10", False, Kind.WITHDRAWN),
    ],
)
def test_a_step_of_the_ledger_has_one_meaning(step: str, late: bool, kind: Kind) -> None:
    assert kind_of(step, late=late) is kind


class TestTimes:
    def test_a_short_message_tells_the_reader_s_own_time(self) -> None:
        abroad = replace(DUE, timezone="America/New_York")
        assert words.push(abroad).body == "Due today at 12:05"
        assert "Due today at 12:05" in words.sms(abroad)

    def test_a_pre_due_notice_names_the_reader_s_day(self) -> None:
        abroad = replace(DUE, step="lead-600", timezone="Asia/Tokyo", now=DUE.now - timedelta(hours=10))
        assert words.push(abroad).body == "Due tomorrow at 02:05"
        assert words.email(abroad, TO).subject == "Tomorrow at 02:05: Tablet – Milo"

    def test_an_all_day_reminder_keeps_the_day_its_schedule_names(self) -> None:
        abroad = replace(
            DUE, nominal="2026-11-23", timezone="Pacific/Honolulu", due=datetime(2026, 11, 23, 8, tzinfo=BERLIN)
        )
        assert words.push(replace(abroad, now=datetime(2026, 11, 23, 7, tzinfo=UTC))).body == "Due today"

    def test_what_was_missed_is_told_from_when_to_when_and_how_often(self) -> None:
        said = KINDS["missed_doses"]
        assert words.push(said).body == "Missed 4 times, from Friday, 20 November at 18:05 to today at 18:05"

    @pytest.mark.parametrize(
        ("fields", "body"),
        [
            ({"outcome": Outcome.DONE, "done_by": "Anna", "done_at": LATER}, "Done by Anna today at 21:05"),
            ({"outcome": Outcome.DONE, "done_at": LATER}, "Done today at 21:05"),
            ({"outcome": Outcome.SKIPPED, "done_by": "Anna"}, "Skipped by Anna"),
            ({}, "No longer needed"),
        ],
    )
    def test_a_push_that_became_pointless_says_why(self, fields: dict[str, object], body: str) -> None:
        said = replace(DUE, step="withdrawn:due", now=LATER, **fields)  # type: ignore[arg-type]
        assert words.push(said).body == body


class TestUnsubscribing:
    def test_a_mail_that_may_be_stopped_has_the_headers_and_the_foot(self) -> None:
        mail = words.email(DUE, TO)
        assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail.headers["List-Unsubscribe"] == "<https://petfolio.test/api/v1/unsubscribe/TOKEN>"
        assert mail.html is not None
        for part in (mail.text, mail.html):
            assert "https://petfolio.test/unsubscribe?token=TOKEN" in part

    def test_a_mail_that_may_not_has_neither(self) -> None:
        mail = words.email(replace(DUE, unsubscribe_token=None), TO)
        assert mail.headers == {}
        assert mail.html is not None
        assert "nsubscribe" not in mail.text + mail.html

    def test_a_digest_has_its_own(self) -> None:
        assert "List-Unsubscribe" in words.digest_email(DIGEST, TO).headers


class TestDigest:
    def test_a_long_list_is_cut_and_the_rest_counted(self) -> None:
        many = replace(DIGEST, coming=(DUE,) * (LINES_SHOWN + 7))
        mail = words.digest_email(many, TO)
        assert mail.subject.startswith(f"Your day with Petfolio: {LINES_SHOWN + 7} coming up")
        assert mail.text.count("Tablet") == LINES_SHOWN
        assert "And 7 more in Petfolio." in mail.text

    def test_a_section_without_lines_is_not_there(self) -> None:
        mail = words.digest_email(replace(DIGEST, missed=(), coming=()), TO)
        assert mail.subject == "Your day with Petfolio: 1 still open"
        assert "Coming up" not in mail.text


@pytest.mark.parametrize("typed", HOSTILE, ids=range(len(HOSTILE)))
class TestHostileWords:
    """Whatever stands in a title or a pet's name is shown on one line, changes nothing, and is delivered."""

    def all_typed(self, typed: str) -> list[ReminderWords]:
        return [
            replace(said, title=typed, pet_name=typed, description=typed, done_by=typed, also=tuple(
                replace(other, title=typed, pet_name=typed) for other in said.also
            ))
            for said in KINDS.values()
        ]  # fmt: skip

    def mails(self, typed: str) -> list[Message]:
        said = self.all_typed(typed)
        digest = replace(DIGEST, coming=said[:1], still_open=said[:2], missed=said[:1])
        undelivered = words.undelivered_email(said[0], TO, channel=Channel.SMS, since=THURSDAY)
        return [*(words.email(each, TO) for each in said), words.digest_email(digest, TO), undelivered]

    def test_in_headers(self, typed: str) -> None:
        for mail in self.mails(typed):
            assert len(mail.subject) <= 120
            found = parsed(mail)
            assert found["Subject"].split() == mail.subject.split()
            assert found["To"] == TO
            assert found["Bcc"] is None

    def test_in_text(self, typed: str) -> None:
        for mail in self.mails(typed):
            assert len(mail.text) < 12_000
            assert not {"\u202e", "\u2066", "\u061c", "\x00", "\x1b", "\r", "\u2028", "\x85"} & set(mail.text)
            body = parsed(mail).get_body(("plain",))
            assert body is not None
            assert body.get_content().replace("\r\n", "\n").rstrip() == mail.text.rstrip()

    def test_in_html(self, typed: str) -> None:
        for harmless, mail in zip(self.mails("Tablet"), self.mails(typed), strict=True):
            assert harmless.html is not None
            assert mail.html is not None
            assert Tags(mail.html).seen == Tags(harmless.html).seen

    def test_in_a_text_message(self, typed: str) -> None:
        for said in self.all_typed(typed):
            text = words.sms(said)
            assert text.isprintable() or "\u200d" in text or "\ufe0f" in text
            assert "\n" not in text
            assert len(text.encode("utf-16-le")) // 2 <= 134, text

    def test_in_a_push_message(self, typed: str) -> None:
        for said in self.all_typed(typed):
            pushed = words.push(said)
            assert len(pushed.title) <= 80
            assert len(pushed.body) <= 180
            assert not {"\n", "\r", "\u202e", "\u2066"} & set(pushed.title + pushed.body)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.text(max_size=200), st.sampled_from(sorted(KINDS)), st.sampled_from(LOCALES))
def test_any_text_message_is_one_line_of_two_segments(title: str, name: str, kind: str, locale: str) -> None:
    said = replace(KINDS[kind], title=title, pet_name=name, locale=locale)
    text = words.sms(said)
    assert len(text.splitlines()) == 1
    assert len(text.encode("utf-16-le", "surrogatepass")) // 2 <= 134


def test_a_short_title_is_not_shortened_and_the_link_is_there() -> None:
    assert words.sms(DUE) == "Petfolio: Tablet - Milo. Due today at 18:05. https://petfolio.test"


def test_whoever_counts_segments_better_decides() -> None:
    long = replace(DUE, title="A" * 80)
    assert words.sms(long, lambda text: True).count("A") == 80
    assert "https://" not in words.sms(replace(long, link="https://" + "x" * 300))
