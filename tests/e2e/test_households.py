"""A household is shared and a pet rehomed on the whole stack: mails, workflows and reminders included."""

import httpx
import pytest

from tests.person import TOKEN, Person, sign_up, soon
from tests.stack import Inbox, until

pytestmark = pytest.mark.timeout(120)


async def test_a_pet_is_shared_by_invitation_then_rehomed_and_its_reminders_follow(
    client: httpx.AsyncClient, inbox: Inbox
) -> None:
    ada, ben = await sign_up(client, inbox, first_name="Ada"), await sign_up(client, inbox, first_name="Ben")
    home = (await ada.call("GET", "/households")).json()["items"][0]["id"]
    invited = await ada.call("POST", f"/households/{home}/invitations", json={"email": ben.email, "role": "caretaker"})
    assert invited.status_code == 201, invited.text
    mail = await inbox.mail_with(ben.email, "/invitation?token=")
    found = TOKEN.search(mail["text"])
    assert found is not None
    assert (await ben.call("POST", "/invitations/accept", json={"token": found[1]})).status_code == 200
    assert await can_see(ben, ada.pet_id)

    cleo = await sign_up(client, inbox, first_name="Cleo")
    offer = await ada.call("POST", f"/households/{home}/transfers", json={"pet_id": ada.pet_id, "email": cleo.email})
    await inbox.mail_with(cleo.email, "Milo")
    # It falls due while the pet is moving: to its former people or to its new one, and to one of them alone.
    made = await ada.remind(due=soon(2), title="Heart pill")
    assert (await cleo.call("POST", f"/transfers/{offer.json()['id']}/accept")).status_code == 200
    await until(lambda: can_see(cleo, ada.pet_id), within=20, what="the pet arrives")
    assert not await can_see(ada, ada.pet_id)
    assert not await can_see(ben, ada.pet_id)
    await until(lambda: was_told(inbox, cleo), within=30, what="the new owner is told of what is due")
    moved = (await cleo.call("GET", f"/reminders/{made.json()['id']}")).json()
    followed = await cleo.call("GET", f"/workflows/household/{moved['household_id']}/reminder/{moved['id']}")
    assert followed.json()["live"]
    assert followed.json()["execution"]["status"] == "running"
    assert len([mail for mail in await inbox.messages(cleo.email) if "Heart pill" in mail["subject"]]) == 1


async def can_see(person: Person, pet_id: str) -> bool:
    """Whether the pet is found."""
    return (await person.call("GET", f"/pets/{pet_id}")).status_code == 200


async def was_told(inbox: Inbox, person: Person) -> bool:
    """Whether the reminder came."""
    return any("Heart pill" in mail["subject"] for mail in await inbox.messages(person.email))
