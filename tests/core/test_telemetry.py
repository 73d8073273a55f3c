"""Spans leave the process when, and only when, somebody is named who takes them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from subprocess import run
from sys import executable

import pytest

_SCRIPT = """
import sys
from core.telemetry import tracing
from opentelemetry import trace
with tracing("petfolio-core", sys.argv[1] or None) as traced:
    with trace.get_tracer("test").start_as_current_span("plan_reminder") as span:
        print(traced, span.get_span_context().is_valid)
"""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An OTLP collector: its address and what it got."""
    taken: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    server.server_close()


def test_spans_are_exported_and_flushed_on_the_way_out(collector: tuple[str, list[tuple[str, bytes]]]) -> None:
    address, taken = collector
    done = run([executable, "-c", _SCRIPT, address], capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == [b"True", b"True"]
    ((path, body),) = taken
    assert path == "/v1/traces"
    assert b"plan_reminder" in body
    assert b"petfolio-core" in body


def test_without_a_collector_spans_cost_and_say_nothing() -> None:
    done = run([executable, "-c", _SCRIPT, ""], capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == [b"False", b"False"]
