"""A scanner that knows the words it is told: a real backend for tests. `away`: as many calls find nobody there."""

from dataclasses import dataclass, field
from pathlib import Path

from integrations.scanning.protocol import Scanned, ScannerUnavailable, Verdict

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


@dataclass(slots=True)
class MemoryScanner:
    """`Scanner`. `threats` and `refusals`: what is looked for, and its name. `scanned`: the files, in order."""

    threats: dict[bytes, str] = field(default_factory=lambda: {EICAR: "eicar"})
    refusals: dict[bytes, str] = field(default_factory=lambda: {b"PK\x03\x04": "archive"})
    version: str = "1"
    away: int = 0
    scanned: list[Path] = field(default_factory=list)

    @property
    def engine(self) -> str:
        """See `Scanner`."""
        return "memory"

    def signatures(self) -> str:
        """See `Scanner`."""
        self._be_there()
        return self.version

    def scan(self, path: Path) -> Scanned:
        """See `Scanner`."""
        self._be_there()
        content = path.read_bytes()
        self.scanned.append(path)
        for verdict, words in ((Verdict.INFECTED, self.threats), (Verdict.REFUSED, self.refusals)):
            for word, name in words.items():
                if word in content:
                    return Scanned(verdict, name, self.engine, self.version)
        return Scanned(Verdict.CLEAN, None, self.engine, self.version)

    def _be_there(self) -> None:
        if self.away:
            self.away -= 1
            raise ScannerUnavailable("told to be away", retry_after=1)
