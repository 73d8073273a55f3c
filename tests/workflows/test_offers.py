"""Invitations and transfers over their weeks, with time skipped."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from integrations.notify.protocol import ProviderUnavailable
from tests.workflows.offer_world import OfferWorld, offer_world

WEEK = timedelta(days=7)


@pytest.fixture
async def world() -> AsyncIterator[OfferWorld]:
    async with offer_world(WEEK) as opened:
        yield opened


async def test_an_invitation_is_mailed_waits_its_week_and_is_closed(world: OfferWorld) -> None:
    handle = await world.invite()
    await world.passes(WEEK - timedelta(hours=1))
    assert world.row.done == ["mail 1"]
    await handle.result()
    assert world.row.done == ["mail 1", "expired"]


async def test_an_answer_ends_it_at_once(world: OfferWorld) -> None:
    handle = await world.invite()
    await world.passes(timedelta(days=1))
    world.row.open = False
    await world.ring(handle)
    await handle.result()
    assert world.row.done == ["mail 1"]


async def test_whoever_wants_it_mailed_again_gets_another_week(world: OfferWorld) -> None:
    handle = await world.invite()
    await world.passes(timedelta(days=6))
    world.row.wanted, world.row.expires_at = 2, world.row.expires_at + timedelta(days=6)
    await world.ring(handle)
    await world.passes(timedelta(days=6))
    assert world.row.done == ["mail 1", "mail 2"]
    await handle.result()
    assert world.row.done == ["mail 1", "mail 2", "expired"]


async def test_a_stale_or_repeated_bell_mails_nothing_twice(world: OfferWorld) -> None:
    handle = await world.invite()
    for seq in (1, 1, 7, 3, 7):
        await world.ring(handle, seq)
    await handle.result()
    assert world.row.done == ["mail 1", "expired"]


async def test_a_provider_that_is_away_is_asked_again(world: OfferWorld) -> None:
    world.row.faults = [ProviderUnavailable("away") for _ in range(5)]
    handle = await world.invite()
    await handle.result()
    assert world.row.done == ["mail 1", "expired"]


async def test_a_pet_moves_once_both_sides_agree_and_stragglers_follow(world: OfferWorld) -> None:
    handle = await world.offer()
    await world.passes(timedelta(days=3))
    assert world.row.done == ["mail"]
    world.row.accepted = True
    await world.ring(handle)
    await handle.result()
    assert world.row.done == ["mail", "move", "reseal", "move", "reseal"]


async def test_an_offer_that_nobody_answers_runs_out(world: OfferWorld) -> None:
    handle = await world.offer()
    await handle.result()
    assert world.row.done == ["mail", "expired"]


async def test_a_move_that_fails_is_taken_up_again(world: OfferWorld) -> None:
    handle = await world.offer()
    await world.passes(timedelta(hours=1))
    world.row.faults = [RuntimeError("the worker died") for _ in range(3)]
    world.row.accepted = True
    await world.ring(handle)
    await handle.result()
    assert world.row.done == ["mail", "move", "reseal", "move", "reseal"]
