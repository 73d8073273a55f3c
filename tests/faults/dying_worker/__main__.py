"""The worker of media as it is, but that it dies by SIGKILL at one moment of its work: `python -m
tests.faults.dying_worker`.

The moment is a line of its standard input, `put after 3`: after the third time that it stored a rendition; what is
counted are calls of its parts, and commits by their activity. An empty line: it never dies. Everything is imported
before it reads, so that one may wait until it is wanted.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.orm import Session
from temporalio import activity

import workers.process  # noqa: F401 - what `workers` imports only when it begins
from integrations.imaging.confined import ConfinedImaging
from integrations.scanning.every import EveryScanner
from integrations.storage.s3 import S3Storage
from workers.__main__ import main

CALLS: Final = {
    "fetch": S3Storage,
    "scan": EveryScanner,
    "inspect": ConfinedImaging,
    "render": ConfinedImaging,
    "put": S3Storage,
    "delete": S3Storage,
}
"""Parts of the worker whose calls are counted, by the name of the method."""


@dataclass
class Moment:
    """When it dies."""

    what: str
    side: str
    left: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def passes(self, what: str, side: str) -> None:
        """Whoever passes it for the last time does not come back."""
        with self.lock:
            if (what, side) == (self.what, self.side):
                self.left -= 1
                if self.left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)


def watch(moment: Moment) -> None:
    """Have everything that counts pass the moment."""
    for name, owner in CALLS.items():
        setattr(owner, name, watched(name, getattr(owner, name), moment))
    event.listen(Session, "before_commit", lambda _: of_activity(moment, "before"))
    event.listen(Session, "after_commit", lambda _: of_activity(moment, "after"))


def watched(name: str, call: Callable[..., Any], moment: Moment) -> Callable[..., Any]:
    """The call, between its two moments."""

    @wraps(call)
    def between(*arguments: Any, **options: Any) -> Any:
        moment.passes(name, "before")
        answer = call(*arguments, **options)
        moment.passes(name, "after")
        return answer

    return between


def of_activity(moment: Moment, side: str) -> None:
    """A commit, if it is one of an activity's."""
    if activity.in_activity():
        moment.passes(activity.info().activity_type, side)


if __name__ == "__main__":
    if words := sys.stdin.readline().split():
        watch(Moment(words[0], words[1], int(words[2])))
    sys.argv[1:] = ["media"]
    main()
