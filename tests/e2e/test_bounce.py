"""A bounce in the local stack goes the whole way: SES, SNS, the api, the ledger, and the next reminder."""

import httpx
import pytest

from tests.person import Person, sign_up, soon
from tests.stack import Inbox, Stack, until

pytestmark = pytest.mark.timeout(120)


async def test_a_bounce_suppresses_the_address_and_the_app_tells_instead(
    stack: Stack, client: httpx.AsyncClient, inbox: Inbox
) -> None:
    person = await sign_up(client, inbox)
    assert (await person.remind(due=soon(1), title="Bounces")).status_code == 201
    mail = await inbox.mail_with(person.email, "Bounces")
    answer = await inbox.client.post(f"/api/messages/{mail['id']}/bounce")
    assert answer.json() == {"listeners": 1}
    assert await steps(person) == ["undelivered:email:due"]

    second = await person.remind(due=soon(1), title="Silent")
    sentence = await until(lambda: withheld(person, second.json()["id"]), within=20, what="the second notice withheld")
    assert sentence == "Nothing was sent: e-mail: mail to this address bounced or was complained about."
    assert not [mail for mail in await inbox.messages(person.email) if "Silent" in mail["text"]]
    assert await steps(person) == ["undelivered:email:due"] * 2


async def steps(person: Person) -> list[str]:
    """The lines in the app."""
    return [line["step"] for line in (await person.call("GET", "/notifications")).json()["items"]]


async def withheld(person: Person, reminder_id: str) -> str | None:
    """What explain says of its first occurrence once the ledger has the last word."""
    occurrence = (await person.call("GET", f"/reminders/{reminder_id}/occurrences")).json()["items"]
    for entry in occurrence:
        told = (await person.call("GET", f"/occurrences/{entry['id']}/explain")).json()
        if any(row["state"] == "withdrawn" for row in told["deliveries"]):
            return str(told["sentence"])
    return None
