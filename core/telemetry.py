"""Metrics and traces of one process.

Metrics: modules declare theirs at the top, in the registry of prometheus_client, which `/metrics` renders; the Temporal
SDK counts by itself and serves on `PETFOLIO_WORKER__METRICS_PORT`. Labels are small sets of words, never ids.
Traces: only when `PETFOLIO_OTLP_ENDPOINT` is set; without it `opentelemetry.trace` gives no-op spans.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
"""Buckets for anything that a person or a workflow waits for."""


@contextmanager
def tracing(service: str, otlp_endpoint: str | None) -> Iterator[bool]:
    """Export spans over OTLP/HTTP while the context is open; answers whether they are. Leaving it flushes.

    `service` names the role: `petfolio-api`, `petfolio-core`.
    """
    if otlp_endpoint is None:
        yield False
        return
    # Not at the top: exporter and protobuf cost every start 0.33 s (measured), and few installations export.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from temporalio.contrib.opentelemetry import create_tracer_provider  # noqa: PLC0415

    provider = create_tracer_provider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    try:
        yield True
    finally:
        provider.shutdown()
