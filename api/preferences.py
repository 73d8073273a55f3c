"""How a person wants to be told: the matrix, quiet hours and the digest, as they see and change them.

All three share one version, so a change of one is a stale ETag of the others. What was sent stays sent: the next send
reads what is written here.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.etag import Precondition
from api.identity import Client
from api.read_only import refuse_changes
from api.schemas.preferences import CellIn, PreferencesIn, QuietWindowsIn, SettingsIn
from api.schemas.unsubscribe import UnsubscribedOut
from api.services import Services
from api.trail import note
from core.errors import FieldProblem, Invalid, NotFound
from core.read_pool import ReadPool
from domain.notification import (
    MATRIX,
    Category,
    Channel,
    Digest,
    DigestFrequency,
    cell_of,
    digest_after,
    is_enabled,
    may_be_stopped,
)
from domain.quiet_hours import Window, together
from domain.rule import WEEKDAYS
from models.queries import notification_preferences as queries
from models.queries.notification_preferences import Choices

Present = Callable[[Choices], dict[str, Any]]


async def show(reads: ReadPool, caller: Caller, present: Present) -> dict[str, Any]:
    """One of the documents below."""
    found = await queries.choices(reads, caller.user_id)
    if found is None:
        raise _gone()
    return present(found)


def matrix(chosen: Choices) -> dict[str, Any]:
    """Every cell: what holds, what would hold by default, and why."""
    cells = [
        {
            "category": category,
            "channel": channel,
            "enabled": is_enabled(category, channel, chosen.changed),
            "default": cell.enabled,
            "locked": cell.locked,
            "reason": cell.reason,
        }
        for category, row in MATRIX.items()
        for channel, cell in row.items()
    ]
    return {"cells": cells, "version": chosen.version}


def quiet_hours(chosen: Choices) -> dict[str, Any]:
    """The windows, on the clock of `timezone`."""
    windows = [{"start": f"{w.start:%H:%M}", "end": f"{w.end:%H:%M}"} for w in chosen.windows]
    return {"windows": windows, "timezone": chosen.timezone, "version": chosen.version}


def settings(chosen: Choices) -> dict[str, Any]:
    """Digest and bypass, with the instant of the next digest."""
    digest = chosen.digest
    return {
        "digest_frequency": digest.frequency,
        "digest_weekday": WEEKDAYS[digest.weekday],
        "digest_at": f"{digest.at:%H:%M}",
        "critical_bypass": chosen.critical_bypass,
        # The process's clock will do: nothing is decided here.
        "next_digest_at": digest_after(datetime.now(UTC), digest, chosen.timezone),
        "timezone": chosen.timezone,
        "version": chosen.version,
    }


async def change_matrix(
    session: AsyncSession, caller: Caller, body: PreferencesIn, if_match: Precondition, *, others_default: bool
) -> dict[str, Any]:
    """Write the named cells; the others keep their value or go back to their default. Raises `Invalid` for a cell that
    is locked or named twice, `PreconditionFailed`."""
    chosen = await _locked(session, caller, if_match)
    refuse_changes(body, matrix(chosen), ("version",))
    _check(body.cells)
    wanted: dict[tuple[str, str], bool] = {(cell.category, cell.channel): cell.enabled for cell in body.cells}
    return matrix(await queries.set_cells(session, caller.user_id, wanted, others_default=others_default))


async def change_quiet_hours(
    session: AsyncSession, caller: Caller, body: QuietWindowsIn, if_match: Precondition
) -> dict[str, Any]:
    """Replace the windows. Raises `Invalid` (`quiet_hours_empty`, `quiet_hours_whole_day`), `PreconditionFailed`."""
    chosen = await _locked(session, caller, if_match)
    refuse_changes(body, quiet_hours(chosen), ("timezone", "version"))
    kept = together(Window(window.start, window.end) for window in body.windows)
    return quiet_hours(await queries.set_windows(session, caller.user_id, kept))


async def change_settings(
    session: AsyncSession, caller: Caller, body: SettingsIn, if_match: Precondition
) -> dict[str, Any]:
    """Change the fields that are present. Raises `PreconditionFailed`."""
    chosen = await _locked(session, caller, if_match)
    refuse_changes(body, settings(chosen), ("next_digest_at", "timezone", "version"))
    digest = Digest(
        frequency=DigestFrequency(body.digest_frequency or chosen.digest.frequency),
        weekday=WEEKDAYS.index(body.digest_weekday) if body.digest_weekday else chosen.digest.weekday,
        at=body.digest_at or chosen.digest.at,
    )
    bypass = chosen.critical_bypass if body.critical_bypass is None else body.critical_bypass
    return settings(await queries.set_settings(session, caller.user_id, digest, critical_bypass=bypass))


async def follow(
    session: AsyncSession, services: Services, client: Client, token: str, *, wanted: bool
) -> UnsubscribedOut:
    """Do what an unsubscribe link stands for, or take it back; again changes nothing. Raises `NotFound` for what is no
    link of ours. Whoever was forgotten gets the same answer: nothing is sent to them anyway."""
    wish = services.unsubscriber.read(token)
    if wish is None or wish.category not in MATRIX or wish.channel not in set(Channel):
        raise NotFound("no such link")
    category, channel = Category(wish.category), Channel(wish.channel)
    if not may_be_stopped(category, channel):
        raise NotFound("no such link")
    chosen = await queries.lock(session, wish.user_id)
    if chosen is not None and is_enabled(category, channel, chosen.changed) is not wanted:
        await queries.set_cells(session, wish.user_id, {(category, channel): wanted})
        action = "notification.resubscribe" if wanted else "notification.unsubscribe"
        await note(
            session,
            services.identity,
            client,
            action,
            actor=None,
            subject=wish.user_id,
            object=f"{category}/{channel}",
        )
    return UnsubscribedOut(category=category, channel=channel, subscribed=wanted)


async def _locked(session: AsyncSession, caller: Caller, if_match: Precondition) -> Choices:
    chosen = await queries.lock(session, caller.user_id)
    if chosen is None:
        raise _gone()
    if_match.check(chosen.version)
    return chosen


def _check(cells: Sequence[CellIn]) -> None:
    problems: list[FieldProblem] = []
    seen: set[tuple[str, str]] = set()
    for n, cell in enumerate(cells):
        default, place = cell_of(cell.category, cell.channel), (cell.category, cell.channel)
        if place in seen:
            problems.append(FieldProblem(f"/cells/{n}", "cell_twice", "each cell is named once"))
        elif default.locked and cell.enabled is not default.enabled:
            problems.append(FieldProblem(f"/cells/{n}/enabled", "locked", default.reason))
        seen.add(place)
        read_only = {"default": default.enabled, "locked": default.locked, "reason": default.reason}
        problems += [
            FieldProblem(f"/cells/{n}/{name}", "read_only", "this field cannot be written")
            for name, value in read_only.items()
            if name in cell.model_fields_set and getattr(cell, name) != value
        ]
    if problems:
        raise Invalid("the preferences cannot be used as they are", errors=tuple(problems))


def _gone() -> NotFound:
    return NotFound("the account is gone")
