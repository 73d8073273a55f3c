"""The steps of a search on real rows: each is taken once, whoever dies in between, and what is over is forgotten."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.lost_case import LostCaseActivities
from activities.lost_sweep import LostSweepActivities
from core.crypto import FieldCipher, Subject
from core.db import Database
from core.ids import new_id
from domain.access import Role
from domain.lost import SearchStep
from integrations.keys.store import KeyStore
from models.household import Membership
from models.lost import LostCase, Sighting
from models.pet import Pet, PetStatus
from temporal.contracts.lost_case import ReviewSearch, SearchPlan, TakeStep
from temporal.contracts.lost_sweep import LostSwept, SweepLost
from tests.activities.reminder_home import Home, move_in

DAY = timedelta(days=1)


@dataclass
class Searching:
    """A household that has lost its cat, a partner, and one report of a finder."""

    home: Home
    partner: UUID
    case_id: UUID
    activities: LostCaseActivities

    async def plan(self) -> SearchPlan:
        return await ActivityEnvironment().run(self.activities.review_search, ReviewSearch(self.case_id))

    async def take(self, step: SearchStep, at: datetime) -> None:
        run = {
            SearchStep.ASK: self.activities.ask_whether_lost,
            SearchStep.CLOSE: self.activities.close_search,
            SearchStep.WIPE: self.activities.wipe_search,
        }[step]
        await ActivityEnvironment().run(run, TakeStep(self.case_id, at))

    async def case(self) -> Any:
        (row,) = await self.home.rows("SELECT * FROM lost_cases WHERE id = :id", id=self.case_id)
        return row

    async def told(self, template: str) -> list[tuple[UUID, str, str]]:
        rows = await self.home.rows(
            "SELECT user_id, channel, state FROM deliveries WHERE template = :template AND event_key LIKE :key"
            " ORDER BY created_at",
            template=template,
            key=f"lost/{self.case_id}/%",
        )
        return [(row.user_id, row.channel, row.state) for row in rows]

    async def questions_shown(self) -> int:
        rows = await self.home.rows(
            "SELECT n.id FROM notifications n JOIN deliveries d ON d.id = n.delivery_id"
            " WHERE d.template = 'still_lost' AND d.event_key LIKE :key AND n.withdrawn_at IS NULL",
            key=f"lost/{self.case_id}/%",
        )
        return len(rows)


@pytest.fixture
async def searching(db: Database, keys: KeyStore, cipher: FieldCipher) -> Searching:
    home, partner = await move_in(db, keys, cipher), await move_in(db, keys, cipher)
    case_id, sighting_id, household = new_id(), new_id(), Subject.household(home.household_id)
    async with db.sessions.begin() as session:
        session.add(Membership(household_id=home.household_id, user_id=partner.user_id, role=Role.CARETAKER))
        pet = await session.get_one(Pet, home.pet_id)
        pet.status = PetStatus.LOST
        session.add(
            LostCase(
                id=case_id,
                pet_id=home.pet_id,
                household_id=home.household_id,
                opened_by=home.user_id,
                shown=["species"],
                note_ct=await cipher.seal(household, "lost_cases.note_ct", case_id, "Very shy."),
                answered_at=datetime.now(UTC),
            )
        )
        await session.flush()
        sealed = {
            f"{field}_ct": await cipher.seal(household, f"sightings.{field}_ct", sighting_id, field)
            for field in ("message", "place", "contact")
        }
        session.add(Sighting(id=sighting_id, pet_id=home.pet_id, case_id=case_id, **sealed))
    return Searching(home, partner.user_id, case_id, LostCaseActivities(db.sessions, cipher))


async def due(searching: Searching) -> datetime:
    plan = await searching.plan()
    assert plan.at is not None
    return plan.at


async def test_every_member_is_asked_once_in_the_app_and_by_mail(searching: Searching) -> None:
    at = await due(searching)
    for _ in range(3):
        await searching.take(SearchStep.ASK, at)
    members = (searching.home.user_id, searching.partner)
    asked = {(person, channel, state) for person in members for channel, state in PLANNED}
    assert set(await searching.told("still_lost")) == asked
    assert len(await searching.told("still_lost")) == len(asked)
    assert (await searching.case()).asked_at == at
    (rung,) = await searching.home.rows(
        "SELECT count(*) AS n FROM outbox WHERE kind = 'mail' AND user_id = ANY(:members)", members=list(members)
    )
    assert rung.n == 2


PLANNED = (("email", "planned"), ("in_app", "sent"))


async def test_a_question_that_is_not_due_yet_is_not_asked(searching: Searching) -> None:
    await searching.take(SearchStep.ASK, await due(searching) - timedelta(seconds=1))
    await searching.take(SearchStep.CLOSE, await due(searching))
    await searching.take(SearchStep.WIPE, await due(searching))
    assert await searching.told("still_lost") == []
    assert (await searching.case()).state == "open"


async def test_only_the_last_question_is_shown(searching: Searching) -> None:
    for _ in range(3):
        await searching.take(SearchStep.ASK, await due(searching))
    assert await searching.questions_shown() == 2
    states = [state for _, channel, state in await searching.told("still_lost") if channel == "email"]
    assert sorted(states) == ["planned"] * 2 + ["withdrawn"] * 4


async def test_a_question_under_way_keeps_its_own_last_word_when_it_is_answered(searching: Searching) -> None:
    await searching.take(SearchStep.ASK, await due(searching))
    assert (await searching.case()).version == 2
    leases = {searching.home.user_id: timedelta(seconds=20), searching.partner: timedelta(seconds=-1)}
    for person, lease in leases.items():
        await searching.home.execute(
            "UPDATE deliveries SET attempt = 1, claimed_until = clock_timestamp() + CAST(:lease AS interval)"
            " WHERE event_key LIKE :key AND channel = 'email' AND user_id = :person",
            lease=lease,
            key=f"lost/{searching.case_id}/asked/%",
            person=person,
        )
    await searching.take(SearchStep.ASK, await due(searching))
    rows = await searching.home.rows(
        "SELECT user_id, state, reason, claimed_until IS NOT NULL AS held FROM deliveries"
        " WHERE event_key LIKE :key AND channel = 'email' AND attempt = 1",
        key=f"lost/{searching.case_id}/asked/%",
    )
    assert {row.user_id: (row.state, row.reason, row.held) for row in rows} == {
        searching.home.user_id: ("planned", None, True),
        searching.partner: ("withdrawn", "acknowledgement_lost", False),
    }


async def test_after_thirty_days_it_closes_and_says_so(searching: Searching) -> None:
    answered = (await searching.case()).answered_at
    await searching.take(SearchStep.ASK, await due(searching))
    while (plan := await searching.plan()).step is SearchStep.ASK:
        assert plan.at is not None
        await searching.take(SearchStep.ASK, plan.at)
    assert plan == SearchPlan(SearchStep.CLOSE, answered + 30 * DAY)
    for _ in range(2):
        await searching.take(SearchStep.CLOSE, answered + 30 * DAY)
    case = await searching.case()
    assert (case.state, case.closed_reason, case.closed_by) == ("closed", "no_answer", None)
    (pet,) = await searching.home.rows("SELECT status FROM pets WHERE id = :id", id=searching.home.pet_id)
    assert pet.status == "active"
    assert len(await searching.told("search_ended")) == 6
    assert await searching.questions_shown() == 0


async def test_what_was_written_is_gone_thirty_days_after_the_end(searching: Searching) -> None:
    end = datetime.now(UTC)
    await searching.home.execute(
        "UPDATE lost_cases SET state = 'closed', closed_at = :end, closed_reason = 'found' WHERE id = :id",
        end=end,
        id=searching.case_id,
    )
    assert await searching.plan() == SearchPlan(SearchStep.WIPE, end + 30 * DAY)
    await searching.take(SearchStep.WIPE, end + 29 * DAY)
    assert (await searching.case()).note_ct is not None
    for _ in range(2):
        await searching.take(SearchStep.WIPE, end + 30 * DAY)
    case = await searching.case()
    assert (case.note_ct, case.wiped_at) == (None, end + 30 * DAY)
    (report,) = await searching.home.rows("SELECT * FROM sightings WHERE case_id = :id", id=searching.case_id)
    assert (report.message_ct, report.place_ct, report.contact_ct) == (None, None, None)
    assert report.wiped_at == end + 30 * DAY
    assert await searching.plan() == SearchPlan()


@pytest.mark.parametrize("gone", ["deleted_at = clock_timestamp()", "household_id = :elsewhere"])
async def test_a_pet_that_is_not_theirs_any_more_ends_the_search_without_a_word(
    searching: Searching, gone: str
) -> None:
    (other,) = await searching.home.rows(
        "SELECT id FROM households WHERE id <> :id LIMIT 1", id=searching.home.household_id
    )
    values = {"elsewhere": other.id} if ":elsewhere" in gone else {}
    await searching.home.execute(f"UPDATE pets SET {gone} WHERE id = :id", id=searching.home.pet_id, **values)
    plan = await searching.plan()
    assert plan.step is SearchStep.CLOSE
    await searching.take(SearchStep.CLOSE, datetime.now(UTC))
    assert (await searching.case()).closed_reason == "pet_gone"
    assert await searching.told("search_ended") == []


async def test_a_search_that_is_not_there_asks_for_nothing(searching: Searching) -> None:
    searching.case_id = new_id()
    assert await searching.plan() == SearchPlan()
    for step in SearchStep:
        await searching.take(step, datetime.now(UTC))


async def test_the_night_forgets_reports_outside_a_search_and_rings_searches_whose_workflow_is_lost(
    searching: Searching,
) -> None:
    home, old, fresh = searching.home, new_id(), new_id()
    for sighting_id, days in ((old, 31), (fresh, 29)):
        await home.execute(
            "INSERT INTO sightings (id, pet_id, message_ct, contact_ct, created_at)"
            " VALUES (:id, :pet, 'sealed', 'sealed', clock_timestamp() - CAST(:age AS interval))",
            id=sighting_id,
            pet=home.pet_id,
            age=timedelta(days=days),
        )
    swept = await ActivityEnvironment().run(LostSweepActivities(home.db.sessions).sweep_lost, SweepLost(page_size=1))
    again = await ActivityEnvironment().run(LostSweepActivities(home.db.sessions).sweep_lost, SweepLost(page_size=1))
    assert (swept.sightings, again) == (1, LostSwept(0, swept.searches))
    rows = await home.rows("SELECT id, message_ct, contact_ct FROM sightings WHERE pet_id = :id", id=home.pet_id)
    kept = {row.id: (row.message_ct, row.contact_ct) for row in rows}
    assert (kept[old], kept[fresh]) == ((None, None), ("sealed", "sealed"))
    rung = await home.rows("SELECT workflow_id FROM outbox WHERE kind = 'lost' AND done_at IS NULL")
    assert f"household/{home.household_id}/lost/{searching.case_id}" in {row.workflow_id for row in rung}
