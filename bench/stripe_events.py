"""Stripe's events as a stream of requests, each signed when it is sent; `python -m bench.stripe_events` drives with it.

An event is one of the local Stripe server's, word for word but for its id and its customer's. The process is pinned
beside the server's core, as `bench.load`, and prints one JSON object.
"""

import argparse
import hashlib
import hmac
import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop

from bench.load import Load, drip, press

PATH = "/api/v1/webhooks/stripe"
_AGO = 64
"""Events of a stream until one comes again."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What is sent: `events` are the originals, `customers` whom they are about in turn; with `repeated` each comes
    twice."""

    secret: str
    events: Sequence[dict[str, Any]]
    customers: Sequence[str]
    repeated: bool

    def requests(self, place: float) -> Iterator[bytes]:
        """Without end. `place` is between 0 and 1: where among the customers a stream begins."""
        run, sent = uuid4().hex, deque[bytes](maxlen=_AGO)
        begin = int(place * len(self.customers))
        customers = cycle([*self.customers[begin:], *self.customers[:begin]])
        for number, (head, between, tail) in enumerate(cycle(map(_split, self.events))):
            body = b"%bevt_%b%d%b%b%b" % (head, run.encode(), number, between, next(customers).encode(), tail)
            yield signed(self.secret, body)
            if self.repeated:
                sent.append(body)
                yield signed(self.secret, sent[0])


def _split(event: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    """The text of an event around its id and around its customer's, which comes once and later."""
    head, _, rest = json.dumps(event, indent=2).encode().partition(event["id"].encode())
    between, _, tail = rest.partition(event["data"]["object"]["customer"].encode())
    return head, between, tail


def signed(secret: str, body: bytes) -> bytes:
    """The request that brings it, as a client without a library sends it."""
    stamp = b"%d" % time.time()
    signature = hmac.new(secret.encode(), b"%b.%b" % (stamp, body), hashlib.sha256).hexdigest().encode()
    return (
        b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json; charset=utf-8\r\n"
        b"Stripe-Signature: t=%b,v1=%b\r\nContent-Length: %d\r\n\r\n%b"
    ) % (PATH.encode(), stamp, signature, len(body), body)


def main() -> None:
    """The secret comes in the environment: an argument list is public. `cast` is a file with events and customers."""
    parser = argparse.ArgumentParser(prog="python -m bench.stripe_events", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("cast", type=Path)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument(
        "--rate", type=float, default=0, help="a second, whatever is answered; 0: as fast as it answers"
    )
    parser.add_argument("--repeated", action="store_true")
    print(json.dumps(asdict(uvloop.run(_drive(parser.parse_args())))))


async def _drive(options: argparse.Namespace) -> Load:
    stream = Stream(os.environ["BENCH_SECRET"], **json.loads(options.cast.read_text()), repeated=options.repeated)
    requests = [stream.requests(place / options.connections) for place in range(options.connections)]
    if options.rate:
        return await drip(options.url, requests, options.seconds, options.rate)
    return await press(options.url, requests, options.seconds)


if __name__ == "__main__":
    main()
