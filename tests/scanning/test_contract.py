"""One suite for every scanner: rules of ours, clamd's protocol over a socket (and clamd itself where this machine has
it), several as one, and the one in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations.scanning.clamd import ClamdScanner
from integrations.scanning.every import EveryScanner
from integrations.scanning.memory import EICAR, MemoryScanner
from integrations.scanning.protocol import Scanner, Verdict
from integrations.scanning.yara import YaraScanner
from tests.scanning.clamd_server import REAL, clamd_protocol, real_clamd
from tests.scanning.samples import film, jpeg

KINDS = ("memory", "yara", "clamd protocol", "every", "clamd itself")


@pytest.fixture(params=KINDS)
def scanner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scanner]:
    match request.param:
        case "memory":
            yield MemoryScanner()
        case "yara":
            yield YaraScanner()
        case "clamd itself":
            if REAL is None:
                pytest.skip("clamd is not on PATH")
            with real_clamd(tmp_path / "clamd") as address:
                yield ClamdScanner(address)
        case kind:
            with clamd_protocol() as server:
                clamd = ClamdScanner(server.address)
                yield clamd if kind == "clamd protocol" else EveryScanner([YaraScanner(), clamd])


@pytest.mark.parametrize("content", [EICAR, jpeg() + EICAR, film(size=300_000) + EICAR], ids=["raw", "jpeg", "film"])
def test_a_threat_is_named(scanner: Scanner, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(content)
    found = scanner.scan(tmp_path / "it")
    assert found.verdict is Verdict.INFECTED
    assert found.name
    assert "eicar" in found.name.lower()
    assert found.engine in scanner.engine
    assert found.signatures


@pytest.mark.parametrize("content", [jpeg(), film(size=1_000_000)], ids=["photo", "film"])
def test_a_clean_file_is_clean_and_says_who_looked_and_for_what(
    scanner: Scanner, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "it").write_bytes(content)
    found = scanner.scan(tmp_path / "it")
    assert (found.verdict, found.name) == (Verdict.CLEAN, None)
    assert (found.engine, found.signatures) == (scanner.engine, scanner.signatures())


def test_the_same_file_has_the_same_verdict_again(scanner: Scanner, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(jpeg() + EICAR)
    assert scanner.scan(tmp_path / "it") == scanner.scan(tmp_path / "it")


def test_a_file_that_is_not_there_is_no_verdict(scanner: Scanner, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scanner.scan(tmp_path / "nothing")
