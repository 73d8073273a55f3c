"""The document against the code. What is really said is checked in `browser.py`, event by event."""

import pytest
from jsonschema import Draft202012Validator, ValidationError

from core import live
from domain.reminder_series import OccurrenceState
from tests.live.asyncapi import DOCUMENT, MESSAGES, check

OURS = {*live.Name, live.READY, live.RESET}


def test_every_event_is_documented_and_no_other() -> None:
    assert set(MESSAGES) == OURS
    in_channel = {each["$ref"].rpartition("/")[2] for each in DOCUMENT["channels"]["person"]["messages"].values()}
    assert in_channel == set(DOCUMENT["components"]["messages"])


def test_every_state_of_an_occurrence_has_its_event() -> None:
    assert {f"occurrence.{state}" for state in OccurrenceState} | {live.Name.OCCURRENCE_UPDATED} == {
        name for name in live.Name if name.startswith("occurrence.")
    }
    assert set(DOCUMENT["components"]["schemas"]["Occurrence"]["properties"]["state"]["enum"]) == set(OccurrenceState)


def test_the_limits_are_those_of_the_code() -> None:
    assert f"the last {live.LENGTH} events" in " ".join(DOCUMENT["info"]["description"].split())
    assert live.KEPT_SECONDS == 24 * 3600


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_an_event_of_another_shape_is_noticed() -> None:
    with pytest.raises(ValidationError):
        check(live.Name.OCCURRENCE_DONE, {"event_id": "1-1", "occurrence_id": "milo"})
