"""Which account an identity elsewhere leads to."""

from itertools import product

import pytest

from domain.oauth import Owner, Way, way_in

NOBODY, CONFIRMED, CLAIMED = None, Owner(active=True, verified=True), Owner(active=True, verified=False)
CLOSED = Owner(active=False, verified=True)


@pytest.mark.parametrize(
    ("authoritative", "owner", "way"),
    [
        (True, NOBODY, Way.CREATE),
        (True, CONFIRMED, Way.LINK),
        (True, CLAIMED, Way.TAKE_OVER),
        (True, CLOSED, Way.REFUSE),
        (False, NOBODY, Way.CREATE_UNVERIFIED),
        (False, CONFIRMED, Way.TELL_OWNER),
        (False, CLAIMED, Way.TELL_OWNER),
        (False, CLOSED, Way.TELL_OWNER),
    ],
)
def test_an_address_counts_only_where_the_provider_speaks_for_it(
    authoritative: bool, owner: Owner | None, way: Way
) -> None:
    assert way_in(address=True, authoritative=authoritative, owner=owner) is way


def test_without_an_address_there_is_no_account() -> None:
    for authoritative, owner in product((True, False), (NOBODY, CONFIRMED, CLAIMED, CLOSED)):
        assert way_in(address=False, authoritative=authoritative, owner=owner) is Way.NEED_ADDRESS
