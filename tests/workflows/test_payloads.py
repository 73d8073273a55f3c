"""Payloads are what Pydantic's converter of the SDK makes of values, with less memory for each workflow."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import WorkflowSerializationContext

from temporal import ids
from temporal.client import data_converter
from temporal.contracts.calendar_sync import CalendarState, Dirty, Standing
from temporal.payloads import SharedPayloadConverter
from tests.workflows.test_codec import Keys

LINK, USER = UUID("01980000-0000-7000-8000-000000000001"), UUID("01980000-0000-7000-8000-000000000002")
STATE = CalendarState(LINK, "google", heard=7, standing=Standing.WAITING, next_at=datetime(2026, 3, 1, 9, tzinfo=UTC))
VALUES = [
    (STATE, CalendarState),
    (Dirty(3), Dirty),
    (None, type(None)),
    (b"bytes", bytes),
    ([LINK], list[UUID]),
    ({"at": STATE.next_at}, dict[str, datetime]),
]


def test_the_converters_of_all_workflows_share_their_validators() -> None:
    first, second = SharedPayloadConverter(), SharedPayloadConverter()
    assert first is not second
    pairs = list(zip(first.converters.values(), second.converters.values(), strict=True))
    assert pairs
    assert all(mine is theirs for mine, theirs in pairs)


@pytest.mark.parametrize(("value", "hint"), VALUES, ids=[str(hint) for _, hint in VALUES])
def test_a_value_becomes_the_payload_that_it_was_before_and_comes_back(value: object, hint: type) -> None:
    before, now = pydantic_data_converter.payload_converter, SharedPayloadConverter()
    assert now.to_payloads([value]) == before.to_payloads([value])
    assert now.from_payloads(before.to_payloads([value]), [hint]) == [value]


def test_what_is_no_value_of_its_type_is_refused_as_before() -> None:
    payloads = pydantic_data_converter.payload_converter.to_payloads([{"seq": "many"}])
    for converter in (pydantic_data_converter.payload_converter, SharedPayloadConverter()):
        with pytest.raises(ValueError, match="seq"):
            converter.from_payloads(payloads, [Dirty])


async def test_two_workflows_have_payloads_of_their_own() -> None:
    """Shared are the validators alone: each workflow's payloads are sealed in its context."""
    converter = data_converter(Keys())
    for user_id in (USER, LINK):
        context = WorkflowSerializationContext(namespace="n", workflow_id=ids.calendar(user_id, LINK))
        (sealed,) = await converter.with_context(context).encode([STATE])
        assert sealed.metadata["kid"] == b"\2" + user_id.bytes + b"1"
        assert await converter.decode([sealed], [CalendarState]) == [STATE]
