"""Which account an identity elsewhere leads to."""

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
    assert way_in(authoritative=authoritative, owner=owner) is way
