"""Metrics and traces of one process.

Metrics: modules declare theirs at the top with `REGISTRY`; `/metrics` renders it. The Temporal SDK counts in its own
runtime and serves on `PETFOLIO_WORKER__METRICS_PORT`. Labels are small sets of words, never ids.
Traces: only when `PETFOLIO_OTLP_ENDPOINT` is set; without it `opentelemetry.trace` gives no-op spans.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

REGISTRY = CollectorRegistry(auto_describe=True)
"""Every metric of this process, except those of the Temporal SDK."""

METRICS_CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
"""Buckets for anything that a person or a workflow waits for."""

ProcessCollector(registry=REGISTRY)


def render_metrics() -> bytes:
    """The body of `GET /metrics`, to be served as `METRICS_CONTENT_TYPE`."""
    return generate_latest(REGISTRY)


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how long the block took, also when it raises."""
    started = perf_counter()
    try:
        yield
    finally:
        histogram.observe(perf_counter() - started)


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
