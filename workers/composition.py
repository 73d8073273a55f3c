"""The composition root of the workers: what is opened once per process, and handed to activities and the relay."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.plugin import SimplePlugin
from temporalio.runtime import Runtime

from core.crypto import FieldCipher
from core.db import Database, PoolSize
from core.db import connect as connect_database
from core.live import publishing
from core.settings import Settings
from integrations.calendar.factory import Providers
from integrations.identity.http import client as http_client
from integrations.keys.factory import open_keys
from integrations.keys.protocols import SecretStore
from integrations.keys.secrets import ApplicationSecrets, load_secrets
from integrations.keys.store import KeyStore
from integrations.notify.fcm import open_fcm
from integrations.notify.protocol import PushChannel
from integrations.notify.ses import SesChannel, open_ses
from integrations.notify.sns import SnsChannel, open_sns
from integrations.notify.webpush import open_webpush
from integrations.payments.factory import open_payments
from models.notification import DeviceKind
from models.queries.keys import KeyTable
from temporal.client import connect as connect_temporal
from temporal.client import plugin
from temporal.interceptors import interceptors
from workers.media import MediaParts, open_media

if TYPE_CHECKING:
    from integrations.payments.client import Payments

KEY_CACHE_SECONDS = 60
"""Shorter than the api's: a worker that still holds a destroyed key could still write with it (temporal.md §4.3)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker process has. `temporal` is the lazy client of the relay, and of activities that look around;
    `payments` is there for those who serve the queue of billing, and only where there is a key; `media` for those who
    serve that of media."""

    settings: Settings
    db: Database
    keys: KeyStore
    cipher: FieldCipher
    secrets: ApplicationSecrets
    secret_store: SecretStore
    plugin: SimplePlugin
    temporal: Client
    email: SesChannel
    sms: SnsChannel
    push: Mapping[DeviceKind, PushChannel]
    calendars: Providers
    payments: "Payments | None"
    media: MediaParts | None


@asynccontextmanager
async def compose(
    settings: Settings,
    runtime: Runtime | None,
    pool: PoolSize,
    *,
    traced: bool = False,
    billing: bool = False,
    media: bool = False,
) -> AsyncIterator[Parts]:
    """Open everything lazily: neither Postgres nor Temporal must be there yet. `billing`: this process asks Stripe;
    `media`: it looks at uploads. Raises `SecretMissing` before setup, and `ScanningMisconfigured`."""
    provider, secret_store = open_keys(settings)
    secrets = await load_secrets(secret_store)
    redis_url = settings.redis_url.get_secret_value()
    async with connect_database(settings, pool) as db, publishing(redis_url, db.session_class):
        keys = KeyStore(provider, KeyTable(db.reads), cache_seconds=min(KEY_CACHE_SECONDS, settings.keys.cache_seconds))
        shared = plugin(keys, interceptors=interceptors(traced=traced))
        async with AsyncExitStack() as stack:
            email = stack.enter_context(closing(open_ses(settings)))
            sms = stack.enter_context(closing(open_sns(settings)))
            push: dict[DeviceKind, PushChannel] = {DeviceKind.WEBPUSH: open_webpush(settings, secrets)}
            if (fcm := open_fcm(settings)) is not None:
                push[DeviceKind.FCM] = fcm
            for service in push.values():
                stack.push_async_callback(service.close)
            calendars = Providers(settings.calendars, await stack.enter_async_context(http_client()))
            stack.push_async_callback(calendars.close)
            payments = _open_payments(settings) if billing else None
            if payments is not None:
                stack.push_async_callback(payments.close)
            yield Parts(
                settings=settings,
                db=db,
                keys=keys,
                cipher=FieldCipher(keys),
                secrets=secrets,
                secret_store=secret_store,
                plugin=shared,
                email=email,
                sms=sms,
                push=push,
                calendars=calendars,
                payments=payments,
                media=stack.enter_context(open_media(settings)) if media else None,
                temporal=await connect_temporal(settings, shared, lazy=True, runtime=runtime),
            )


def _open_payments(settings: Settings) -> "Payments | None":
    """None without a key: billing is off."""
    if settings.stripe_api_key is None:
        return None
    return open_payments(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
