"""The job that enqueues digests."""

from temporal.contracts.digest import DigestsEnqueued
from tests.workflows.digest_world import digest_world


async def test_a_run_asks_for_everything_that_is_due_by_now_and_says_what_it_did() -> None:
    async with digest_world() as world:
        began = await world.env.get_current_time()
        assert await world.run() == DigestsEnqueued(people=3, digests=2)
        (request,) = world.asked
        assert request.page_size == 50
        assert began <= request.now <= await world.env.get_current_time()


async def test_an_outage_of_the_database_is_outlasted() -> None:
    async with digest_world() as world:
        world.failures = 3
        assert (await world.run()).digests == 2
        assert len({request.now for request in world.asked}) == 1
