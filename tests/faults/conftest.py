"""Who has reminders while things break, and who keeps account."""

from pathlib import Path

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.person import Person, sign_up
from tests.stack import Inbox


@pytest.fixture
async def person(client: httpx.AsyncClient, inbox: Inbox) -> Person:
    return await sign_up(client, inbox)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")
