"""The server's time, which tests move."""

import time
from datetime import UTC, datetime


class Clock:
    """Real time plus an offset."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> datetime:
        """Aware, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        """Since the epoch."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """It is that much later."""
        self._offset += seconds

    def set(self, instant: datetime) -> None:
        """It is this instant now."""
        self._offset = instant.timestamp() - time.time()

    def reset(self) -> None:
        """The real time again."""
        self._offset = 0.0


def stamp(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as both vendors write `updated`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
