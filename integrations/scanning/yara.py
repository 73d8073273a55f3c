"""Rules of ours on YARA-X, in this process: threats and kinds of files that a pet's page needs no copy of.

Nothing is unpacked but the objects of a PDF (`pdf.py`), so a zip bomb is a file with a zip's first bytes. Archives and
office documents are refused whole: nobody looked inside.
"""

import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

import yara_x

from integrations.scanning.pdf import REVISION, is_pdf, opened
from integrations.scanning.pdf_syntax import TooComplex
from integrations.scanning.protocol import Scanned, ScannerUnavailable, ScanTooSlow, Verdict

_SOURCES: Final = ("files", "pdf")
_MATCHES: Final = 1000
"""Of one pattern; no rule counts further, and a film made of nothing else has fifty million."""
_Scan = Callable[[yara_x.Scanner], yara_x.ScanResults]


class YaraScanner:
    """`Scanner`. The rules are compiled once, and may be used by many threads."""

    def __init__(self, seconds: int = 30) -> None:
        texts = {name: (files(__package__) / "rules" / f"{name}.yar").read_text() for name in _SOURCES}
        self._rules = {name: yara_x.compile(text) for name, text in texts.items()}
        about = f"{REVISION}\n" + "\n".join(texts.values())
        self._version = hashlib.sha256(about.encode()).hexdigest()[:12]
        self._seconds = seconds

    @property
    def engine(self) -> str:
        """See `Scanner`."""
        return "yara-x"

    def signatures(self) -> str:
        """See `Scanner`. A hash of the rules."""
        return self._version

    def scan(self, path: Path) -> Scanned:
        """See `Scanner`. A threat counts more than a kind that is refused."""
        try:
            found = dict(self._matches(path))
        except yara_x.TimeoutError:
            raise ScanTooSlow("the rules took too long") from None
        except yara_x.ScanError:
            raise ScannerUnavailable("the rules could not be applied") from None
        name = min(found, key=lambda name: (found[name] is not Verdict.INFECTED, name), default=None)
        return Scanned(found[name] if name else Verdict.CLEAN, name, self.engine, self._version)

    def _matches(self, path: Path) -> Iterator[tuple[str, Verdict]]:
        if not path.stat().st_size:  # nothing cannot be mapped
            return
        yield from self._matching("files", lambda scanner: scanner.scan_file(str(path)))
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            if is_pdf(data[:2048]):
                yield from self._in_pdf(data)

    def _in_pdf(self, data: mmap) -> Iterator[tuple[str, Verdict]]:
        try:
            for text in opened(data, self._seconds):
                yield from self._matching("pdf", _whole(text))
        except TooComplex as error:
            yield error.name, Verdict.REFUSED

    def _matching(self, rules: str, scan: _Scan) -> Iterator[tuple[str, Verdict]]:
        # A scanner of its own for each call: one may not be used by two threads.
        scanner = yara_x.Scanner(self._rules[rules])
        scanner.set_timeout(self._seconds)
        scanner.max_matches_per_pattern(_MATCHES)
        for rule in scan(scanner).matching_rules:
            yield rule.identifier, Verdict(rule.tags[0])


def _whole(text: bytes) -> _Scan:
    return lambda scanner: scanner.scan(text)
