"""Several scanners as one: a file is clean when each of them says so."""

from collections.abc import Sequence
from pathlib import Path

from integrations.scanning.protocol import Scanned, Scanner, Verdict

_WORST_FIRST = (Verdict.INFECTED, Verdict.REFUSED, Verdict.CLEAN)


class EveryScanner:
    """`Scanner`. Rules of ours know documents that viruses are not made of, a virus database knows viruses."""

    def __init__(self, scanners: Sequence[Scanner]) -> None:
        self._scanners = scanners

    @property
    def engine(self) -> str:
        """See `Scanner`. All names."""
        return "+".join(scanner.engine for scanner in self._scanners)

    def signatures(self) -> str:
        """See `Scanner`. Changes with any of them."""
        return "+".join(scanner.signatures() for scanner in self._scanners)

    def scan(self, path: Path) -> Scanned:
        """See `Scanner`. The worst answer; a threat needs no second one. One that is away means no verdict."""
        answers: list[Scanned] = []
        for scanner in self._scanners:
            answers.append(scanner.scan(path))
            if answers[-1].verdict is Verdict.INFECTED:
                return answers[-1]
        worst = min(answers, key=lambda answer: _WORST_FIRST.index(answer.verdict))
        signatures = "+".join(answer.signatures for answer in answers)
        return Scanned(worst.verdict, worst.name, self.engine, signatures)
