"""The backends of the calendar contract, opened for one test each."""

from collections.abc import AsyncIterator

import pytest

from tests.contracts.calendar_backends import BACKENDS, Backend, opener


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """An account with one empty calendar; skipped where the server cannot do what the test's `needs` marks name."""
    needs = [each for mark in request.node.iter_markers("needs") for each in mark.args]
    async with opener(request.param)(request) as opened:
        if missing := [need.value for need in needs if need not in opened.can]:
            pytest.skip(f"not here: {', '.join(missing)}")
        yield opened
