"""The rules of ours: what they find, what they leave alone, and what it costs them."""

import os
import random
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from integrations.scanning import pdf
from integrations.scanning.protocol import Scanned, ScannerUnavailable, ScanTooSlow, Verdict
from integrations.scanning.yara import YaraScanner
from tests.scanning import pdfs, samples
from tests.scanning.pdfs import document, object_stream

ENGINE = YaraScanner()
EXPLORE = bool(os.environ.get("PETFOLIO_EXPLORE"))


def scanned(tmp_path: Path, content: bytes, scanner: YaraScanner = ENGINE) -> Scanned:
    (tmp_path / "it").write_bytes(content)
    return scanner.scan(tmp_path / "it")


@pytest.mark.parametrize("sample", samples.INFECTED)
def test_threats_are_found(sample: str, tmp_path: Path) -> None:
    name, content = samples.INFECTED[sample]
    found = scanned(tmp_path, content)
    assert found.verdict is Verdict.INFECTED
    assert name in _names(tmp_path)


def _names(tmp_path: Path) -> set[str]:
    """Everything that the rules say of the last file; a verdict names one of it."""
    return {name for name, _ in ENGINE._matches(tmp_path / "it")}


@pytest.mark.parametrize("sample", samples.REFUSED)
def test_kinds_of_files_that_nobody_can_vouch_for_are_refused(sample: str, tmp_path: Path) -> None:
    name, content = samples.REFUSED[sample]
    found = scanned(tmp_path, content)
    assert (found.verdict, found.name) == (Verdict.REFUSED, name)


@pytest.mark.parametrize("sample", pdfs.JAVASCRIPTS)
def test_javascript_in_a_pdf_is_found_wherever_it_hides(sample: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, pdfs.JAVASCRIPTS[sample])
    assert found.verdict is Verdict.REFUSED
    assert "pdf_javascript" in _names(tmp_path)


@pytest.mark.parametrize("sample", pdfs.OTHERS)
def test_pdfs_that_act_carry_files_or_hide_are_refused(sample: str, tmp_path: Path) -> None:
    name, content = pdfs.OTHERS[sample]
    found = scanned(tmp_path, content)
    assert found.verdict is Verdict.REFUSED
    assert name in _names(tmp_path)


@pytest.mark.parametrize("sample", pdfs.ACTING)
def test_pdfs_that_do_something_without_a_click_are_refused(sample: str, tmp_path: Path) -> None:
    name, content = pdfs.ACTING[sample]
    found = scanned(tmp_path, content)
    assert found.verdict is Verdict.REFUSED
    assert name in _names(tmp_path)


@pytest.mark.parametrize("sample", pdfs.BENIGN)
def test_documents_are_clean(sample: str, tmp_path: Path) -> None:
    assert scanned(tmp_path, pdfs.BENIGN[sample]).name is None


@pytest.mark.parametrize("sample", samples.BENIGN)
def test_pictures_and_films_are_clean(sample: str, tmp_path: Path) -> None:
    assert scanned(tmp_path, samples.BENIGN[sample]).name is None


def test_noise_is_no_threat(tmp_path: Path) -> None:
    files = samples.high_entropy(2000 if EXPLORE else 200)
    assert not [found for content in files if (found := scanned(tmp_path, content)).name]


def test_a_large_film_is_looked_at_and_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "film"
    with path.open("wb") as file:
        for seed in range(25):
            file.write(samples.film() if seed == 0 else samples.noise(8_000_000, seed))
    tracemalloc.start()
    assert ENGINE.scan(path).verdict is Verdict.CLEAN
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_zip_bomb_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    bomb = samples.zipped(samples.zipped(bytes(50_000_000)) * 50, count=20)
    assert scanned(tmp_path, bomb).name == "archive"


