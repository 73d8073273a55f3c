"""The composition root of the api: every part a request may need, built once per process."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from api.billing_services import Billing, open_billing
from api.cursor import Cursors
from api.identity import Identity, build_identity
from api.media_urls import MediaUrls
from core import unsubscribe
from core.calendar_settings import CalDavSettings
from core.crypto import FieldCipher
from core.db import API_POOL, Database, connect
from core.live import publishing
from core.redis import Redis
from core.settings import Settings
from core.unsubscribe import Unsubscriber
from integrations.calendar.consents import Consents, open_consents
from integrations.identity.breaches import open_breaches
from integrations.identity.factory import Providers, open_providers
from integrations.keys.factory import open_keys
from integrations.keys.secrets import load_secrets, public_point
from integrations.keys.store import KeyStore
from integrations.notify.feedback.sns import SnsEndpoint, open_endpoint
from integrations.outbound import Outbound
from integrations.storage.factory import open_storage
from integrations.storage.protocol import ObjectStorage
from models.queries.keys import KeyTable
from temporal.gateway import Gateway, open_gateway


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers and dependencies share. Nothing in it holds state of a request."""

    settings: Settings
    db: Database
    redis: Redis
    keys: KeyStore
    cipher: FieldCipher
    cursors: Cursors
    identity: Identity
    gateway: Gateway
    unsubscriber: Unsubscriber
    providers: Providers
    consents: Consents
    billing: Billing | None
    outbound: Outbound
    storage: ObjectStorage
    media_urls: MediaUrls
    mail_feedback: SnsEndpoint | None
    vapid_key: str
    _device_key: bytes = field(repr=False)
    _chip_key: bytes = field(repr=False)
    _calendar_key: bytes = field(repr=False)

    def chip_index(self, code: str) -> bytes:
        """What `microchips.code_bidx` holds: a clash is found without showing the number."""
        return hmac.digest(self._chip_key, code.encode(), hashlib.sha256)

    def device_index(self, token: str) -> bytes:
        """What `devices.token_bidx` holds: a device is known again without its token being readable."""
        return hmac.digest(self._device_key, token.encode(), hashlib.sha256)

    def calendar_index(self, account: str) -> bytes:
        """What `calendar_connections.account_bidx` holds: an account is known again without its name."""
        return hmac.digest(self._calendar_key, account.encode(), hashlib.sha256)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connects lazily everywhere: the process starts, and answers 503 where it must, while others are still away.

    Only keys and secrets must be there: without them nothing could be checked. Raises what the key provider raises.
    """
    provider, secret_store = open_keys(settings)
    secrets = await load_secrets(secret_store)
    redis_url = settings.redis_url.get_secret_value()
    redis = Redis(redis_url)
    try:
        async with (
            connect(settings, API_POOL) as db,
            publishing(redis_url, db.session_class),
            open_endpoint(settings.feedback) as mail_feedback,
            open_providers(settings) as providers,
            open_consents(settings.calendars) as consents,
            open_billing(settings) as billing,
            open_outbound(settings.calendars.caldav) as outbound,
            open_breaches(settings.passwords) as breaches,
        ):
            keys = KeyStore(provider, KeyTable(db.reads), cache_seconds=settings.keys.cache_seconds)
            storage = open_storage(settings)
            async with build_identity(settings, db, redis, keys, secrets, secret_store, breaches) as identity:
                yield Services(
                    settings=settings,
                    db=db,
                    redis=redis,
                    keys=keys,
                    cipher=identity.cipher,
                    cursors=Cursors(secrets.derive("cursor")),
                    identity=identity,
                    gateway=await open_gateway(settings, keys),
                    unsubscriber=Unsubscriber(secrets.derive(unsubscribe.KEY_PURPOSE)),
                    providers=providers,
                    consents=consents,
                    billing=billing,
                    outbound=outbound,
                    storage=storage,
                    media_urls=MediaUrls(storage),
                    mail_feedback=mail_feedback,
                    vapid_key=public_point(secrets.vapid),
                    _device_key=secrets.derive("device-index"),
                    _chip_key=secrets.derive("microchip-index"),
                    _calendar_key=secrets.derive("calendar-account-index"),
                )
    finally:
        await redis.close()


@asynccontextmanager
async def open_outbound(settings: CalDavSettings) -> AsyncIterator[Outbound]:
    """The guard of addresses that people enter (identity-and-security.md §4.9). The api checks them and calls none."""
    outbound = Outbound(plain_http=settings.plain_http, private=settings.private)
    try:
        yield outbound
    finally:
        await outbound.close()


def services_of(request: Request) -> Services:
    """The services of the application this request came to."""
    return cast("Services", request.app.state.services)
