"""The jobs of operators: what each asks of its activity, and that an outage is outlasted."""

from datetime import UTC, datetime
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from temporal.contracts.digest import Digests, DigestsEnqueued, EnqueueDigests
from temporal.contracts.sessions import SessionsSwept, SweepSessions
from temporal.contracts.signing_keys import RotateSigningKeys, SigningKeysRotated
from temporal.contracts.zone_data import Moved, MoveOccurrences, RolledOver, RollOver
from tests.workflows.job_world import job_world
from workflows.digest import DigestWorkflow
from workflows.sessions import SessionSweepWorkflow
from workflows.signing_keys import SigningKeyWorkflow
from workflows.zone_data import ZoneDataWorkflow

DIGESTS = DigestsEnqueued(people=3, digests=2)
ROTATED = SigningKeysRotated(published=2, newest_signs_from=datetime(2027, 3, 1, tzinfo=UTC))
MOVED = Moved(
    UUID(int=1), "America/Vancouver", datetime(2036, 11, 10, 17, tzinfo=UTC), datetime(2036, 11, 10, 16, tzinfo=UTC)
)


class Jobs:
    """Activities that note what they were asked; the first `failures` attempts fail."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[object] = []
        self.failures = failures

    def _note(self, request: object) -> None:
        self.asked.append(request)
        if len(self.asked) <= self.failures:
            raise ApplicationError("Postgres is away")

    @activity.defn(name="enqueue_digests")
    async def enqueue_digests(self, request: EnqueueDigests) -> DigestsEnqueued:
        """See `DigestActivities`."""
        self._note(request)
        return DIGESTS

    @activity.defn(name="rotate_signing_keys")
    async def rotate_signing_keys(self, request: RotateSigningKeys) -> SigningKeysRotated:
        """See `SigningKeyActivities`."""
        self._note(request)
        return ROTATED

    @activity.defn(name="sweep_sessions")
    async def sweep_sessions(self, request: SweepSessions) -> SessionsSwept:
        """See `SessionActivities`."""
        self._note(request)
        return SessionsSwept(replays=2, tokens=5)

    @activity.defn(name="move_occurrences")
    async def move_occurrences(self, request: MoveOccurrences) -> RolledOver:
        """See `ZoneDataActivities`."""
        self._note(request)
        return RolledOver(checked=5, moved=1, examples=(MOVED,))


async def test_a_run_of_digests_asks_for_everything_that_is_due_by_now() -> None:
    jobs = Jobs()
    async with job_world(DigestWorkflow, jobs.enqueue_digests) as world:
        began = await world.env.get_current_time()
        assert await (await world.start(Digests(page_size=50))).result() == DIGESTS
        (request,) = jobs.asked
        assert isinstance(request, EnqueueDigests)
        assert request.page_size == 50
        assert began <= request.now <= await world.env.get_current_time()


async def test_an_outage_of_the_database_is_outlasted_with_the_same_clock() -> None:
    jobs = Jobs(failures=3)
    async with job_world(DigestWorkflow, jobs.enqueue_digests) as world:
        assert await (await world.start(Digests())).result() == DIGESTS
        assert len(jobs.asked) == 4
        assert len(set(map(str, jobs.asked))) == 1


async def test_a_roll_over_reports_what_it_moved() -> None:
    jobs = Jobs()
    async with job_world(ZoneDataWorkflow, jobs.move_occurrences) as world:
        done = await (await world.start(RollOver("2026f"))).result()
        assert done == RolledOver(checked=5, moved=1, examples=(MOVED,))
        assert jobs.asked == [MoveOccurrences("2026f", 200)]


async def test_a_rotation_is_tried_until_the_keeper_of_secrets_answers() -> None:
    jobs = Jobs(failures=4)
    async with job_world(SigningKeyWorkflow, jobs.rotate_signing_keys) as world:
        assert await (await world.start(RotateSigningKeys())).result() == ROTATED
        assert len(jobs.asked) == 5


async def test_a_sweep_tells_what_it_forgot() -> None:
    jobs = Jobs()
    async with job_world(SessionSweepWorkflow, jobs.sweep_sessions) as world:
        assert await (await world.start(SweepSessions(page_size=7))).result() == SessionsSwept(replays=2, tokens=5)
        assert jobs.asked == [SweepSessions(page_size=7)]
