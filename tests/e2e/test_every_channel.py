"""One reminder on every channel of the local stack, under the most hostile words the api takes; done, it is gone."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.person import Person, soon
from tests.reachable import Reachable, push_service, sign_up_reachable
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(120)
HOSTILE = "\u202eTablet <script>alert(1)</script> =?utf-8?q?=0D=0ABcc:_spy=40example.test?= {{ 7 * 7 }} 🐈"
SPY = "spy@example.test"


@pytest.fixture
async def reachable(stack: Stack, client: httpx.AsyncClient, inbox: Inbox) -> Reachable:
    """A new person with everything a reminder can use."""
    async with await push_service(stack) as push:
        return await sign_up_reachable(client, inbox, push, first_name=HOSTILE)


async def test_one_reminder_reaches_a_person_on_every_channel_and_is_withdrawn_everywhere(
    reachable: Reachable, inbox: Inbox
) -> None:
    person = reachable.person
    everything = ["email", "sms", "push", "in_app"]
    made = await person.remind(due=soon(1), title=HOSTILE, notification_methods=everything)
    assert made.status_code == 201, made.text

    mail = await inbox.mail_with(person.email, "script")
    assert SPY not in mail["headers"].values()
    assert "<script>" not in mail["html"]
    assert "&lt;script&gt;" in mail["html"]
    assert len(mail["subject"].splitlines()) == 1
    for to in (reachable.number, reachable.phone, reachable.browser):
        (message,) = await until(lambda to=to: inbox.messages(to), within=20, what=f"a message to {to}")
        words = f"{message['subject'] or ''} {message['text']}"
        assert "Tablet" in words
        assert "\u202e" not in words
        assert len(words.splitlines()) == 1
    assert await inbox.messages(SPY) == []
    assert await lines(person) == ["due"]

    now = datetime.now(UTC)
    span = {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}
    (due,) = (await person.call("GET", "/agenda", params=span)).json()["items"]
    assert due["title"] == HOSTILE
    done = await person.call("POST", f"/occurrences/{due['occurrence_id']}/complete")
    assert done.status_code == 200, done.text
    assert await lines(person) == []
    for to in (reachable.phone, reachable.browser):
        await until(lambda to=to: replaced(inbox, to), within=20, what=f"the message to {to} is replaced")
    assert len(await inbox.messages(reachable.number)) == 1  # cannot be taken back, and another costs


async def lines(person: Person) -> list[str]:
    """What the app lists."""
    return [line["step"] for line in (await person.call("GET", "/notifications")).json()["items"]]


async def replaced(inbox: Inbox, to: str) -> bool:
    """Whether the newest message there says that it is done."""
    (newest, *earlier) = await inbox.messages(to)
    return bool(earlier) and "Done" in newest["text"]
