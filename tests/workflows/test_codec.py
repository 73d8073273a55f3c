"""Who can read a payload, and what is said when nobody can any more."""

from uuid import UUID, uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from core.crypto import CiphertextInvalid, DataKey, Subject, SubjectErased
from core.errors import Unavailable
from temporal import ids
from temporal.codec import ENCRYPTED, ERASED, PayloadsErased, SubjectCodec
from temporal.ids import UnknownWorkflowId

HOUSEHOLD = UUID("01980000-0000-7000-8000-000000000001")
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"title": "CANARY"}')


class Keys:
    """Keys in memory, with the three ways in which they can fail."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.asked: list[str] = []

    async def current(self, subject: Subject) -> DataKey:
        return await self.by_kid(f"{subject}:1")

    async def by_kid(self, kid: str) -> DataKey:
        self.asked.append(kid)
        if self.failure is not None:
            raise self.failure
        return DataKey(kid, kid.ljust(32, "x").encode()[:32])


@pytest.fixture
def keys() -> Keys:
    return Keys()


def of(codec: SubjectCodec, workflow_id: str) -> SubjectCodec:
    return codec.with_context(WorkflowSerializationContext(namespace="n", workflow_id=workflow_id))


async def test_a_payload_is_sealed_for_the_owner_in_the_workflow_id_and_opened_without_it(keys: Keys) -> None:
    codec = SubjectCodec(keys)
    (sealed,) = await of(codec, ids.reminder(HOUSEHOLD, uuid4())).encode([PLAIN])
    assert sealed.metadata == {"encoding": ENCRYPTED, "kid": b"\3" + HOUSEHOLD.bytes + b"1"}
    assert b"CANARY" not in sealed.SerializeToString()
    assert await codec.decode([sealed]) == [PLAIN]


async def test_without_a_workflow_the_platform_key_is_used(keys: Keys) -> None:
    (sealed,) = await SubjectCodec(keys).encode([PLAIN])
    assert sealed.metadata["kid"] == b"\1" + b"1"


async def test_two_payloads_with_equal_text_look_different(keys: Keys) -> None:
    first, second = await SubjectCodec(keys).encode([PLAIN, PLAIN])
    assert first.data != second.data


async def test_an_unknown_kind_of_id_is_refused_instead_of_sealed_for_the_platform(keys: Keys) -> None:
    with pytest.raises(UnknownWorkflowId):
        await of(SubjectCodec(keys), "shelter/1/reminder/2").encode([PLAIN])
    assert keys.asked == []


async def test_payloads_of_others_pass_unchanged(keys: Keys) -> None:
    assert await SubjectCodec(keys).decode([PLAIN]) == [PLAIN]


async def test_a_payload_renamed_to_another_owner_does_not_open(keys: Keys) -> None:
    codec = SubjectCodec(keys)
    (sealed,) = await of(codec, ids.reminder(HOUSEHOLD, uuid4())).encode([PLAIN])
    sealed.metadata["kid"] = b"\1" + b"1"
    with pytest.raises(CiphertextInvalid):
        await codec.decode([sealed])


@pytest.mark.parametrize(
    "kid",
    [b"", b"\0", b"\1", b"\1x", b"\1" + b"1\n", b"\2" + b"1", b"\2" + bytes(16), b"\4" + bytes(16) + b"1", b"system:1"],
)
async def test_a_kid_that_is_none_of_ours_never_reaches_the_key_store(keys: Keys, kid: bytes) -> None:
    with pytest.raises(CiphertextInvalid):
        await SubjectCodec(keys).decode([Payload(metadata={"encoding": ENCRYPTED, "kid": kid}, data=b"x" * 40)])
    assert keys.asked == []


async def test_a_destroyed_key_ends_a_worker_s_task_for_good_and_shows_readers_a_placeholder(keys: Keys) -> None:
    worker, reader = SubjectCodec(keys), SubjectCodec(keys, readable=True)
    sealed = await worker.encode([PLAIN])
    keys.failure = SubjectErased("the key was destroyed")
    assert await reader.decode(sealed) == [ERASED]
    for refused in (worker.decode(sealed), worker.encode([PLAIN]), reader.encode([PLAIN])):
        with pytest.raises(PayloadsErased) as error:
            await refused
        assert error.value.non_retryable


@pytest.mark.parametrize("failure", [Unavailable("the key database is away"), OSError("reset")])
async def test_trouble_with_the_keys_is_a_plain_error_that_is_tried_again(keys: Keys, failure: Exception) -> None:
    sealed = await SubjectCodec(keys).encode([PLAIN])
    keys.failure = failure
    for codec in (SubjectCodec(keys), SubjectCodec(keys, readable=True)):
        with pytest.raises(type(failure)):
            await codec.decode(sealed)
