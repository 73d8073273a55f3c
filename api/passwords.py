"""Argon2id in a bounded pool of threads: hashing never runs on the event loop and never queues without end (§2.4)."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from core.errors import Unavailable

_T = TypeVar("_T")


class HashingBusy(Unavailable):
    """503: every worker is hashing and the queue is full (about a second of work)."""

    code = "hashing_busy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`outdated`: the hash was made with other parameters and is to be made anew."""

    matches: bool
    outdated: bool = False


@dataclass(slots=True)
class Place:
    """In the queue, once."""

    taken: bool = False


class Passwords:
    """19 MiB, two passes, one lane (OWASP): 24 ms of one core. Passwords come in normalised."""

    def __init__(self, *, workers: int, queue: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
        )
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._capacity, self._busy = workers + queue, 0
        self._dummy = self._hasher.hash("what is compared where there is no account")

    async def hash(self, password: str) -> str:
        """The hash to store. Raises `HashingBusy`."""
        return await self.in_pool(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str, place: "Place | None" = None) -> Verdict:
        """Compare with `stored`; None (no account) takes as long and never matches. Raises `HashingBusy` without a
        place."""
        return await self.in_pool(lambda: self._verify(stored, password), place)

    async def in_pool(self, work: Callable[[], _T], place: "Place | None" = None) -> _T:
        """Run CPU work of a few milliseconds off the event loop, in the same queue. Raises `HashingBusy` without a
        place."""
        if place is None:
            self._enter()
        else:
            place.taken = True
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work)
        # Counted until the thread is done: a caller who went away still occupies it.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await asyncio.wrap_future(future)

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """A place in the queue, held before an attempt is counted: nobody is charged for one that nobody looked at.
        Raises `HashingBusy`."""
        self._enter()
        place = Place()
        try:
            yield place
        finally:
            if not place.taken:
                self._leave()

    def close(self) -> None:
        """Let running hashes finish, drop the queue."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> Verdict:
        try:
            self._hasher.verify(stored or self._dummy, password)
        except (Argon2Error, InvalidHashError):
            return Verdict(False)
        return Verdict(stored is not None, stored is not None and self._hasher.check_needs_rehash(stored))

    def _enter(self) -> None:
        if self._busy >= self._capacity:
            raise HashingBusy("Too many people are signing in at this moment.", retry_after=1)
        self._busy += 1

    def _leave(self) -> None:
        self._busy -= 1
