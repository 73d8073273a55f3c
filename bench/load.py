"""`python -m bench.load`: keep-alive GETs as fast as they are answered, on connections that never wait for each other.

A process of its own, pinned beside the server's core; `press` does the same with any requests. One C parser per
connection and no client library: the driver must not be what is measured. Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import quantiles
from urllib.parse import urlsplit

import httptools
import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. Latencies in milliseconds."""

    requests: int
    errors: int
    seconds: float
    p50: float
    p99: float


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is complete, until `deadline`."""

    def __init__(self, request: bytes, deadline: float) -> None:
        self.request, self.deadline = request, deadline
        self.latencies: list[float] = []
        self.errors = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.parser = httptools.HttpResponseParser(self)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls `on_message_complete`."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """One answer is here."""
        self.latencies.append(time.perf_counter() - self.sent_at)
        self.errors += self.parser.get_status_code() != 200
        if time.perf_counter() < self.deadline:
            self.parser = httptools.HttpResponseParser(self)
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """At the end, or because the server closed."""
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(self.request)


async def run(url: str, token: str, connections: int, seconds: float) -> Load:
    """GET `url` over that many connections for that long."""
    place = urlsplit(url)
    head = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    return await press(url, [head] * connections, seconds)


async def press(url: str, requests: Sequence[bytes], seconds: float) -> Load:
    """Send each request over a connection of its own, again and again, for that long."""
    place, loop, began = urlsplit(url), asyncio.get_running_loop(), time.perf_counter()
    opened = [
        await loop.create_connection(
            partial(Connection, request, began + seconds), place.hostname or "localhost", place.port or 80
        )
        for request in requests
    ]
    await asyncio.gather(*(connection.done for _, connection in opened))
    took = time.perf_counter() - began
    latencies = sorted(each * 1000 for _, connection in opened for each in connection.latencies)
    cuts = quantiles(latencies, n=100)
    return Load(len(latencies), sum(connection.errors for _, connection in opened), took, cuts[49], cuts[98])


def main() -> None:
    """The token comes in the environment: an argument list is public."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    token = os.environ.get("BENCH_TOKEN", "")
    print(json.dumps(asdict(uvloop.run(run(options.url, token, options.connections, options.seconds)))))


if __name__ == "__main__":
    main()
