"""Every operation on a pet beyond its household's plan, with real requests: what `domain/access.py` lets it be, and
nothing else. A write that forgets to ask fails here, because what may be done is listed and not what may not."""

from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import text

from core.settings import Settings
from domain.access import ON_READ_ONLY, OPERATIONS, Reach, Right
from domain.billing.catalogue import LIMITS, Tier
from tests.api.access_examples import EXAMPLES, MAKERS
from tests.api.access_ground import Caller, Example, Ground
from tests.api.signing_in import OPEN, Api
from tests.api.test_access_matrix import ask, named

OF_A_PET: Final = MAKERS.keys() - {"member", "invitation", "absence", "nobody"}
"""Things that are a pet, or belong to one."""
OF_THE_HOUSEHOLD: Final = frozenset(
    {"list_grants", "get_grant", "revoke_grant", "list_grant_accesses", "get_grant_qr", "declare_absence"}
)
"""To see who was let in and to end that, and to say that nobody is there, is about people."""
_CROWD: Final = text(
    """INSERT INTO pets (id, household_id, name_ct, status, is_mixed)
       SELECT CAST(:id AS uuid), household_id, '', 'active', false FROM pets WHERE id = :pet"""
)


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


def things(example: Example) -> set[str]:
    return {*named(example.path), *named(example.body)}


def still_works(operation: str) -> bool:
    return OPERATIONS[operation].right in ON_READ_ONLY or operation in OF_THE_HOUSEHOLD


async def crowd_out(ground: Ground) -> None:
    """Earlier pets take all the room that the household has."""
    pet = UUID(ground.things["pet"])
    async with ground.api.identity.db.sessions.begin() as session:
        for number in range(LIMITS[Tier.FREE].pets):
            await session.execute(_CROWD, {"id": UUID(int=pet.int - 1 - number), "pet": pet})


@pytest.mark.parametrize(
    "operation",
    [
        name
        for name, example in EXAMPLES.items()
        if OPERATIONS[name].reach is Reach.HOUSEHOLD and things(example) & OF_A_PET
    ],
)
async def test_a_pet_beyond_the_plan_is_looked_after_and_not_changed(api: Api, operation: str) -> None:
    example = EXAMPLES[operation]
    ground = await Ground.prepare(api, MAKERS)
    for name in sorted(things(example)):
        await ground.make(name)
    await crowd_out(ground)
    answer = await ask(ground, example, await ground.token(Caller.OWNER))
    if still_works(operation):
        assert answer.status_code in example.answers, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "pet_read_only"), answer.text


def test_the_matrix_would_notice() -> None:
    """The check itself: a right that nobody thought of does not work on a read-only pet."""
    assert not still_works("change_pet")
    assert not still_works("create_grant")
    assert still_works("complete_occurrence")
    assert Right.EDIT_PET not in ON_READ_ONLY
