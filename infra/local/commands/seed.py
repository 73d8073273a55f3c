"""`petfolio seed`: realistic data on the running stack, through the code that people's requests run.

Accounts are opened in this process, as if each person came from a network of their own: over HTTP all would share one
loopback address, and the limits per network exist to stop exactly that. Everything else goes over HTTP.
"""

import argparse
import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress

from api import accounts, sign_in
from api.accounts import Registration
from api.identity import Client, Identity
from api.services import open_services
from core.settings import Settings
from infra.local.commands.status import current
from infra.local.environment import read_env_file
from infra.local.errors import StackError
from infra.local.seed import SeedPerson, person

PASSWORD = "petfolio local seed"  # noqa: S105 (only ever on a local stack)
_AT_ONCE = 6
_TOKEN = re.compile(r"[?&]token=([A-Za-z0-9_.~-]+)")
_MAIL_SECONDS = 60.0


def run(arguments: argparse.Namespace) -> int:
    """Raises `StackError` when the stack is not ready or refuses something."""
    stack = current(arguments.data_dir)
    if not stack.ready:
        raise StackError("The stack is not ready: start it with `make up` (or `petfolio up --detach`).")
    if arguments.users < 1:
        raise StackError("--users must be at least 1.")
    asyncio.run(_seed(arguments.users, arguments.data_dir, stack.urls))
    return 0


async def _seed(users: int, root: Path, urls: Mapping[str, str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    read_env_file(root)
    run_id, slots = secrets.token_hex(3), asyncio.Semaphore(_AT_ONCE)
    async with (
        open_services(Settings()) as services,
        httpx.AsyncClient(base_url=urls["api_url"], timeout=30) as api,
        httpx.AsyncClient(base_url=urls["inbox_url"], timeout=30) as inbox,
    ):
        with Progress(console=console) as progress:
            task = progress.add_task(f"{users} people", total=users)

            async def one(number: int) -> str:
                async with slots:
                    email = f"person-{number:04}-{run_id}@example.test"
                    seeder = Seeder(services.identity, api, inbox, email, number)
                    await seeder.seed(person(number, date.today()))  # noqa: DTZ011 (any day will do)
                    progress.advance(task)
                    return email

            emails = await asyncio.gather(*(one(number) for number in range(users)))
    console.print(f"Log in as {emails[0]} (or any of the {users}) with the password: {PASSWORD}")


class Seeder:
    """Makes one person and all that is theirs."""

    def __init__(
        self, identity: Identity, api: httpx.AsyncClient, inbox: httpx.AsyncClient, email: str, number: int
    ) -> None:
        self._identity, self._api, self._inbox, self._email = identity, api, inbox, email
        # From the block for documentation (RFC 3849); the limits count its /64.
        self._client = Client(f"2001:db8:{secrets.randbelow(65536):x}:{number:x}::1", "petfolio seed", None)
        self._headers: dict[str, str] = {}

    async def seed(self, who: SeedPerson) -> None:
        """Sign up, confirm, sign in; then pets, diaries and reminders over HTTP."""
        names = (who.first_name, who.last_name)
        form = Registration(self._email, self._email, PASSWORD, *names, phone=None, timezone=who.timezone)
        await accounts.register(self._identity, self._client, form)
        await accounts.verify_email(self._identity, self._client, await self._mailed_token())
        tokens = json.loads((await sign_in.with_password(self._identity, self._client, self._email, PASSWORD)).body)
        self._headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        for pet in who.pets:
            pet_id = (await self._post("/pets", pet.pet))["id"]
            for record in pet.records:
                await self._post(f"/health-records/pets/{pet_id}/records", record)
            for reminder in pet.reminders:
                await self._post("/reminders", {**reminder, "pet_id": pet_id})

    async def _mailed_token(self) -> str:
        async with asyncio.timeout(_MAIL_SECONDS):
            while True:
                answer = await self._inbox.get("/api/messages", params={"to": self._email})
                for mail in answer.json():
                    if found := _TOKEN.search(mail["text"] or ""):
                        return found[1]
                await asyncio.sleep(0.2)

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._api.post(f"/api/v1{path}", json=body, headers=self._headers)
        if answer.is_error:
            raise StackError(f"POST {path} answered {answer.status_code}: {answer.text[:500]}")
        created: dict[str, Any] = answer.json()
        return created
