"""The floor: bare ASGI and asyncpg doing the SELECT of `GET /pets/{id}`, and nothing else.

No routing, no token, no limit, no decryption, no headers: what remains is the server, the driver and the JSON.
"""

import os
from uuid import UUID

import orjson
import uvicorn

from core.db import API_POOL, connect
from core.settings import Settings
from models.queries import pets


class Pets:
    """The ASGI application; its pool lives as long as the lifespan."""

    def __init__(self, settings: Settings, user_id: UUID) -> None:
        self._pools, self._user_id = connect(settings, API_POOL), user_id

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        """One request; the path's last segment is the id."""
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        row = await pets.find(self._db, self._user_id, UUID(scope["path"].rpartition("/")[2]))
        body = orjson.dumps(dict(row or {}), default=str)
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200 if row else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive, send) -> None:  # type: ignore[no-untyped-def]
        await receive()
        async with self._pools as self._db:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    uvicorn.run(
        Pets(Settings(), UUID(os.environ["BENCH_USER_ID"])),
        port=int(os.environ["BENCH_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
