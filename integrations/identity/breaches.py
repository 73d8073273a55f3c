"""Passwords that were stolen elsewhere: a file of the operator's, and the range API of Have I Been Pwned. Both are off
until a setting names them.

The file is what HIBP's own downloader writes, or any part of it: lines that begin with the SHA-1 of a password in
upper-case hexadecimal, in ascending order. It is mapped and searched in place, so 40 GB cost no memory of ours. The API
learns five of forty digits (k-anonymity), and its answers are padded so that their size tells nothing.
"""

import asyncio
import hashlib
import mmap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from core.settings import PasswordSettings

_DIGITS: Final = 40
_PREFIX: Final = 5
_SAMPLES: Final = 1_000
_ANSWER_BYTES: Final = 1 << 20
_CALL_SECONDS: Final = 2.0
_TIMEOUT: Final = httpx.Timeout(_CALL_SECONDS, connect=1)


class BreachesUnavailable(Exception):
    """The API gave no usable answer: nothing is known of the password."""


class BreachFileInvalid(RuntimeError):
    """The process must not start: a file in another form or order would find nothing and nobody would notice."""


class Breaches:
    """What is known of stolen passwords."""

    def __init__(self, file: "BreachFile | None" = None, api: "RangeApi | None" = None) -> None:
        self._file, self._api = file, api

    def in_file(self, password: str) -> bool:
        """Whether the operator's file has it. Reads the disk: run in a thread."""
        return self._file is not None and _sha1(password) in self._file

    async def in_api(self, password: str) -> bool:
        """Whether HIBP knows it. Raises `BreachesUnavailable`."""
        return self._api is not None and await self._api.has(_sha1(password))


@asynccontextmanager
async def open_breaches(settings: PasswordSettings) -> AsyncIterator[Breaches]:
    """As the settings say. Raises `BreachFileInvalid`, and OSError where the file is not there."""
    file = BreachFile(settings.breached_file) if settings.breached_file else None
    async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as http:
        yield Breaches(file, RangeApi(settings.breached_api, http) if settings.breached_api else None)


class BreachFile:
    """Sorted lines, searched by halves."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise BreachFileInvalid(f"{path} is empty")
            self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._check_order(path)

    def __contains__(self, sha1: str) -> bool:
        """Whether a line begins with these forty digits."""
        wanted, low, high = sha1.encode(), 0, len(self._lines)
        while low < high:  # the first line at or after `low` that is not below the wanted one
            start, end = self._line_around((low + high) // 2)
            if self._lines[start : start + _DIGITS] < wanted:
                low = end
            else:
                high = start
        return self._lines[low : low + _DIGITS] == wanted

    def _line_around(self, offset: int) -> tuple[int, int]:
        """Where the line that holds this byte begins and where the next one does."""
        end = self._lines.find(b"\n", offset) + 1
        return self._lines.rfind(b"\n", 0, offset) + 1, end or len(self._lines)

    def _check_order(self, path: Path) -> None:
        """A thousand places tell a list in another form or order; reading all of it would take minutes."""
        before = b""
        for sample in range(_SAMPLES):
            start, end = self._line_around(len(self._lines) * sample // _SAMPLES)
            digits, rest = self._lines[start : start + _DIGITS], self._lines[start + _DIGITS : end].strip()
            formed = len(digits) == _DIGITS and not digits.strip(b"0123456789ABCDEF") and rest[:1] in (b"", b":")
            if not formed or digits < before:
                raise BreachFileInvalid(f"{path} is no ascending list of SHA-1 in upper-case hexadecimal: byte {start}")
            before = digits


class RangeApi:
    """`GET {base}/range/{five digits}`."""

    def __init__(self, base: str, http: httpx.AsyncClient) -> None:
        self._base, self._http = base.rstrip("/"), http

    async def has(self, sha1: str) -> bool:
        """Whether it knows the hash. Raises `BreachesUnavailable`, after two seconds at the latest."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                listed = await self._range(sha1[:_PREFIX])
        except (httpx.HTTPError, TimeoutError) as error:
            raise BreachesUnavailable(type(error).__name__) from None
        entries = (line.strip().partition(":") for line in listed.splitlines())
        # Padding has a count of zero.
        return any(suffix.upper() == sha1[_PREFIX:] and count not in ("", "0") for suffix, _, count in entries)

    async def _range(self, prefix: str) -> str:
        url, headers = f"{self._base}/range/{prefix}", {"Add-Padding": "true"}
        async with self._http.stream("GET", url, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                raise BreachesUnavailable(f"status {response.status_code}")
            answer = b""
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > _ANSWER_BYTES:
                    raise BreachesUnavailable("an answer of another shape")
        return answer.decode("ascii", "replace")


def _sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
