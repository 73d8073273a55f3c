"""Bench 4: people who only listen. Socket.IO connections of one process, beside the npm server `socket.io`.

Each is a person of their own, let in by an access token, over a WebSocket. Memory is counted from a warm server to all
of them connected and quiet. A broadcast is one word to all, timed until the last of them has it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from uuid import uuid4

import httpx
import socketio
from websockets.asyncio.client import ClientConnection, connect

from api.auth import session_key
from api.tokens import Tokens
from bench.platform import Platform
from bench.processes import ROOT, memory_bytes, python, serving
from core import live
from core.redis import Redis
from infra.node import install, node
from integrations.keys.factory import open_keys
from integrations.keys.secrets import load_secrets
from tests.stack import until

PEER = ROOT / "bench/peers/socket-io"
PETFOLIO, NPM = "petfolio", "npm socket.io"
_AT_ONCE = 50
_WARM, _BROADCASTS = 200, 5
_QUIET_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Listening:
    """One server with all its connections. Times in seconds."""

    name: str
    count: int
    per_second: float
    kb_each: float
    broadcast: float


class Listener:
    """One client: answers the server's pings and notes when it last heard a word."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.heard = 0.0
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for packet in self._connection:
            if packet == "2":  # Engine.IO's ping
                await self._connection.send("3")
            elif isinstance(packet, str) and live.RESET in packet:
                self.heard = time.perf_counter()


async def run(on: Platform, count: int) -> list[Listening]:
    """One after the other, on the servers' core."""
    tokens = await _people(on, count)
    port = int(on.env["PETFOLIO_API__PORT"]) + 90
    install(PEER)
    env = on.env | {"PETFOLIO_API__PORT": str(port), "BENCH_PORT": str(port + 1), "NODE_ENV": "production"}
    speaker = socketio.AsyncRedisManager(on.env["PETFOLIO_REDIS_URL"], channel=live.CHANNEL, write_only=True)

    async def say() -> None:
        await speaker.emit(live.RESET, {})

    async def post() -> None:
        async with httpx.AsyncClient() as client:
            await client.post(f"http://127.0.0.1:{port + 1}")

    ours = f"http://127.0.0.1:{port}/healthz"
    with serving(python("api"), env, ours, "") as pid:
        first = await _measure(PETFOLIO, pid, port, tokens, say)
    with serving([node(), "server.mjs"], env, f"http://127.0.0.1:{port + 1}", "", PEER) as pid:
        return [first, await _measure(NPM, pid, port + 1, tokens, post)]


async def _people(on: Platform, count: int) -> list[str]:
    """Access tokens of people who signed in a moment ago: Redis knows their sessions."""
    secrets = await load_secrets(open_keys(on.settings)[1])
    issuer, redis = Tokens(on.settings.auth, secrets.signing), Redis(on.env["PETFOLIO_REDIS_URL"], call_seconds=5)
    tokens = []
    try:
        for _ in range(count):
            user_id, session_id = uuid4(), uuid4()
            await redis.call("SET", session_key(user_id, session_id), "ok", "EX", 3600)
            tokens.append(issuer.mint(user_id, session_id, datetime.now(UTC), ["pwd"]))
    finally:
        await redis.close()
    return tokens


async def _measure(
    name: str, pid: int, port: int, tokens: Sequence[str], say: Callable[[], Awaitable[None]]
) -> Listening:
    async with _listening(port, tokens[:_WARM]):
        pass
    before, started = memory_bytes(pid), time.perf_counter()
    async with _listening(port, tokens) as listeners:
        took = time.perf_counter() - started
        await asyncio.sleep(_QUIET_SECONDS)
        grown = memory_bytes(pid) - before
        seconds = [await _broadcast(listeners, say) for _ in range(_BROADCASTS)]
    return Listening(name, len(tokens), len(tokens) / took, grown / len(tokens) / 1000, median(seconds))


@asynccontextmanager
async def _listening(port: int, tokens: Sequence[str]) -> AsyncIterator[list[Listener]]:
    url, slots = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket", asyncio.Semaphore(_AT_ONCE)
    async with AsyncExitStack() as stack:

        async def join(token: str) -> Listener:
            async with slots:
                connection = await stack.enter_async_context(
                    connect(url, compression=None, ping_interval=None, close_timeout=0.1, proxy=None)
                )
                await connection.send(f'40{{"token":"{token}"}}')
                while live.READY not in (packet := str(await connection.recv())):
                    if packet.startswith("44"):
                        raise SystemExit(f"not let in: {packet}")
                return Listener(connection)

        listeners = await asyncio.gather(*(join(token) for token in tokens))
        try:
            yield listeners
        finally:
            for listener in listeners:
                listener.reading.cancel()


async def _broadcast(listeners: Sequence[Listener], say: Callable[[], Awaitable[None]]) -> float:
    """Seconds from the word to the last who heard it."""
    said = time.perf_counter()
    await say()

    def all_heard() -> bool:
        return all(listener.heard > said for listener in listeners)

    await until(all_heard, within=30, what="everybody heard it")
    return max(listener.heard for listener in listeners) - said
