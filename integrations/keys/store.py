"""The key store: unwrapped data keys, for field encryption and for the payloads of workflows.

Keys come into being in one place, `create`, called by registration and by making a household, and committed before the
first row that needs them. Nothing here makes a key because one is missing: that would bring back the key of an erased
person when a late workflow writes its last event (temporal.md §4.3).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from core.crypto import DataKey, Subject, SubjectErased, WrappedKey
from core.errors import Conflict, Unavailable
from integrations.keys.protocols import KeyProvider


class KeyMissing(Unavailable):
    """No row for a key that should have one: not proof of erasure, so whoever asked may ask again."""

    code = "key_missing"


class KeyExists(Conflict):
    """The subject has a key already; another would leave what the first protects unreadable to its readers."""

    code = "key_exists"


class KeyRows(Protocol):
    """The `user_keys` table, behind a connection of its own. Rows of destroyed keys are answered too."""

    async def newest(self, subject: Subject) -> WrappedKey | None:
        """The row with the highest version."""
        ...

    async def find(self, kid: str) -> WrappedKey | None:
        """The row a ciphertext names."""
        ...

    async def insert(self, key: WrappedKey) -> bool:
        """Commit a new row; False when the subject has one of this version already, or its former one is destroyed."""
        ...


class KeyStore:
    """Implements `core.crypto.KeySource`. Answers from memory for at most `cache_seconds`, the newest `size` keys.

    `SubjectErased` is raised for a row marked destroyed and for nothing else; it is never remembered, and neither is
    any failure.
    """

    def __init__(
        self,
        provider: KeyProvider,
        rows: KeyRows,
        *,
        cache_seconds: float = 300,
        size: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider, self._rows = provider, rows
        self._cache_seconds, self._size, self._clock = cache_seconds, size, clock
        # One cache for both questions: a kid (`user:0190…:1`) never looks like a subject (`user:0190…`).
        self._known: OrderedDict[str, tuple[float, DataKey]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[DataKey]] = {}

    async def current(self, subject: Subject) -> DataKey:
        """See `KeySource`. Raises `SubjectErased`, `KeyMissing`, and the provider's errors."""
        name = str(subject)
        return self._remembered(name) or await self._once(name, lambda: self._rows.newest(subject))

    async def by_kid(self, kid: str) -> DataKey:
        """See `KeySource`. Raises as `current`."""
        return self._remembered(kid) or await self._once(kid, lambda: self._rows.find(kid))

    async def create(self, subject: Subject) -> None:
        """Make and commit the first key of a new subject. Raises `KeyExists`."""
        kid = f"{subject}:1"
        fresh = await self._provider.generate_data_key(_context(kid))
        if not await self._rows.insert(WrappedKey(kid, subject, 1, fresh.wrapped, fresh.kek_id)):
            raise KeyExists(f"{subject.kind} has a key")

    async def renew(self, newest: WrappedKey) -> None:
        """Make and commit the successor of an owner's newest key; nothing when another was quicker, or the owner was
        erased meanwhile. What the former ones sealed still opens."""
        version = newest.version + 1
        kid = f"{newest.subject}:{version}"
        fresh = await self._provider.generate_data_key(_context(kid))
        await self._rows.insert(WrappedKey(kid, newest.subject, version, fresh.wrapped, fresh.kek_id))

    async def master_key(self) -> str:
        """The master key that wraps now, as `kek_id` names it."""
        _, kek_id = await self._provider.wrap(bytes(32), _context("probe"))
        return kek_id

    async def rewrapped(self, key: WrappedKey) -> WrappedKey:
        """The same data key under the present master key. Raises the provider's errors."""
        if key.wrapped is None:
            raise SubjectErased("the key was destroyed")
        context = _context(key.kid)
        wrapped, kek_id = await self._provider.wrap(await self._provider.unwrap(key.wrapped, context), context)
        return replace(key, wrapped=wrapped, kek_id=kek_id)

    def forget(self, subject: Subject) -> None:
        """Drop what is in memory of a subject, at once; other processes follow within `cache_seconds`."""
        name = str(subject)
        for known in [known for known in self._known if known == name or known.startswith(f"{name}:")]:
            del self._known[known]

    def _remembered(self, name: str) -> DataKey | None:
        entry = self._known.get(name)
        if entry is None or entry[0] <= self._clock():
            return None
        self._known.move_to_end(name)
        return entry[1]

    async def _once(self, name: str, load: Callable[[], Awaitable[WrappedKey | None]]) -> DataKey:
        """Many callers may need a key in the same instant (a household's reminders at 08:00): the keeper is asked once.

        Shielded, because the caller who came first may be cancelled while others wait.
        """
        task = self._asked.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._load(name, load))
            self._asked[name] = task
            task.add_done_callback(lambda done: self._answered(name, done))
        return await asyncio.shield(task)

    def _answered(self, name: str, task: asyncio.Task[DataKey]) -> None:
        del self._asked[name]
        if not task.cancelled():
            task.exception()  # everybody who waited may be gone: asyncio would report an error nobody took

    async def _load(self, name: str, load: Callable[[], Awaitable[WrappedKey | None]]) -> DataKey:
        until = self._clock() + self._cache_seconds  # from before the read: a key destroyed meanwhile is not older
        row = await load()
        if row is None:
            raise KeyMissing(f"no key for {name}")
        if row.destroyed or row.wrapped is None:
            raise SubjectErased("the key was destroyed")
        key = DataKey(row.kid, await self._provider.unwrap(row.wrapped, _context(row.kid)))
        self._known[name] = (until, key)
        self._known.move_to_end(name)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return key


def _context(kid: str) -> dict[str, str]:
    return {"kid": kid, "purpose": "petfolio-data-key"}
