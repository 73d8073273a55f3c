"""A whole platform of the bench's own, with one signed-in owner: every bench runs on the real parts."""

import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import httpx

from core.settings import Settings
from tests.person import Person, sign_up
from tests.stack import Inbox, Stack, running_stack

ROOMY = '{"quota": 6000000, "window": 60, "burst": 1000000}'
"""The limit is checked on every request and never reached."""
_NEVER_REACHED = ("DEFAULT", "LOGIN_ACCOUNT", "LOGIN_HOURLY", "REGISTRATION")


@dataclass(frozen=True, slots=True)
class Platform:
    """`env` is what any process of the platform needs; `owner` has one pet with weight and chip."""

    stack: Stack
    env: dict[str, str]
    owner: Person

    @property
    def settings(self) -> Settings:
        """Of the stack, read as its own processes read them."""
        with patch.dict(os.environ, self.env):
            return Settings()

    async def pids(self, *services: str) -> list[int]:
        """The process ids of these services of the stack."""
        known: dict[str, Any] = (await self.stack.status())["services"]
        return [int(known[service]["pid"]) for service in services]


@asynccontextmanager
async def platform(**environment: str) -> AsyncIterator[Platform]:
    """Up on free ports in a new folder, with this environment; gone afterwards."""
    limits = {
        f"PETFOLIO_RATE_LIMITS__{policy}": ROOMY
        for policy in ("DEFAULT", "LOGIN_ACCOUNT", "LOGIN_HOURLY", "REGISTRATION")
    }
    async with running_stack("bench", **limits, **environment) as stack:
        urls = await stack.status()
        lines = (stack.data_dir / "env").read_text().splitlines()
        env = {
            name: shlex.split(value)[0] if value else "" for name, _, value in (line.partition("=") for line in lines)
        }
        async with (
            httpx.AsyncClient(base_url=urls["api_url"], timeout=60) as api,
            httpx.AsyncClient(base_url=urls["inbox_url"], timeout=60) as inbox,
        ):
            owner = await sign_up(api, Inbox(inbox))
            owner.pet_id = await owner.add_pet(
                breed="European Shorthair", date_of_birth="2022-04-01", weight_kg=4.2, microchip_id="276098102345678"
            )
            yield Platform(stack, env | limits | environment, owner)
