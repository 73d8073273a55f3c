"""The jobs of operators: what each asks of its activity, and that an outage is outlasted."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from temporal.contracts.audit import Audit, Audited, ChainVerified, EntriesSealed, SealEntries, VerifyChain
from temporal.contracts.data_keys import (
    DataKeysRotated,
    KeysRenewed,
    KeysRewrapped,
    RenewKeys,
    RewrapKeys,
    RotateDataKeys,
)
from temporal.contracts.digest import Digests, DigestsEnqueued, EnqueueDigests
from temporal.contracts.lost_sweep import LostSwept, SweepLost
from temporal.contracts.reconcile import EndOrphans, MissingRung, OrphansEnded, Reconcile, Reconciled, RingMissing
from temporal.contracts.sessions import SessionsSwept, SweepSessions
from temporal.contracts.signing_keys import RotateSigningKeys, SigningKeysRotated
from temporal.contracts.zone_data import Moved, MoveOccurrences, RolledOver, RollOver
from tests.workflows.job_world import job_world
from workflows.audit import AuditWorkflow
from workflows.data_keys import DataKeysWorkflow
from workflows.digest import DigestWorkflow
from workflows.lost_sweep import LostSweepWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.sessions import SessionSweepWorkflow
from workflows.signing_keys import SigningKeyWorkflow
from workflows.zone_data import ZoneDataWorkflow

SEALED, VERIFIED = EntriesSealed(seals=1, entries=7), ChainVerified(seals=4, entries=99, broken_seq=None)
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

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them."""
        return (
            self.enqueue_digests,
            self.move_occurrences,
            self.ring_missing,
            self.end_orphans,
            self.rewrap_keys,
            self.renew_keys,
            self.rotate_signing_keys,
            self.sweep_sessions,
            self.sweep_lost,
            self.seal_entries,
            self.verify_chain,
        )

    def _note(self, request: object) -> None:
        self.asked.append(request)
        if len(self.asked) <= self.failures:
            raise ApplicationError("Postgres is away")

    @activity.defn(name="enqueue_digests")
    async def enqueue_digests(self, request: EnqueueDigests) -> DigestsEnqueued:
        """See `DigestActivities`."""
        self._note(request)
        return DIGESTS

    @activity.defn(name="rewrap_keys")
    async def rewrap_keys(self, request: RewrapKeys) -> KeysRewrapped:
        """See `DataKeyActivities`."""
        self._note(request)
        return KeysRewrapped(9)

    @activity.defn(name="renew_keys")
    async def renew_keys(self, request: RenewKeys) -> KeysRenewed:
        """See `DataKeyActivities`."""
        self._note(request)
        return KeysRenewed(4)

    @activity.defn(name="seal_entries")
    async def seal_entries(self, request: SealEntries) -> EntriesSealed:
        """See `AuditActivities`."""
        self._note(request)
        return SEALED

    @activity.defn(name="verify_chain")
    async def verify_chain(self, request: VerifyChain) -> ChainVerified:
        """See `AuditActivities`."""
        self._note(request)
        return VERIFIED

    @activity.defn(name="ring_missing")
    async def ring_missing(self, request: RingMissing) -> MissingRung:
        """See `ReconcileActivities`."""
        self._note(request)
        return MissingRung(rows=7, rung=2)

    @activity.defn(name="end_orphans")
    async def end_orphans(self, request: EndOrphans) -> OrphansEnded:
        """See `ReconcileActivities`."""
        self._note(request)
        return OrphansEnded(workflows=6, rung=1, terminated=0)

    @activity.defn(name="rotate_signing_keys")
    async def rotate_signing_keys(self, request: RotateSigningKeys) -> SigningKeysRotated:
        """See `SigningKeyActivities`."""
        self._note(request)
        return ROTATED

    @activity.defn(name="sweep_lost")
    async def sweep_lost(self, request: SweepLost) -> LostSwept:
        """See `LostSweepActivities`."""
        self._note(request)
        return LostSwept(sightings=4, searches=2)

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
    async with job_world(DigestWorkflow, *jobs.activities) as world:
        began = await world.env.get_current_time()
        assert await (await world.start(Digests(page_size=50))).result() == DIGESTS
        (request,) = jobs.asked
        assert isinstance(request, EnqueueDigests)
        assert request.page_size == 50
        assert began <= request.now <= await world.env.get_current_time()


