"""The jobs that look after media: page by page, with pauses, and on in a new run."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from temporalio import activity

from core.ids import new_id
from temporal.contracts.media_compare import ComparedPart, CompareMedia, ComparePage, MediaCompared, PageCompared
from temporal.contracts.media_renew import MediaRenewed, OutdatedRung, RenewMedia, RingOutdated
from temporal.contracts.media_sweep import MediaSwept, SweepMedia
from tests.workflows.job_world import job_world
from workflows import media_compare, media_renew
from workflows.media_compare import MediaCompareWorkflow
from workflows.media_renew import MediaRenewWorkflow
from workflows.media_sweep import MediaSweepWorkflow


class MediaJobs:
    """Activities that note what they were asked; the first attempt of each fails."""

    def __init__(self, pages: int = 3) -> None:
        self.asked: list[object] = []
        self.pages = pages
        self.failed = False

    def note(self, request: object) -> None:
        if not self.failed:
            self.failed = True
            raise RuntimeError("Postgres is away")
        self.asked.append(request)

    @activity.defn
    async def sweep_media(self, request: SweepMedia) -> MediaSwept:
        self.note(request)
        return MediaSwept(expired=1, rung=2)

    @activity.defn
    async def compare_page(self, request: ComparePage) -> PageCompared:
        self.note(request)
        number = int(request.after or 0) + 1
        return PageCompared(str(number) if number < self.pages else None, looked_at=10, orphans=1)

    @activity.defn
    async def ring_outdated(self, request: RingOutdated) -> OutdatedRung:
        self.note(request)
        return OutdatedRung(new_id() if len(self.asked) < self.pages else None, request.page_size)

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them."""
        return self.sweep_media, self.compare_page, self.ring_outdated


JOBS: Final[Mapping[tuple[str, str], tuple[type, object]]] = {
    ("media_sweep", "swept"): (MediaSweepWorkflow, SweepMedia()),
    ("media_compare", "compared"): (MediaCompareWorkflow, CompareMedia()),
    ("media_renew", "renewed"): (MediaRenewWorkflow, RenewMedia()),
}
"""Of each scenario that is recorded: its workflow, and what it is started with."""


async def test_the_sweep_outlasts_an_outage() -> None:
    jobs = MediaJobs()
    async with job_world(MediaSweepWorkflow, jobs.sweep_media) as world:
        assert await (await world.start(SweepMedia())).result() == MediaSwept(expired=1, rung=2)
    assert jobs.asked == [SweepMedia()]


@pytest.mark.parametrize("pages_of_a_run", [300, 2])
async def test_all_parts_are_compared_page_by_page(monkeypatch: pytest.MonkeyPatch, pages_of_a_run: int) -> None:
    monkeypatch.setattr(media_compare, "PAGES", pages_of_a_run)
    jobs = MediaJobs()
    async with job_world(MediaCompareWorkflow, jobs.compare_page) as world:
        assert await (await world.start(CompareMedia())).result() == MediaCompared(looked_at=90, orphans=9)
    asked = [(each.part, each.after) for each in jobs.asked if isinstance(each, ComparePage)]
    assert asked == [(part, after) for part in ComparedPart for after in (None, "1", "2")]


@pytest.mark.parametrize("pages_of_a_run", [300, 2])
async def test_outdated_contents_are_rung_with_pauses(monkeypatch: pytest.MonkeyPatch, pages_of_a_run: int) -> None:
    monkeypatch.setattr(media_renew, "PAGES", pages_of_a_run)
    jobs = MediaJobs(pages=5)
    async with job_world(MediaRenewWorkflow, jobs.ring_outdated) as world:
        began = await world.env.get_current_time()
        assert await (await world.start(RenewMedia())).result() == MediaRenewed(rung=100)
        assert (await world.env.get_current_time() - began).total_seconds() >= 4 * 30
    assert len(jobs.asked) == 5
