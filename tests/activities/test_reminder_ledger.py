"""Whatever people, clocks and providers do in whatever order: the ledger and the state machine agree (Hypothesis)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.crypto import FieldCipher
from core.db import Database
from domain.escalation import Step
from integrations.keys.store import KeyStore
from tests.activities.reminder_home import ReminderActivities, move_in, wording
from tests.activities.reminder_ledger import DAILY, DEVICES, PROVIDER, Provider, World

ONCE: dict[str, Any] = {"mode": "once", "dtstart_local": "2036-06-01T08:00", "tzid": "UTC"}
SCHEDULES: list[dict[str, Any]] = [
    DAILY,
    DAILY | {"times": ["08:00", "16:00"]},
    DAILY | {"count": 2},
    ONCE,
    {"mode": "after_completion", "dtstart_local": "2036-06-01T08:00", "every": {"n": 1, "unit": "day"}, "tzid": "UTC"},
    {"mode": "elapsed", "start_at": "2036-06-01T08:00:00Z", "every": {"n": 8, "unit": "hour"}},
]
PEOPLE = ("complete", "skip", "undo", "snooze", "acknowledge", "pause", "resume", "edit", "delete", "correct")
TIME = ("wait", "outage", "twice")

LEAD_BY_MAIL, THEN, DONE = ("takes", 0, 1), ("wait", 0, 45), ("complete", 0, 1)
ON_ONE_DEVICE = [LEAD_BY_MAIL, ("loses-one", 0, 1), THEN, DONE]
DIED = [LEAD_BY_MAIL, ("killed-after", 0, 1), THEN, DONE]
DONE_TWICE = [THEN, DONE, ("undo", 0, 1), ("wait", 0, 1), DONE]

steps = st.lists(
    st.tuples(
        # Half of what happens is that time goes by: without it nothing is ever sent.
        st.one_of(st.sampled_from(TIME), st.sampled_from(TIME), st.sampled_from(PEOPLE), st.sampled_from(PROVIDER)),
        st.integers(0, 3),
        st.sampled_from([1, 10, 45, 100, 8 * 60, 26 * 60]),
    ),
    min_size=3,
    max_size=14,
)


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example(schedule=ONCE, category="medication", script=ON_ONE_DEVICE)
@example(schedule=ONCE, category="medication", script=DIED)
@example(schedule=ONCE, category="medication", script=DONE_TWICE)
@given(schedule=st.sampled_from(SCHEDULES), category=st.sampled_from(["medication", "other"]), script=steps)
async def test_whatever_happens_the_ledger_and_the_states_agree(
    db: Database, keys: KeyStore, cipher: FieldCipher, schedule: dict[str, Any], category: str, script: Any
) -> None:
    provider = Provider()
    home = replace(
        await move_in(db, keys, cipher),
        notifier=provider,
        activities=ReminderActivities(db.sessions, wording(cipher), provider),
    )
    for device in DEVICES:
        await home.add_device(device)
    told: dict[str, Any] = {
        "methods": ("email", "push", "in_app"),
        "steps": (Step(timedelta(minutes=10), ("push",)), Step(timedelta(minutes=30), ("email",))),
        "lead_minutes": (60,),
    }
    first = await home.remind(schedule, category=category, **told)
    second = await home.remind(DAILY, title="Drops", methods=("email",))
    world = World(home, provider, [first, second])
    for what, which, minutes in script:
        await world.do(what, which, minutes)
    await world.rest()
