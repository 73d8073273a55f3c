"""An account's time, which tests move, and what happens at its instants."""

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(order=True, slots=True)
class Timer:
    """Something that happens at an instant, unless it is cancelled before."""

    instant: int
    number: int
    name: str = field(compare=False)
    what: Callable[[], object] = field(compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """It will not happen."""
        self.is_cancelled = True


class Clock:
    """Real time plus an offset, or, frozen, an instant.

    A timer runs at its own instant: while it does, `now()` is that instant, however far the clock is being moved.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: int | None = None
        self._timers: list[Timer] = []
        self._named: dict[str, Timer] = {}
        self._numbers = itertools.count()

    def now(self) -> int:
        """Seconds since the epoch."""
        return int(time.time() + self._offset) if self._frozen is None else self._frozen

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still until it is moved."""
        return self._frozen is not None

    def at(self, instant: int, what: Callable[[], object], name: str = "") -> Timer:
        """`what` happens at an instant, or with the next look at the clock if that has passed. A name that is waiting
        already is replaced; without a name every call is a timer of its own."""
        if name:
            self.cancel(name)
        timer = Timer(instant, next(self._numbers), name, what)
        heapq.heappush(self._timers, timer)
        if name:
            self._named[name] = timer
        return timer

    def cancel(self, name: str) -> None:
        """What waits under this name will not happen; nothing if there is none."""
        if timer := self._named.pop(name, None):
            timer.cancel()

    def is_waiting(self, name: str) -> bool:
        """Whether something will happen under this name."""
        return name in self._named

    def freeze(self) -> None:
        """Stand still."""
        self._frozen = self.now()

    def thaw(self) -> None:
        """Go on from where it stands."""
        if self._frozen is not None:
            self._offset, self._frozen = self._frozen - time.time(), None

    def passing(self, until: int) -> Iterator[int]:
        """Move forward, never back, one timer after the other in their order; yields the instant of each that ran."""
        was_frozen = self.is_frozen
        self.freeze()
        try:
            while (timer := self._due(until)) is not None:
                self._frozen = max(timer.instant, self.now())
                timer.what()
                yield self.now()
            self._frozen = max(until, self.now())
        finally:
            if not was_frozen:
                self._go_on_from(self.now())

    def move(self, until: int) -> None:
        """Move forward at once, with everything that is due on the way."""
        for _ in self.passing(until):
            pass

    def waiting(self) -> list[Timer]:
        """What will happen, in order."""
        return sorted(timer for timer in self._timers if not timer.is_cancelled)

    def _go_on_from(self, instant: int) -> None:
        """Run again, and be at least at an instant. One that has been reached anyway costs no fraction of a second: a
        clock that is looked at ten times a second would stand still."""
        self._frozen = None
        self._offset += max(0, instant - self.now())

    def _due(self, until: int) -> Timer | None:
        while self._timers and self._timers[0].instant <= until:
            timer = heapq.heappop(self._timers)
            if not timer.is_cancelled:
                self._named.pop(timer.name, None)
                return timer
        return None
