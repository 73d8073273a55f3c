"""A ClamAV daemon, asked over TCP: the whole file is sent, so it may be on another machine.

Whatever is not a clear answer is none: no connection, silence, an error of its own, and a connection that it closes
because the file is above its `StreamMaxLength`. The file waits, and an operator hears of it.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar, cast

from aioclamd import ClamdAsyncClient, ClamdError

from integrations.scanning.protocol import ENCRYPTED, Scanned, ScannerUnavailable, ScanTooSlow, Verdict

_T = TypeVar("_T")
_PIECE: Final = 2**17
# What it reports when it gave up looking; no virus has such a name.
_LIMITS: Final = "Heuristics.Limits.Exceeded"
_TIME: Final = f"{_LIMITS}.MaxScanTime"
_LOCKED: Final = "Heuristics.Encrypted"


class ClamdScanner:
    """`Scanner`. A call is a connection of its own; it needs no event loop and must not run in one."""

    def __init__(self, address: str, seconds: float = 120) -> None:
        host, _, port = address.rpartition(":")
        self._client = ClamdAsyncClient(host, int(port), timeout=seconds)

    @property
    def engine(self) -> str:
        """See `Scanner`."""
        return "clamd"

    def signatures(self) -> str:
        """See `Scanner`. Of `ClamAV 1.4.6/27500/Sun Nov 29 …` the number of the daily database."""
        words = str(_run(self._client.version())).split("/")
        if not words[0].startswith("ClamAV"):
            raise ScannerUnavailable("clamd does not say its version")
        return words[1] if len(words) > 1 else words[0].removeprefix("ClamAV ")

    def scan(self, path: Path) -> Scanned:
        """See `Scanner`."""
        signatures = self.signatures()
        with path.open("rb") as file:
            # aioclamd is untyped where it says BinaryIO and reads only.
            answer: Any = _run(self._client.instream(cast(BinaryIO, _Pieces(file))))
        verdict, name = _meaning(answer)
        return Scanned(verdict, name, self.engine, signatures)


class _Pieces:
    """aioclamd asks for 1 kB at a time, each in a thread: 200 MB would be 200,000 of them. A piece may be larger."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, _: int) -> bytes:
        return self._file.read(_PIECE)


def _meaning(answer: Any) -> tuple[Verdict, str | None]:
    status, name = (answer or {}).get("stream", (None, None))
    if status == "OK":
        return Verdict.CLEAN, None
    if status != "FOUND" or not name:
        raise ScannerUnavailable("clamd gave no verdict")
    if name.startswith(_TIME):
        raise ScanTooSlow("clamd took too long")
    if name.startswith(_LOCKED):
        return Verdict.REFUSED, ENCRYPTED
    return (Verdict.REFUSED if name.startswith(_LIMITS) else Verdict.INFECTED), name


def _run(call: Coroutine[Any, Any, _T]) -> _T:
    try:
        return asyncio.run(call)
    except (ClamdError, ConnectionError, EOFError) as error:
        raise ScannerUnavailable(f"clamd did not answer: {type(error).__name__}") from None
