"""Several events of a provider that has no call for several."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from integrations.calendar.protocol import EventRejected, Misunderstood, RemoteEvent


async def each_of(
    get: Callable[[str], Awaitable[RemoteEvent | None]], remote_ids: Iterable[str]
) -> Mapping[str, RemoteEvent]:
    """Those that are there and can be read; the adapter bounds how many are asked for at once. One that cannot be read
    is left out, so that it does not hold up the others: `get` says what is wrong with it."""

    async def readable(remote_id: str) -> RemoteEvent | None:
        try:
            return await get(remote_id)
        except (EventRejected, Misunderstood):
            return None

    found = await asyncio.gather(*map(readable, remote_ids))
    return {each.remote_id: each for each in found if each is not None}
