"""The application on real servers, in process, and people who are signed in."""

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from core.db import Database
from core.settings import Settings
from tests.api.signing_in import Api, Person


@pytest.fixture(scope="module")
async def app(settings: Settings, db: Database) -> AsyncIterator[FastAPI]:
    """The api over the module's database."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture(scope="module")
async def api(app: FastAPI) -> AsyncIterator[Api]:
    """Somebody who talks to it."""
    # Registrations are limited per network: every module comes from its own.
    network = (f"10.{secrets.randbelow(250)}.{secrets.randbelow(250)}.1", 1)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=network)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Api(client, app.state.services.identity)


@pytest.fixture
async def person(api: Api) -> Person:
    """Somebody new, signed in."""
    return await api.person()
