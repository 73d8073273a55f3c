"""The chain over the audit log, without a database."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto import chain_hash
from domain.audit import GENESIS, Place, Seal, canonical, follows

KEY = b"k" * 32
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ENTRY = {"id": UUID(int=1), "ts": NOON, "actor": "anonymous", "outcome": "ok", "object": None, "ip_hmac": b"\x01"}
FIRST = Seal(1, NOON.date(), None, Place(NOON, UUID(int=1)), 1, GENESIS, b"1" * 32)
SECOND = Seal(2, NOON.date(), FIRST.last, Place(NOON, UUID(int=2)), 1, FIRST.hash, b"2" * 32)


def test_a_column_that_is_added_later_changes_no_hash_of_what_was_written_before() -> None:
    assert canonical(ENTRY) == canonical({**ENTRY, "added": None})


def test_a_stretch_hangs_on_the_one_before_it() -> None:
    assert follows(FIRST, None)
    assert follows(SECOND, FIRST)
    assert not follows(SECOND, None), "the first stretch was taken out"


@pytest.mark.parametrize("change", [{"seq": 3}, {"prev_hash": GENESIS}, {"after": None}])
def test_a_stretch_that_hangs_on_another_is_seen(change: dict[str, object]) -> None:
    assert not follows(replace(SECOND, **change), FIRST)  # type: ignore[arg-type]


def test_without_the_key_nobody_makes_the_chain_anew() -> None:
    assert chain_hash(b"o" * 32, GENESIS, [canonical(ENTRY)]) != chain_hash(KEY, GENESIS, [canonical(ENTRY)])


line = st.binary(max_size=8)


@given(st.lists(line, max_size=5), st.lists(line, max_size=5))
def test_two_stretches_have_one_hash_only_if_they_say_the_same(one: list[bytes], two: list[bytes]) -> None:
    assert (chain_hash(KEY, GENESIS, one) == chain_hash(KEY, GENESIS, two)) == (one == two)
