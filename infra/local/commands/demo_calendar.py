"""`petfolio demo calendar`: one appointment in three calendars, edited in each, narrated."""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from rich.console import Console

from infra.local.calendar_demo import (
    CalDavCalendar,
    Shown,
    VendorCalendar,
    connect_server,
    connect_vendor,
    workflows,
)
from infra.local.commands.demo import sign_up, step
from infra.local.demo import Visitor, wait_until, workflow_link
from infra.local.launchers import caldav
from infra.local.site import load_secrets
from infra.local.state import StackState

_VENDORS: Final = {"google": "Google Calendar", "microsoft": "Outlook"}
_FIRST: Final = "Milo: vaccination"
_SERVICE: Final = "worker-calendar"
_SECONDS: Final = 60.0
"""For what takes two seconds with push and a quarter of a minute without, on a machine with nothing else to do."""


def run(stack: StackState) -> None:
    """Raises `StackError` where the platform does not do what is promised."""
    server_url = str(stack.services["caldav"].url)
    password = load_secrets(Path(stack.data_dir) / "secrets.json", ())[caldav.PASSWORD]
    with ExitStack() as opened:
        api, inbox, vendors = (
            opened.enter_context(httpx.Client(base_url=url, timeout=20))
            for url in (stack.urls["api_url"], stack.urls["inbox_url"], str(stack.services["calendars"].url))
        )
        server = httpx.Client(base_url=server_url, auth=(caldav.USER, password), timeout=20)
        account = f"demo-{secrets.token_hex(4)}@example.com"
        of_vendors = [VendorCalendar(vendors, title, name, account) for name, title in _VENDORS.items()]
        of_server = CalDavCalendar(opened.enter_context(server), server_url, caldav.USER, password)
        _narrate(Console(highlight=False, soft_wrap=True), stack, Visitor(api, inbox), of_vendors, of_server)


def _narrate(
    console: Console,
    stack: StackState,
    visitor: Visitor,
    of_vendors: Sequence[VendorCalendar],
    of_server: CalDavCalendar,
) -> None:
    console.print(f"[bold]Petfolio demo[/] · one appointment, three calendars, {visitor.email}\n")
    sign_up(console, visitor)
    of_server.put_aside()
    for each in of_vendors:
        with step(console, f"Connects {each.name}: consents in a browser, as {each.account}"):
            connect_vendor(visitor, each)
    with step(console, f"Connects a CalDAV server (Radicale): {of_server.user} and an app password"):
        connect_server(visitor, of_server)
    calendars: tuple[Shown, ...] = (*of_vendors, of_server)
    appointment = _plan(console, visitor, calendars)
    _edit_everywhere(console, visitor, appointment["id"], calendars)
    _links(console, visitor, stack, of_vendors[0].account)


def _plan(console: Console, visitor: Visitor, calendars: Sequence[Shown]) -> dict[str, Any]:
    start = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT09:30")
    with step(console, f"Plans “{_FIRST}” in Petfolio"):
        body = {"title": _FIRST, "starts_at": start, "tzid": "Europe/Berlin", "location": "Dr. Weber"}
        made: dict[str, Any] = visitor.call("POST", "/appointments", body)
    _appears(console, _FIRST, calendars)
    return made


def _edit_everywhere(console: Console, visitor: Visitor, appointment_id: str, calendars: Sequence[Shown]) -> None:
    """In each calendar in turn; the edit comes to Petfolio, and from there to the other two."""
    title = _FIRST
    for calendar in calendars:
        before, title = title, f"{_FIRST}, edited in {calendar.name}"
        with step(console, f"Edits the title in {calendar.name}"):
            calendar.rename(before, title)
        with step(console, "  … and the edit arrives in Petfolio"):
            wait_until(
                lambda title=title: visitor.call("GET", f"/appointments/{appointment_id}")["title"] == title,  # type: ignore[misc]
                _SECONDS,
                "the edit in Petfolio",
                _SERVICE,
            )
        _appears(console, title, [each for each in calendars if each is not calendar])


def _appears(console: Console, title: str, calendars: Sequence[Shown]) -> None:
    """Once in each of them, and nothing else."""
    for calendar in calendars:
        with step(console, f"  … and in {calendar.name}"):
            wait_until(
                lambda calendar=calendar: calendar.titles() == [title],  # type: ignore[misc]
                _SECONDS,
                f"“{title}” in {calendar.name}",
                _SERVICE,
            )


def _links(console: Console, visitor: Visitor, stack: StackState, account: str) -> None:
    console.print("\nThree calendars, one appointment. Go on by hand: what you edit there comes back.")
    console.print(f"  Google, Outlook  {stack.services['calendars'].url}/?account={quote(account)}", markup=False)
    for provider, workflow_id in workflows(visitor).items():
        console.print(f"  Workflow         {workflow_link(stack.urls['temporal_ui_url'], workflow_id)} ({provider})",
                      markup=False)  # fmt: skip
    console.print(f"  API              {stack.urls['api_url']}/docs#/calendar", markup=False)
    console.print(f"  Log in as {visitor.email} with {visitor.password}", markup=False)
