"""`python -m bench.load`: keep-alive GETs as fast as they are answered, on connections that never wait for each other.

A process of its own, pinned beside the server's core; `press` does the same with any requests, and `drip` sends them by
the clock. One C parser per connection and no client library: the driver must not be what is measured. Prints one JSON
object.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
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
    p95: float
    p99: float


class Connection(asyncio.Protocol):
    """Sends the next of its requests when the answer to the last one is complete, until `deadline` or the last.

    With a `gap` they fall due so many seconds apart, whatever the server does: one whose turn has passed goes out as
    soon as it can, and its latency counts from when it was due.
    """

    def __init__(self, requests: Iterator[bytes], due: float, deadline: float, gap: float = 0.0) -> None:
        self.requests, self.due, self.deadline, self.gap = requests, due, deadline, gap
        self.latencies: list[float] = []
        self.errors = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._when_due()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls `on_message_complete`."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """One answer is here."""
        now = time.perf_counter()
        self.latencies.append(now - self.due)
        self.errors += self.parser.get_status_code() != 200
        self.due = self.due + self.gap if self.gap else now
        if self.due < self.deadline:
            self._when_due()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """At the end, or because the server closed."""
        if not self.done.done():
            self.done.set_result(None)

    def _when_due(self) -> None:
        wait = self.due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        request = next(self.requests, None)
        if request is None:
            return self.transport.close()
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(request)


async def run(url: str, token: str, connections: int, seconds: float, per_second: float = 0) -> Load:
    """GET `url` over that many connections for that long; so many a second, where that is named."""
    place = urlsplit(url)
    head = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    requests = [repeat(head) for _ in range(connections)]
    return await (drip(url, requests, seconds, per_second) if per_second else press(url, requests, seconds))


async def press(url: str, requests: Sequence[Iterator[bytes]], seconds: float) -> Load:
    """Send each stream of requests over a connection of its own, as fast as they are answered, for that long."""
    now = time.perf_counter()
    return await _send(url, [Connection(each, now, now + seconds) for each in requests])


async def drip(url: str, requests: Sequence[Iterator[bytes]], seconds: float, per_second: float) -> Load:
    """Send so many a second for that long, evenly, whether or not the former ones are answered: the streams take
    turns, and should be many enough for none to be waited for."""
    now, every = time.perf_counter(), 1 / per_second
    gap = len(requests) * every
    return await _send(
        url, [Connection(each, now + place * every, now + seconds, gap) for place, each in enumerate(requests)]
    )


async def _send(url: str, connections: Sequence[Connection]) -> Load:
    place, loop, began = urlsplit(url), asyncio.get_running_loop(), time.perf_counter()
    for each in connections:
        await loop.create_connection(lambda each=each: each, place.hostname or "localhost", place.port or 80)
    await asyncio.gather(*(each.done for each in connections))
    took = time.perf_counter() - began
    latencies = sorted(latency * 1000 for each in connections for latency in each.latencies)
    cuts = quantiles(latencies, n=100)
    return Load(len(latencies), sum(each.errors for each in connections), took, cuts[49], cuts[94], cuts[98])


def main() -> None:
    """The token comes in the environment: an argument list is public."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=0, help="a second, whatever is answered")
    options = parser.parse_args()
    token = os.environ.get("BENCH_TOKEN", "")
    load = uvloop.run(run(options.url, token, options.connections, options.seconds, options.rate))
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
