"""Why a notice went to the sitter and not to the owner, in the words of `explain`."""

from datetime import timedelta
from typing import Any

import pytest

from core.settings import Settings
from tests.api.grants_kit import grants_path, pet_of, remind, sitter
from tests.api.signing_in import OPEN, Api, Person
from tests.api.test_reminders import DUE, deliver

__all__ = ["deliver"]


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here registers from one network."""
    return settings.model_copy(update={"rate_limits": OPEN})


async def explained(person: Person, occurrence: str) -> dict[str, Any]:
    answer = await person.request("GET", f"/occurrences/{occurrence}/explain")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_it_went_to_the_sitter_because_of_the_grant(api: Api, deliver: Any) -> None:
    owner = await api.person(timezone="Europe/Berlin")
    milo = await pet_of(owner)
    reminder, occurrence = await remind(owner, milo, notification_methods=["in_app"])
    sam = await sitter(owner, milo)
    (grant,) = (await owner.request("GET", await grants_path(owner))).json()["items"]
    await deliver(reminder, DUE)
    told = await explained(owner, occurrence)
    assert told["sentence"] == (
        "It went to the sitter first, because their grant was in force; it is still to be done."
    )
    assert [(row["user_id"], row["grant_id"]) for row in told["deliveries"]] == [(str(sam.user_id), grant["id"])]
    assert (
        "because you look after this animal; it is still to be done." in (await explained(sam, occurrence))["sentence"]
    )


async def test_it_stays_so_after_the_grant_and_a_sitter_sees_only_what_was_sent_to_themselves(
    api: Api, deliver: Any
) -> None:
    owner = await api.person(timezone="Europe/Berlin")
    milo = await pet_of(owner)
    ladder = [{"after_minutes": 30, "channels": ["in_app"], "who": "others"}]
    reminder, occurrence = await remind(owner, milo, notification_methods=["in_app"], steps=ladder)
    sam = await sitter(owner, milo)
    await deliver(reminder, DUE)
    await deliver(reminder, DUE + timedelta(minutes=31))
    assert {row["user_id"] for row in (await explained(sam, occurrence))["deliveries"]} == {str(sam.user_id)}
    (grant,) = (await owner.request("GET", await grants_path(owner))).json()["items"]
    await owner.request("DELETE", f"{await grants_path(owner)}/{grant['id']}")
    told = await explained(owner, occurrence)
    assert {(row["user_id"], row["grant_id"]) for row in told["deliveries"]} == {
        (str(sam.user_id), grant["id"]),
        (str(owner.user_id), None),
    }
    assert told["sentence"].startswith("It reached you by a line in the app")