async def test_an_outage_of_the_database_is_outlasted_with_the_same_clock() -> None:
    jobs = Jobs(failures=3)
    async with job_world(DigestWorkflow, *jobs.activities) as world:
        assert await (await world.start(Digests())).result() == DIGESTS
        assert len(jobs.asked) == 4
        assert len(set(map(str, jobs.asked))) == 1


async def test_a_comparison_rings_what_is_missing_before_it_ends_what_is_left_over() -> None:
    jobs = Jobs(failures=1)
    async with job_world(ReconcileWorkflow, *jobs.activities) as world:
        found = await (await world.start(Reconcile(page_size=50))).result()
    assert found == Reconciled(rows=7, workflows=6, missing_rung=2, orphans_rung=1, orphans_terminated=0)
    assert jobs.asked == [RingMissing(50), RingMissing(50), EndOrphans(50)]


async def test_a_roll_over_reports_what_it_moved() -> None:
    jobs = Jobs()
    async with job_world(ZoneDataWorkflow, *jobs.activities) as world:
        done = await (await world.start(RollOver("2026f"))).result()
        assert done == RolledOver(checked=5, moved=1, examples=(MOVED,))
        assert jobs.asked == [MoveOccurrences("2026f", 200)]


async def test_the_log_is_sealed_before_the_chain_is_compared_with_it() -> None:
    jobs = Jobs(failures=1)
    async with job_world(AuditWorkflow, *jobs.activities) as world:
        assert await (await world.start(Audit(verify=True))).result() == Audited(SEALED, VERIFIED)
        assert jobs.asked == [SealEntries(), SealEntries(), VerifyChain()]


async def test_most_runs_only_seal() -> None:
    jobs = Jobs()
    async with job_world(AuditWorkflow, *jobs.activities) as world:
        assert await (await world.start(Audit())).result() == Audited(SEALED, None)
        assert jobs.asked == [SealEntries()]


async def test_keys_are_wrapped_by_the_present_master_key_before_old_ones_get_successors() -> None:
    jobs = Jobs(failures=1)
    async with job_world(DataKeysWorkflow, *jobs.activities) as world:
        done = await (await world.start(RotateDataKeys(page_size=50, max_age_days=90))).result()
    assert done == DataKeysRotated(rewrapped=9, renewed=4)
    assert jobs.asked == [RewrapKeys(50), RewrapKeys(50), RenewKeys(50, 90)]


async def test_a_rotation_is_tried_until_the_keeper_of_secrets_answers() -> None:
    jobs = Jobs(failures=4)
    async with job_world(SigningKeyWorkflow, *jobs.activities) as world:
        assert await (await world.start(RotateSigningKeys())).result() == ROTATED
        assert len(jobs.asked) == 5


async def test_a_sweep_tells_what_it_forgot() -> None:
    jobs = Jobs()
    async with job_world(SessionSweepWorkflow, *jobs.activities) as world:
        assert await (await world.start(SweepSessions(page_size=7))).result() == SessionsSwept(replays=2, tokens=5)
        assert jobs.asked == [SweepSessions(page_size=7)]


async def test_a_sweep_of_lost_pets_outlasts_an_outage() -> None:
    jobs = Jobs(failures=2)
    async with job_world(LostSweepWorkflow, *jobs.activities) as world:
        done = await (await world.start(SweepLost(page_size=7))).result()
    assert done == LostSwept(sightings=4, searches=2)
    assert jobs.asked == [SweepLost(page_size=7)] * 3
