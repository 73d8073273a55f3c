"""Whatever clamd gets wrong is no verdict: a file is published on a clear word only."""

import asyncio
from pathlib import Path

import pytest

from core.settings import Settings
from integrations.scanning.clamd import ClamdScanner
from integrations.scanning.every import EveryScanner
from integrations.scanning.factory import ScanningMisconfigured, open_scanner
from integrations.scanning.memory import EICAR, MemoryScanner
from integrations.scanning.protocol import ScannerUnavailable, ScanTooSlow, Verdict
from integrations.scanning.yara import YaraScanner
from tests.scanning.clamd_server import REAL, Answer, clamd_protocol, closes, is_silent, real_clamd, resets, says
from tests.scanning.pdfs import JAVASCRIPTS
from tests.scanning.samples import jpeg, noise


def a_file(tmp_path: Path, content: bytes = b"a photo") -> Path:
    (tmp_path / "it").write_bytes(content)
    return tmp_path / "it"


@pytest.mark.parametrize(
    "misbehave",
    [
        closes,
        resets,
        is_silent,
        says(b""),
        says(b"\n"),
        says(b"stream: \n"),
        says(b"stream: FOUND\n"),
        says(b"stream: Can't allocate memory ERROR\n"),
        says(b"INSTREAM size limit exceeded. ERROR\n"),
        says(b"another: OK\n"),
        says(b"OK\n"),
        says(b"\xff\xfe\n"),
        says(b"x" * 100_000),
        says(b"stream: OK\nstream: Something FOUND\n"),
    ],
)
def test_no_clear_word_is_no_verdict(misbehave: Answer, tmp_path: Path) -> None:
    with clamd_protocol() as server:
        server.misbehave = misbehave
        with pytest.raises(ScannerUnavailable):
            ClamdScanner(server.address, seconds=1).scan(a_file(tmp_path))


def test_nobody_there_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(ScannerUnavailable):
        ClamdScanner("127.0.0.1:1").scan(a_file(tmp_path))
    with pytest.raises(ScannerUnavailable):
        ClamdScanner("127.0.0.1:1").signatures()


def test_a_server_that_is_not_clamd_is_no_verdict(tmp_path: Path) -> None:
    with clamd_protocol() as server:
        server.version = b"SSH-2.0-OpenSSH_9.2\n"
        with pytest.raises(ScannerUnavailable):
            ClamdScanner(server.address).scan(a_file(tmp_path))


def test_a_file_above_clamds_limit_waits(tmp_path: Path) -> None:
    with clamd_protocol(limit=1_000_000) as server:
        with pytest.raises(ScannerUnavailable):
            ClamdScanner(server.address).scan(a_file(tmp_path, noise(8_000_000)))
        assert ClamdScanner(server.address).scan(a_file(tmp_path, noise(900_000))).verdict is Verdict.CLEAN


@pytest.mark.skipif(REAL is None, reason="clamd is not on PATH")
def test_a_file_above_the_limit_of_clamd_itself_waits(tmp_path: Path) -> None:
    with real_clamd(tmp_path / "clamd", limit="1M") as address:
        with pytest.raises(ScannerUnavailable):
            ClamdScanner(address).scan(a_file(tmp_path, noise(8_000_000)))
        assert ClamdScanner(address).scan(a_file(tmp_path, noise(900_000))).verdict is Verdict.CLEAN


def test_the_whole_file_is_sent_in_large_pieces(tmp_path: Path) -> None:
    with clamd_protocol() as server:
        ClamdScanner(server.address).scan(a_file(tmp_path, noise(5_000_001)))
        assert server.received == [5_000_001]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Heuristics.Encrypted.PDF", "encrypted"),
        ("Heuristics.Limits.Exceeded.MaxScanSize", "Heuristics.Limits.Exceeded.MaxScanSize"),
    ],
)
def test_what_clamd_could_not_look_into_is_refused_and_not_called_a_virus(said: str, name: str, tmp_path: Path) -> None:
    with clamd_protocol() as server:
        server.misbehave = says(f"stream: {said} FOUND\n".encode())
        found = ClamdScanner(server.address).scan(a_file(tmp_path))
        assert (found.verdict, found.name) == (Verdict.REFUSED, name)


def test_a_clamd_that_is_too_busy_gives_no_verdict(tmp_path: Path) -> None:
    with clamd_protocol() as server:
        server.misbehave = says(b"stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND\n")
        with pytest.raises(ScanTooSlow):
            ClamdScanner(server.address).scan(a_file(tmp_path))


def test_the_signatures_are_those_of_the_daily_database(tmp_path: Path) -> None:
    with clamd_protocol() as server:
        assert ClamdScanner(server.address).scan(a_file(tmp_path)).signatures == "27500"
        server.version = b"ClamAV 1.4.6\n"
        assert ClamdScanner(server.address).signatures() == "1.4.6"


async def test_it_may_be_asked_from_a_thread_beside_a_loop(tmp_path: Path) -> None:
    with clamd_protocol() as server:
        scanner, path = ClamdScanner(server.address), a_file(tmp_path, jpeg())
        found = await asyncio.gather(*(asyncio.to_thread(scanner.scan, path) for _ in range(8)))
    assert {each.verdict for each in found} == {Verdict.CLEAN}


def test_of_several_scanners_each_must_agree(tmp_path: Path) -> None:
    with clamd_protocol() as server:
        both = EveryScanner([YaraScanner(), ClamdScanner(server.address)])
        assert both.engine == "yara-x+clamd"
        assert both.scan(a_file(tmp_path, JAVASCRIPTS["on opening"])).verdict is Verdict.REFUSED
        server.misbehave = says(b"stream: Win.Trojan.Test-1 FOUND\n")
        assert both.scan(a_file(tmp_path, jpeg())).name == "Win.Trojan.Test-1"
        found = both.scan(a_file(tmp_path, b"PK\3\4" + noise(100)))
        assert (found.verdict, found.name) == (Verdict.INFECTED, "Win.Trojan.Test-1"), "a threat counts more"


def test_one_of_several_that_is_away_means_waiting_but_a_threat_is_one(tmp_path: Path) -> None:
    both = EveryScanner([YaraScanner(), ClamdScanner("127.0.0.1:1")])
    for content in (jpeg(), b"PK\3\4"):
        with pytest.raises(ScannerUnavailable):
            both.scan(a_file(tmp_path, content))
    assert both.scan(a_file(tmp_path, EICAR)).verdict is Verdict.INFECTED


def test_the_scanner_in_memory_is_away_as_often_as_it_is_told(tmp_path: Path) -> None:
    scanner = MemoryScanner(away=1)
    with pytest.raises(ScannerUnavailable):
        scanner.scan(a_file(tmp_path))
    assert scanner.scan(a_file(tmp_path)).verdict is Verdict.CLEAN


def settings(public_url: str, **scanning: str) -> Settings:
    return Settings(database_url="postgresql://x", redis_url="redis://x", public_url=public_url, scanning=scanning)


def test_a_site_for_others_does_not_start_without_a_virus_scanner() -> None:
    with pytest.raises(ScanningMisconfigured, match="PETFOLIO_SCANNING__CLAMD"):
        open_scanner(settings("https://petfolio.example"))
    assert open_scanner(settings("https://petfolio.example", clamd="clamd:3310")).engine == "yara-x+clamd"
    assert open_scanner(settings("http://localhost:8000")).engine == "yara-x"
    assert open_scanner(settings("http://localhost:8000", clamd="")).engine == "yara-x"
