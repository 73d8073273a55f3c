"""Who may do what with billing while it is on: the examples of the matrix, whose own process has no key of Stripe's."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from core.db import Database
from core.settings import Settings
from domain.access import OPERATIONS, Reach
from tests.api.access_billing import BILLING_OFF
from tests.api.access_examples import MAKERS
from tests.api.access_ground import Caller, Ground
from tests.api.billing_kit import SWITCHED_ON, World, world_of
from tests.api.signing_in import Api
from tests.api.test_access_matrix import ask

NOTHING_THERE = {
    "checkout_page": 200,
    "list_plans": 200,
    "get_subscription": 200,
    "list_invoices": 200,
    "list_refunds": 200,
    "start_checkout": 200,
    "request_refund": 404,
    "return_from_checkout": 404,
    "preview_plan_change": 409,
    "change_plan": 409,
    "cancel_subscription": 409,
    "resume_subscription": 409,
    "open_billing_portal": 409,
    "get_account_billing": 404,
    "replay_account_billing": 404,
    "receive_stripe_event": 400,
}
"""What is answered to those who may ask, about an account that has paid nothing yet."""
STAFF = {Caller.OPERATOR, Caller.ADMIN}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=SWITCHED_ON)


@pytest.fixture
async def world(app: FastAPI, api: Api, db: Database) -> AsyncIterator[World]:
    async with world_of(app, api, db) as made:
        yield made


@pytest.mark.parametrize("operation", BILLING_OFF)
async def test_who_may_do_it_is_what_the_table_says(world: World, operation: str) -> None:
    rule, ground = OPERATIONS[operation], await Ground.prepare(world.api, MAKERS)
    for caller in (Caller.ANONYMOUS, Caller.STRANGER, Caller.OPERATOR, Caller.ADMIN, Caller.OWNER):
        if rule.reach is not Reach.ANYONE and caller is Caller.ANONYMOUS:
            expected = 401
        elif rule.reach is Reach.STAFF and caller not in STAFF:
            expected = 403
        else:
            expected = NOTHING_THERE[operation]
        answer = await ask(ground, BILLING_OFF[operation], await ground.token(caller))
        assert answer.status_code == expected, f"{caller}: {answer.status_code} {answer.text[:300]}"
