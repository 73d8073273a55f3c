"""Posts push messages in the background, to this machine only, with retries, and with what tests want to go wrong.

One thread and a bounded queue. What waits when the process ends is lost, as it may be at the vendors.
"""

import heapq
import http.client
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

ATTEMPTS: Final = 6
MOST_WAITING: Final = 10_000
_BATCH_SECONDS: Final = 0.05
_FIRST_PAUSE: Final = 0.2
_RETRIED_BY_GOOGLE: Final = frozenset({500, 502, 503, 504})
Wrong = Literal["drop", "duplicate", "delay", "reorder"]


@dataclass(frozen=True, slots=True)
class Post:
    """One message. `retried`: the statuses after which it is tried again; None: everything but a success."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    retried: frozenset[int] | None
    timeout: float
    attempt: int = 1
    is_wanted: Callable[[], bool] = lambda: True
    """Asked before each attempt: what has ended in between is not told of."""


@dataclass(order=True, slots=True)
class _Job:
    due: float
    number: int
    post: Post = field(compare=False)


@dataclass(slots=True)
class PushRule:
    """What goes wrong with the next `times` messages."""

    what: Wrong
    times: int = 1
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.what not in ("drop", "duplicate", "delay", "reorder") or not 0 <= self.seconds <= 60:
            raise ValueError("what is drop, duplicate, delay or reorder; seconds at most 60")


class Emitter:
    """See the module. `sent` are the last messages with the status of each attempt, for tests that ask."""

    def __init__(self) -> None:
        self._jobs: list[_Job] = []
        self._items: dict[str, list[dict[str, Any]]] = {}
        self._rules: list[PushRule] = []
        self._held: list[Post] = []
        self._flush_at = 0.0
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._open = True
        self.sent: deque[dict[str, Any]] = deque(maxlen=1_000)
        self._thread = threading.Thread(target=self._run, daemon=True, name="calendar-push")
        self._thread.start()

    def close(self) -> None:
        """Send nothing any more."""
        with self._wake:
            self._open = False
            self._wake.notify()
        self._thread.join(1)

    def clear(self) -> None:
        """Forget what waits and what should go wrong."""
        with self._wake:
            for each in (self._jobs, self._items, self._rules, self._held, self.sent):
                each.clear()

    def add(self, rule: PushRule) -> None:
        """The next messages go wrong like this."""
        with self._wake:
            self._rules.append(rule)

    def google(
        self, url: str, headers: Mapping[str, str], body: bytes = b"", is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """A message of a channel; only forged ones have a body."""
        self.post(Post(url, headers, body, _RETRIED_BY_GOOGLE, timeout=10, is_wanted=is_wanted))

    def graph(self, url: str, item: dict[str, Any]) -> None:
        """An item of a subscription; those for the same address travel together."""
        with self._wake:
            if not self._items:
                self._flush_at = time.monotonic() + _BATCH_SECONDS
            waiting = self._items.setdefault(url, [])
            if len(waiting) < MOST_WAITING:
                waiting.append(item)
            self._wake.notify()

    def post(self, post: Post) -> None:
        """A message as it is, unless a rule holds for it."""
        with self._wake:
            self._send(post)
            self._wake.notify()

    def _send(self, post: Post) -> None:
        rule = self._rule()
        what = rule.what if rule else None
        if what == "drop":
            return
        if what == "reorder":
            self._held.append(post)
            return
        self._schedule(post, rule.seconds if rule and what == "delay" else 0.0)
        if what == "duplicate":
            self._schedule(post, 0.0)
        held, self._held = self._held, []
        for each in held:
            self._schedule(each, 0.0)

    def _rule(self) -> PushRule | None:
        if not self._rules:
            return None
        rule = self._rules[0]
        rule.times -= 1
        if rule.times <= 0:
            self._rules.pop(0)
        return rule

    def _schedule(self, post: Post, delay: float) -> None:
        if len(self._jobs) < MOST_WAITING:
            heapq.heappush(self._jobs, _Job(time.monotonic() + delay, next(self._numbers), post))

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wait()
                if not self._open:
                    return
                due = [heapq.heappop(self._jobs) for _ in range(len(self._jobs)) if self._is_due()]
            for job in due:
                self._deliver(job.post)

    def _is_due(self) -> bool:
        return bool(self._jobs) and self._jobs[0].due <= time.monotonic()

    def _wait(self) -> None:
        """Until something is due; items that waited for others to travel with are put together here."""
        while self._open and not self._is_due():
            if self._items and time.monotonic() >= self._flush_at:
                for url, items in self._items.items():
                    self._send(batch(url, items))
                self._items.clear()
                continue
            times = ([self._jobs[0].due] if self._jobs else []) + ([self._flush_at] if self._items else [])
            self._wake.wait(max(0.0, min(times) - time.monotonic()) if times else None)

    def _deliver(self, post: Post) -> None:
        if not self._open or not post.is_wanted():
            return
        status = attempt(post.url, post.headers, post.body, post.timeout)[0]
        self.sent.append({"url": post.url, "status": status, "attempt": post.attempt, "at": time.time()})
        failed = (status is None or not 200 <= status < 300) if post.retried is None else status in post.retried
        if failed and post.attempt < ATTEMPTS:
            with self._wake:
                self._schedule(replace(post, attempt=post.attempt + 1), _FIRST_PAUSE * 2 ** (post.attempt - 1))


def batch(url: str, items: list[dict[str, Any]]) -> Post:
    """One message of Graph with several items."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Post(url, headers, json.dumps({"value": items}).encode(), None, timeout=3)


def attempt(url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> tuple[int | None, str, bytes]:
    """(status, content type, body) of one POST, directly; None where nobody answered in time."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", f"{parts.path}?{parts.query}" if parts.query else parts.path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read(1_000_000)
    except (OSError, http.client.HTTPException):
        return None, "", b""
    finally:
        connection.close()
