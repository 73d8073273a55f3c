"""No secret is where somebody reads it, whatever goes wrong: calendar-sync.md §9 S40, INV9."""

import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.calendar_sync import CalendarSyncActivities
from integrations.calendar.credentials import CalDavCredential
from integrations.calendar.oauth import Grant, OAuth
from integrations.calendar.protocol import CalendarError
from temporal.contracts.calendar_sync import PullChanges, ReconcileBatch, Standing
from tests.calendar.accounts import Account
from tests.calendar.home import an_event
from tests.calendar.opened import calendars_of, credential_of

TITLE, THEIRS = "Canary of a title", "Canary from the calendar"
_TABLES = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"


async def test_neither_rows_nor_logs_nor_errors_hold_a_secret_or_a_word(
    account: Account, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "")
    given = _tokens_that_are_used(monkeypatch)
    credential = await credential_of(account)
    password = credential.password if isinstance(credential, CalDavCredential) else credential.refresh_token
    await account.create(an_event(TITLE))
    await account.remote_create(an_event(THEIRS))
    said = await _everything_that_is_said(account)
    secrets = {password, TITLE, THEIRS, *given}
    assert len(secrets) >= 3 + account.is_vendor
    logged = [
        record.getMessage() for record in caplog.records if not record.name.startswith(("radicale", "hypothesis"))
    ]
    for place, texts in {"said": said, "logged": logged, "rows": await _rows(account)}.items():
        assert texts
        assert not [secret for secret in secrets for text in texts if secret in text], place


async def _everything_that_is_said(account: Account) -> list[str]:
    """A good run, a lost answer, a throttled one and a revoked one: what the activities answer, or raise."""
    said = []
    async with calendars_of(account) as calendars:
        sync = CalendarSyncActivities(
            account.home.db.sessions, account.home.home.cipher, calendars, poll_seconds=120, push_url=None
        )

        async def run() -> None:
            link_id, now = account.home.link_id, datetime.now(UTC)
            for work, request in (
                (sync.pull_changes, PullChanges(link_id, now)),
                (sync.reconcile_batch, ReconcileBatch(link_id, now)),
            ):
                try:
                    said.append(repr(await ActivityEnvironment().run(work, request)))
                except CalendarError as error:
                    said.append("".join(traceback.format_exception(error, chain=True)))
                    said.append(repr(error.__dict__))

        account.break_write(when="after")
        await run()
        account.mend()
        await account.backend.throttle(7)
        await run()
        account.mend()
        await run()
        await account.remote_edit(next(iter(await account.there())), title=THEIRS)
        await account.backend.revoke()
        await calendars.forget(account.home.link_id)
        await run()
    assert str(Standing.WAITING) in "".join(said)
    return said


def _tokens_that_are_used(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Access and refresh tokens, as they are granted."""
    given: set[str] = set()
    grant = OAuth._grant

    def remembered(self: OAuth, document: Mapping[str, Any], refresh_token: str | None) -> Grant:
        made = grant(self, document, refresh_token)
        given.update((made.access_token, made.refresh_token))
        return made

    monkeypatch.setattr(OAuth, "_grant", remembered)
    return given


async def _rows(account: Account) -> list[str]:
    home = account.home.home
    return [
        row.text
        for table in await home.rows(_TABLES)
        for row in await home.rows(f'SELECT to_jsonb(x)::text AS text FROM "{table.name}" x')
    ]
