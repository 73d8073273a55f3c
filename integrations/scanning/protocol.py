"""What looks for threats in a file. Adapters: `yara` (rules of ours, in this process), `clamd`, `memory`.

A scanner answers or raises, and only an answer `clean` lets a file through: a scanner that is away, too slow or
confused means waiting, never publishing.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from core.errors import Unavailable

ENCRYPTED: Final = "encrypted"
"""The name that every adapter has for what nobody could look into without a password."""


class Verdict(StrEnum):
    """`infected` has a name and goes into quarantine; `refused` is a kind of file that nobody can vouch for."""

    CLEAN = "clean"
    INFECTED = "infected"
    REFUSED = "refused"


class ScannerUnavailable(Unavailable):
    """There is no verdict. Ask again later; `retry_after` in seconds where the scanner knows."""

    code = "scanner_unavailable"


class ScanTooSlow(ScannerUnavailable):
    """The scanner looked, and did not come to an end in its time: a busy machine, or a file that is made for it.
    Whoever asks may give up on a file that does this again and again."""

    code = "scan_too_slow"


@dataclass(frozen=True, slots=True)
class Scanned:
    """`name` of what was found, None for `clean`. `signatures` is the version of what was looked for: where it is
    another one now, the file deserves another look."""

    verdict: Verdict
    name: str | None
    engine: str
    signatures: str


class Scanner(Protocol):
    """Blocking; a caller with an event loop uses a thread. Raises `ScannerUnavailable` and OSError (the file)."""

    @property
    def engine(self) -> str:
        """Who answers, for people and for `status`."""
        ...

    def signatures(self) -> str:
        """The version of what it looks for now. Raises `ScannerUnavailable`."""
        ...

    def scan(self, path: Path) -> Scanned:
        """Look into the file, within the scanner's time limit."""
        ...
