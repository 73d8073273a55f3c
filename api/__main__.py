"""`python -m api`: one HTTP process. SIGTERM: readiness 503 at once, stop accepting after the delay, drain, end."""

import asyncio
import resource
from types import FrameType

import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server

from api.app import create_app
from api.realtime import MESSAGE_BYTES
from core.clock import pin_zone_data
from core.collector import spare_what_lives_on
from core.logging import configure_logging
from core.settings import read_settings

DRAIN_SECONDS = 20


class Server(uvicorn.Server):
    """uvicorn stops accepting on SIGTERM by itself; behind a balancer readiness has to be seen failing first."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, delay: float) -> None:
        super().__init__(config)
        self._app, self._delay = app, delay
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Remember the loop: signal handlers run outside it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]
        spare_what_lives_on()

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Ends as it was asked to: with 0, not by raising the signal once more."""
        await super().shutdown(sockets)  # type: ignore[arg-type]
        self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal closes readiness and, after the delay, the listener; a second one does it at once."""
        again, self._app.state.draining = getattr(self._app.state, "draining", False), True
        self._app.state.realtime.draining = True
        if again or self._delay == 0 or self._loop is None:
            super().handle_exit(sig, frame)
        else:
            stop = super().handle_exit
            self._loop.call_soon_threadsafe(self._loop.call_later, self._delay, stop, sig, frame)


def main() -> None:
    """Read the settings, serve until told to stop."""
    pin_zone_data()
    settings = read_settings()
    configure_logging(settings.log_level, process="api")
    # Each connection is a file; the soft limit of most systems is 1,024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if settings.api.metrics_port:
        start_http_server(settings.api.metrics_port, settings.api.host)
    app = create_app(settings, access_log=settings.log_level in ("debug", "info"))
    config = uvicorn.Config(
        app,
        host=settings.api.host,
        port=settings.api.port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,  # 30 KB a connection, and browsers offer it (local-stack.md §5.3)
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(settings.api.trusted_proxies),
        forwarded_allow_ips=list(settings.api.trusted_proxies),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,  # longer than the idle time of the balancers in front, which must close first
        backlog=2048,
    )
    Server(config, app, settings.api.drain_delay).run()


if __name__ == "__main__":
    main()
