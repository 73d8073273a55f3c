"""`make check-locks` finds what it is there for. Everything here runs offline."""

import shutil
from pathlib import Path

import pytest

from infra import check_locks


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The three files that the check reads, to break."""
    for name in ("pyproject.toml", check_locks.RUNTIME, check_locks.DEV):
        shutil.copy(check_locks.ROOT / name, tmp_path)
    return tmp_path


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_the_committed_locks_name_no_host_and_pin_every_declared_package() -> None:
    assert [*check_locks.hosts(check_locks.ROOT), *check_locks.declared(check_locks.ROOT)] == []


def test_an_index_line_in_a_lock_is_refused(checkout: Path) -> None:
    _append(checkout / check_locks.RUNTIME, "--index-url https://packages.example/simple\n")
    assert [finding.check for finding in check_locks.hosts(checkout)] == ["hosts"]


def test_an_npm_lock_that_records_hosts_is_refused(checkout: Path) -> None:
    folder = checkout / "bench/peers/x"
    folder.mkdir(parents=True)
    (folder / "package-lock.json").write_text('{"packages": {"jose": {"resolved": "somewhere"}}}')
    assert [finding.check for finding in check_locks.hosts(checkout)] == ["hosts"]


def test_a_package_called_httpx_is_no_host(checkout: Path) -> None:
    assert "httpx==" in (checkout / check_locks.RUNTIME).read_text()
    assert list(check_locks.hosts(checkout)) == []


@pytest.mark.parametrize("change", ['"asyncpg~=0.31.0"', '"asyncpg~=0.32.0", "leftpad>=1"'])
def test_a_dependency_changed_without_a_new_lock_is_found(checkout: Path, change: str) -> None:
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace('"asyncpg~=0.32.0"', change))
    assert {finding.check for finding in check_locks.declared(checkout)} == {"declared"}


def test_without_a_network_the_check_says_that_it_was_skipped(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_FIND_LINKS", "")
    assert [str(finding)[:35] for finding in check_locks.compiled(checkout)] == ["SKIPPED compiled: the package index"]
