"""The commands of workflows change only knowingly: two unpatched edits once stopped every workflow of a firm."""

import json
from pathlib import Path

import pytest

from tests.replay.fingerprints import fingerprints

COMMITTED = json.loads((Path(__file__).parent / "fingerprints.json").read_text())

EXPLANATION = """
{workflow} no longer makes the commands it made when its fingerprint was committed.

Workflows sleep for months: on the next wake-up their recorded past is replayed on this code. If an activity, timer,
child or continue-as-new was added, removed, reordered or retargeted, keep the old way for old runs:

    if workflow.patched("say-what-changed"):
        …new…
    else:
        …old…

record a new scenario (tests/replay/record.py, a new name; never record an old one anew), see tests/replay pass, then
commit the new fingerprint: python -m tests.replay.test_fingerprints

before: {before}
now:    {now}
"""


@pytest.mark.parametrize("workflow", sorted({*COMMITTED, *fingerprints()}))
def test_the_commands_of_a_workflow_are_those_committed(workflow: str) -> None:
    before, now = COMMITTED.get(workflow), fingerprints().get(workflow)
    assert now == before, EXPLANATION.format(workflow=workflow, before=before, now=now)


def test_the_fingerprint_sees_what_matters() -> None:
    commands = fingerprints()["ReminderWorkflow"]
    assert "load: execute_local_activity_method(ReminderActivities.plan_reminder)" in commands
    assert "deliver: execute_activity_method(ReminderActivities.deliver_occurrence)" in commands
    assert "wait: wait_condition()" in commands


if __name__ == "__main__":
    (Path(__file__).parent / "fingerprints.json").write_text(json.dumps(fingerprints(), indent=1) + "\n")
