"""How every process of ours speaks to Temporal: one plugin, inherited by clients, workers and replayers alike.

Api and relay connect lazily: they start while Temporal is down, and a lazy client recovers by itself. Workers refuse
lazy clients, so their main retries `connect` with back-off (`connect_when_up`).
"""

import asyncio
import logging
import random
from collections.abc import Sequence

from temporalio import client as temporal_client
from temporalio import worker
from temporalio.client import Client, RPCTimeoutOrCancelledError
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.plugin import SimplePlugin
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

from core.crypto import KeySource
from core.logging import describe, logger
from core.settings import Settings
from temporal.codec import SubjectCodec
from temporal.payloads import SharedPayloadConverter

log = logger(__name__)

Interceptor = temporal_client.Interceptor | worker.Interceptor

AWAY = (RPCError, RPCTimeoutOrCancelledError, RuntimeError, TimeoutError)
"""What a call raises while Temporal is away: a lazy client's first call answers RuntimeError, an update swallows the
cancellation of `asyncio.timeout` and raises its own error (measured, temporal.md §4.1)."""

CALL_SECONDS = 3.0
"""Every call from api and relay happens inside `asyncio.timeout(CALL_SECONDS)`: the SDK retries inside the call, and
its own `rpc_timeout` bounds one attempt only."""

_RECONNECT_SECONDS = (0.5, 15.0)


def data_converter(keys: KeySource, *, readable: bool = False) -> DataConverter:
    """Pydantic JSON, then encryption; messages and stacks of failures are payloads too. `readable`: see the codec."""
    return DataConverter(
        payload_converter_class=SharedPayloadConverter,
        payload_codec=SubjectCodec(keys, readable=readable),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def workflow_runner(*, strict: bool = False) -> SandboxedWorkflowRunner:
    """Production passes all modules through: a worker costs a quarter of the CPU per instance (temporal.md §4.2).

    `strict`, for test workers: the stock sandbox, and an import that was not meant to pass through fails the start.
    """
    if not strict:
        return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_all_modules())
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_import_notification_policy(
            SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
            | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
        )
    )


def plugin(
    keys: KeySource, *, readable: bool = False, strict: bool = False, interceptors: Sequence[Interceptor] = ()
) -> SimplePlugin:
    """Converter, runner and interceptors in one object. `strict` for tests, `readable` for clients that only look."""
    return SimplePlugin(
        "petfolio",
        data_converter=data_converter(keys, readable=readable),
        workflow_runner=workflow_runner(strict=strict),
        interceptors=interceptors,
    )


def runtime(metrics_port: int = 0) -> Runtime:
    """The SDK's threads, once per process and before the first client. Its log joins ours; 0 means no metrics."""
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
            ),
            metrics=PrometheusConfig(bind_address=f"127.0.0.1:{metrics_port}") if metrics_port else None,
        )
    )


async def connect(settings: Settings, client_plugin: SimplePlugin, *, lazy: bool, runtime: Runtime | None) -> Client:
    """A client of our namespace. Lazy: never fails. Otherwise raises RuntimeError while Temporal is away."""
    api_key = settings.temporal_api_key
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=api_key.get_secret_value() if api_key else None,
        tls=settings.temporal_tls,
        plugins=[client_plugin],
        runtime=runtime,
        lazy=lazy,
    )


async def connect_when_up(settings: Settings, client_plugin: SimplePlugin, *, runtime: Runtime | None) -> Client:
    """As `connect` for a worker, which cannot be lazy: waits for Temporal, 0.5 to 15 s between tries, with jitter."""
    delay, longest = _RECONNECT_SECONDS
    while True:
        try:
            return await connect(settings, client_plugin, lazy=False, runtime=runtime)
        except AWAY as error:
            log.warning("temporal_away", retry_in=delay, reason=describe(error))
        await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        delay = min(2 * delay, longest)
