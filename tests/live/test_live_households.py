"""Who hears what of a household: its members, by who they are at that moment, and nobody who asks."""

from tests.api.conftest import api, app
from tests.api.grants_kit import sitter
from tests.api.household_kit import home_of, member, pet_of
from tests.api.signing_in import Api, Person
from tests.api.test_reminders import person, remind, settings
from tests.live.browser import Browser, browser
from tests.live.test_live import open_app, screen, server

__all__ = ["api", "app", "browser", "person", "screen", "server", "settings"]


async def test_whoever_asks_for_a_household_s_room_gets_an_error_and_hears_nothing(
    screen: Browser, server: str, person: Person, api: Api
) -> None:
    stranger = await api.person()
    await open_app(screen, server, stranger, "bert")
    rooms = (f"household:{await home_of(person)}", f"user:{person.user_id}", str(await home_of(person)))
    for event in ("join", "enter_room", "subscribe", "room"):
        for room in rooms:
            screen.tell("emit", "bert", event=event, data=room)
            answer = await screen.sees(lambda said: "answered" in said)
            assert answer["answered"] == {"error": {"code": "not_supported"}}
    await open_app(screen, server, person)
    await remind(person)
    await screen.event("workflow.updated")
    await remind(stranger)
    await screen.event("workflow.updated", "bert")
    assert screen.events("bert") == []


async def test_members_hear_of_every_change_of_an_appointment_and_sitters_of_their_pet_s(
    screen: Browser, server: str, person: Person, api: Api
) -> None:
    helper, pet = await member(api, await home_of(person)), await pet_of(person)
    watching = await sitter(person, pet["id"])
    for somebody, name in ((helper, "bert"), (watching, "carl")):
        await open_app(screen, server, somebody, name)
    series = {"title": "Vet", "starts_at": "2036-06-01T09:00", "rrule": "FREQ=DAILY"}
    alone = (await person.request("POST", "/appointments", series)).json()["id"]
    await screen.event("appointment.updated", "bert", appointment_id=alone)
    made = (await person.request("POST", "/appointments", series | {"pet_id": pet["id"]})).json()["id"]
    path = f"/appointments/{made}"
    writes: list[tuple[str, str, dict[str, str] | None]] = [
        ("PATCH", path, {"title": "Dentist"}),
        ("PUT", f"{path}/occurrences/2036-06-02T09:00", {"title": "Surgeon"}),
        ("DELETE", f"{path}/occurrences/2036-06-03T09:00", None),
        ("DELETE", path, None),
        ("POST", f"{path}/restore", None),
    ]
    for name in ("bert", "carl"):
        await screen.event("appointment.updated", name, appointment_id=made)
    for method, url, body in writes:
        assert (await person.request(method, url, body)).is_success
        for name in ("bert", "carl"):
            await screen.event("appointment.updated", name, appointment_id=made)
    assert screen.events("carl") == [], "what belongs to no pet is not for sitters"


async def test_a_removed_member_hears_that_and_then_nothing_more(
    screen: Browser, server: str, person: Person, api: Api
) -> None:
    home, pet = await home_of(person), await pet_of(person)
    helper = await member(api, home)
    await open_app(screen, server, person)
    await open_app(screen, server, helper, "bert")
    made = await remind(person, pet_id=pet["id"])
    diary = (await person.request("GET", f"/reminders/{made['id']}/occurrences")).json()["items"]
    await person.request("POST", f"/occurrences/{diary[0]['id']}/skip")
    await screen.event("occurrence.skipped", "bert", reminder_id=made["id"])
    await person.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    await screen.event("household.updated", "bert", household_id=str(home))
    await screen.event("household.updated", household_id=str(home))
    diary = (await person.request("GET", f"/reminders/{made['id']}/occurrences")).json()["items"]
    following = next(each for each in diary if each["state"] == "scheduled")
    before = len(screen.events("bert"))
    await person.request("POST", f"/occurrences/{following['id']}/skip")
    await screen.event("occurrence.skipped", occurrence_id=following["id"])
    await remind(helper)
    await screen.event("workflow.updated", "bert")
    assert "occurrence.skipped" not in screen.events("bert")[before:]