def test_a_bomb_of_objects_stays_within_the_limit_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(document(b"", *(object_stream({9: b" " * 30_000_000}) for _ in range(10))))
    tracemalloc.start()
    assert ENGINE.scan(path).name == "pdf_too_complex"
    assert tracemalloc.get_traced_memory()[1] < 160_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7\n1 0 obj " + b"stream\n" * 2_000_000,
        b"%PDF-1.7\n" + b"1 0 obj<</First 1>>stream\n" * 500_000,
        b"%PDF-1.7\n" + b"/OpenAction 1 0 R " * 90 + b"1 0 obj " * 1_000_000,
        b"%PDF-1.7\n" + b"#41" * 5_000_000,
        b"%PDF-1.7\n1 0 obj" + b"%" * 60 + b"\nx",
        b"%PDF-1.7\n1 0 obj<</First 1>>" + b"%" * 60 + b"\nx",
        b"%PDF-1.7\n1 0 obj<</OpenAction" + b"%" * 60,
        b"%PDF-1.7\n" + (b"obj" + b" %\n" * 500_000) * 5,
        b"%PDF-1.7\n" + b"obj%" * 1_000_000,
        b"%PDF-1.7\n" + b"/OpenAction%" * 1_000_000,
        b"%PDF-1.7\n" + b"/S%" * 2_000_000,
        b"%PDF-1.7\n/OpenAction 5 0 R" + b" 5%" * 2_000_000,
    ],
    ids="streams objects actions escapes mark behind inside comments marks openings kinds numbers".split(),
)
@pytest.mark.timeout(60)  # each would take hours
def test_a_document_made_to_keep_us_busy_ends_in_time(content: bytes, tmp_path: Path) -> None:
    with suppress(ScannerUnavailable):
        assert scanned(tmp_path, content, YaraScanner(seconds=1)).verdict is not Verdict.INFECTED


@pytest.mark.parametrize("unit", [b"<svg ", b"<svg " + b" " * 40, b"<body ", b"PK\5\6"])
def test_a_film_made_of_what_the_rules_look_for_keeps_nobody_busy(unit: bytes, tmp_path: Path) -> None:
    content = b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + unit * (20_000_000 // len(unit))
    assert scanned(tmp_path, content, YaraScanner(seconds=8)).verdict is Verdict.INFECTED


def test_a_scan_that_takes_too_long_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = YaraScanner(seconds=1)
    monkeypatch.setitem(slow._rules, "files", _endless())
    with pytest.raises(ScanTooSlow):
        scanned(tmp_path, samples.noise(5_000_000), slow)


def _endless() -> object:
    import yara_x

    condition = "for any i in (0..100000000000) : (uint8(i % filesize) == 300)"
    return yara_x.compile(f"rule endless : infected {{ condition: {condition} }}")


def test_the_version_is_that_of_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ENGINE.signatures() == YaraScanner().signatures()
    monkeypatch.setattr("integrations.scanning.yara.REVISION", pdf.REVISION + 1)
    assert YaraScanner().signatures() != ENGINE.signatures()


def test_one_scanner_serves_many_threads(tmp_path: Path) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        _, content = list(samples.INFECTED.values())[number]
        path = tmp_path / str(number)
        for _ in range(20):
            path.write_bytes(content)
            wrong.extend([number] if ENGINE.scan(path).verdict is not Verdict.INFECTED else [])
            path.write_bytes(samples.BENIGN["jpeg"])
            wrong.extend([number] if ENGINE.scan(path).verdict is not Verdict.CLEAN else [])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_damage_breaks_the_scanner(tmp_path: Path) -> None:
    every = [*pdfs.BENIGN.values(), *pdfs.JAVASCRIPTS.values(), *samples.BENIGN.values()]
    draw = random.Random(7)
    for _ in range(2000 if EXPLORE else 300):
        content = bytearray(draw.choice(every))
        for _ in range(draw.randrange(1, 30) if content else 0):
            content[draw.randrange(len(content))] = draw.choice((0, 0x25, 0x28, 0x3C, 0x3E, 0xFF, draw.randrange(256)))
        cut = draw.randrange(len(content) + 1)
        assert scanned(tmp_path, bytes(content)).engine == "yara-x"
        assert scanned(tmp_path, bytes(content[:cut])).engine == "yara-x"


def test_an_object_before_the_damage_is_found(tmp_path: Path) -> None:
    whole = document(b"", object_stream({9: pdfs.JAVASCRIPT, 10: samples.noise(300_000)}))
    position = whole.index(b"/ObjStm") + 200_000
    assert scanned(tmp_path, whole[:position] + b"\xff" * 100 + whole[position + 100 :]).verdict is Verdict.REFUSED
    assert scanned(tmp_path, whole[:position]).verdict is Verdict.REFUSED


def test_a_file_that_is_not_there_is_not_the_scanners_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ENGINE.scan(tmp_path / "nothing")
