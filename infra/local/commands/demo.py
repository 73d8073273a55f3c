"""`petfolio demo`: the main job on the running stack, narrated; `petfolio demo calendar`, `petfolio demo billing`."""

import argparse
import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx
from rich.console import Console
from rich.status import Status

from infra.local.commands.status import current
from infra.local.demo import Visitor, in_seconds, workflow_link
from infra.local.errors import StackError

_TITLE = "Thyroid tablet"
_AHEAD_SECONDS = 4.0
_MAIL_SECONDS = 30.0


def run(arguments: argparse.Namespace) -> int:
    """Raises `StackError` where the platform does not do what is promised."""
    stack = current(arguments.data_dir)
    if not stack.ready:
        raise StackError("The stack is not ready: start it with `make up` (or `petfolio up --detach`).")
    if arguments.what != "reminder":
        # The client of CalDAV, and Stripe's, take half a second to import, which the main demo does without.
        importlib.import_module(f"infra.local.commands.demo_{arguments.what}").run(stack)
        return 0
    console = Console(highlight=False, soft_wrap=True)
    with (
        httpx.Client(base_url=stack.urls["api_url"], timeout=20) as api,
        httpx.Client(base_url=stack.urls["inbox_url"], timeout=20) as inbox,
    ):
        _narrate(console, Visitor(api, inbox), stack.urls)
    return 0


def _narrate(console: Console, visitor: Visitor, urls: Mapping[str, str]) -> None:
    console.print(f"[bold]Petfolio demo[/] · a new pet owner, {visitor.email}\n")
    sign_up(console, visitor)
    with step(console, "Adds Milo, a cat"):
        pet = visitor.call("POST", "/pets", {"name": "Milo", "species": "cat", "date_of_birth": "2022-04-01"})
    with step(console, "Writes a vaccination into Milo's health diary"):
        record = {"record_type": "vaccination", "title": "Rabies booster", "veterinarian": "Dr. Weber"}
        visitor.call("POST", f"/health-records/pets/{pet['id']}/records", record)
    due = in_seconds(_AHEAD_SECONDS)
    with step(console, f"Asks to be reminded of Milo's thyroid tablet every day, first at {due:%H:%M:%S} UTC"):
        reminder = visitor.remind_daily(pet["id"], _TITLE, due)
    with step(console, "The reminder arrives by e-mail") as status:
        countdown = _countdown(status, due.timestamp())
        mail = visitor.wait_for_mail(_TITLE, _AHEAD_SECONDS + _MAIL_SECONDS, countdown)
    console.print(f"\n  From     {mail['headers'].get('From', '')}\n  Subject  {mail['subject']}\n", markup=False)
    _links(console, visitor, urls, str(reminder["id"]), str(mail["id"]))


def sign_up(console: Console, visitor: Visitor) -> None:
    """A new account, with its address confirmed and its session begun."""
    with step(console, "Signs up"):
        visitor.sign_up("Alex")
    with step(console, "Opens the mail that asks whether the address is right, and confirms"):
        visitor.verify(visitor.wait_for_mail("token=", _MAIL_SECONDS))
    with step(console, "Logs in"):
        visitor.log_in()


def _links(console: Console, visitor: Visitor, urls: Mapping[str, str], reminder_id: str, mail_id: str) -> None:
    workflow_id = visitor.workflow_of(reminder_id)
    if workflow_id is None:
        raise StackError("GET /workflows does not list the reminder's workflow.")
    console.print("The same reminder is now asleep until tomorrow. Look around:")
    console.print(f"  Workflow  {workflow_link(urls['temporal_ui_url'], workflow_id)}", markup=False)
    console.print(f"  Mail      {urls['inbox_url']}/messages/{mail_id}", markup=False)
    console.print(f"  Inbox     {urls['inbox_url']}", markup=False)
    console.print(f"  API       {urls['api_url']}/docs", markup=False)
    console.print(f"  Log in as {visitor.email} with {visitor.password}", markup=False)


@contextmanager
def step(console: Console, words: str) -> Iterator[Status]:
    """A line with a spinner that ends as a tick and the time it took."""
    began = time.monotonic()
    with console.status(words) as status:
        yield status
    console.print(f"  [green]✓[/] {words} [bright_black]{(time.monotonic() - began) * 1000:.0f} ms[/]")


def _countdown(status: Status, due: float) -> Callable[[], None]:
    def tick() -> None:
        left = due - time.time()
        status.update(f"The reminder is due in {left:.0f} s" if left > 0 else "The reminder is due now")

    return tick
