"""Every committed history replays on today's code: reminders sleep for months, so old pasts meet every release.

A failure here means: the change needs `workflow.patched("…")` (temporal.md §4.8). A history is never recorded anew to
make this pass.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from temporal.client import workflow_runner
from tests.replay.billing import ACCOUNTS, REFUNDS, BillingScenario
from tests.replay.calendars import CALENDARS
from workers.registry import WORKFLOWS

HISTORIES = sorted(Path(__file__).parent.glob("*/*.json"))
ALL = list(dict.fromkeys(workflow for found in WORKFLOWS.values() for workflow in found))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=ALL, data_converter=pydantic_data_converter, workflow_runner=workflow_runner())
    await replayer.replay_workflow(_history(path))


def test_the_kinds_of_life_a_reminder_has_are_on_record() -> None:
    scenarios = {re.sub(r"-\d$", "", path.stem) for path in HISTORIES if path.parent.name == "reminder"}
    assert scenarios >= {
        "once",
        "recurring_with_snooze",
        "edited_paused_resumed",
        "continued_as_new",
        "deleted_then_rung",
        "failed_and_planned_again",
        "escalated_until_seen",
        "escalated_and_snoozed",
        "announced_ahead",
        "sent_again",
    }


def test_the_kinds_of_life_a_calendar_has_are_on_record() -> None:
    scenarios = {re.sub(r"-\d$", "", path.stem) for path in HISTORIES if path.parent.name == "calendar_sync"}
    assert scenarios >= {scenario.__name__ for scenario in CALENDARS}


@pytest.mark.parametrize(("feature", "lives"), [("billing", ACCOUNTS), ("refund", REFUNDS)])
def test_the_kinds_of_life_an_account_and_a_refund_have_are_on_record(
    feature: str, lives: Sequence[BillingScenario]
) -> None:
    scenarios = {re.sub(r"-\d$", "", path.stem) for path in HISTORIES if path.parent.name == feature}
    assert scenarios >= {scenario.__name__ for scenario in lives}


@pytest.mark.parametrize("workflow", ALL, ids=lambda workflow: workflow.__name__)
def test_every_workflow_has_a_past_on_record(workflow: type) -> None:
    began = [_history(path).events[0].workflow_execution_started_event_attributes for path in HISTORIES]
    assert workflow.__name__ in {each.workflow_type.name for each in began}


@pytest.mark.parametrize(
    ("scenario", "steps"),
    [
        ("announced_ahead", ["lead-2880", "lead-2880", "lead-120", "due"]),
        ("sent_again", ["due", "resend", "resend", "snooze-1", "due"]),
    ],
)
def test_what_woke_a_reminder_is_in_its_past(scenario: str, steps: list[str]) -> None:
    (path,) = (path for path in HISTORIES if path.stem == f"{scenario}-1")
    asked = (event.activity_task_scheduled_event_attributes.input.payloads for event in _history(path).events)
    assert [json.loads(payload.data)["step"] for payloads in asked for payload in payloads] == steps


async def test_another_order_of_commands_does_not_replay() -> None:
    """The check itself works: a history with a step taken out is refused."""
    path = next(path for path in HISTORIES if path.stem.startswith("once"))
    history = _history(path)
    kept = [event for event in history.events if not event.HasField("timer_started_event_attributes")]
    replayer = Replayer(workflows=ALL, data_converter=pydantic_data_converter, workflow_runner=workflow_runner())
    with pytest.raises(Exception, match=r"(?i)nondeterminism|TMPRL1100|event"):
        await replayer.replay_workflow(WorkflowHistory("broken", kept))


def _history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())
