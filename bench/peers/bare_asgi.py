"""The floor: bare ASGI and asyncpg, with its own pool, doing the SELECT of `GET /pets/{id}`.

No routing, no token, no limit, no decryption, no headers: what remains is the server, the driver and the JSON.
"""

import os
from uuid import UUID

import asyncpg
import orjson
import uvicorn

from core.db import API_POOL
from models.queries import pets


class Pets:
    """The ASGI application; its pool lives as long as the lifespan."""

    def __init__(self, url: str, user_id: UUID) -> None:
        self._url, self._user_id = url, user_id

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        """One request; the path's last segment is the id."""
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        row = await self._pool.fetchrow(pets._ONE, self._user_id, UUID(scope["path"].rpartition("/")[2]))
        body = orjson.dumps(dict(row or {}), default=str)
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200 if row else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive, send) -> None:  # type: ignore[no-untyped-def]
        await receive()
        size = API_POOL.reads
        async with asyncpg.create_pool(self._url, min_size=1, max_size=size, ssl=False, reset=_keep) as self._pool:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _keep(_: asyncpg.Connection) -> None:
    """Without it every read would pay for a second round trip, which resets a session that nobody has changed."""


if __name__ == "__main__":
    uvicorn.run(
        Pets(os.environ["PETFOLIO_DATABASE_URL"], UUID(os.environ["BENCH_USER_ID"])),
        port=int(os.environ["BENCH_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
