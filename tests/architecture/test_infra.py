"""`make check-infra` finds what it is there for: each mistake here has once taken a production down."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from core.db import API_POOL, WORKER_POOL
from infra import check_infra
from temporal.queues import CALENDARS
from workers.process import POOLS

Problems = Callable[[str, str], list[str]]


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Problems:
    """What the check says of our compose file after replacing some text in it."""

    def look(before: str, after: str) -> list[str]:
        text = check_infra.COMPOSE.read_text()
        assert before in text
        changed = tmp_path / "docker-compose.yml"
        changed.write_text(text.replace(before, after, 1))
        monkeypatch.setattr(check_infra, "COMPOSE", changed)
        return list(check_infra.compose())

    return look


def test_the_committed_files_pass() -> None:
    assert [*check_infra.compose(), *check_infra.dockerfile()] == []


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("    restart: unless-stopped", "    restartt: unless-stopped", "restartt"),
        ("postgres:18.1-bookworm", "postgres:latest", "postgres: the image is not pinned"),
        ("valkey/valkey:9.0.0-bookworm", "valkey/valkey", "redis: the image is not pinned"),
        ("pgbouncer: {condition: service_healthy}", "pgbouncr: {condition: service_healthy}", "pgbouncr"),
        ("    stop_grace_period: 45s", "    stop_grace_period: 20s", "worker-core: stop_grace_period"),
        ("  read_only: true\n", "", "root file system"),
        ("${REDIS_PASSWORD:?}@redis", "${NO_SUCH_VARIABLE:?}@redis", "NO_SUCH_VARIABLE"),
        ("  redis:\n    image", "  redis:\n    ports: ['6379:6379']\n    image", "redis: publishes a port"),
    ],
)
def test_a_mistake_in_the_compose_file_is_found(problems: Problems, before: str, after: str, says: str) -> None:
    found = problems(before, after)
    assert any(says in problem for problem in found), found


def test_a_service_without_a_healthcheck_is_found() -> None:
    config = {"services": {"front": {"image": "front:1.0", "stop_grace_period": "30s"}}}
    assert list(check_infra.compose_problems(config)) == ["front: has no healthcheck"]


def test_a_missing_tool_is_skipped_with_its_reason_unless_it_is_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(program: str, *_: str, **__: str) -> None:
        raise check_infra.Skipped(f"{program} is not installed for this platform")

    monkeypatch.setattr(check_infra, "_run", missing)
    assert check_infra.main() == 0
    assert "SKIPPED compose: docker-compose is not installed" in capsys.readouterr().out
    monkeypatch.setenv("PETFOLIO_REQUIRE", "compose")
    assert check_infra.main() == 1


def test_the_processes_of_compose_fit_its_database() -> None:
    """Behind the pooler only its server connections and the direct ones count."""
    services = yaml.safe_load(check_infra.COMPOSE.read_text())["services"]
    (limit,) = (int(word.partition("=")[2]) for word in services["postgres"]["command"] if "max_connections" in word)
    pooled = int(services["pgbouncer"]["environment"]["DEFAULT_POOL_SIZE"])
    clients = int(services["pgbouncer"]["environment"]["MAX_CLIENT_CONN"])
    temporal, listen, setup, people = 2 * 20, 1, WORKER_POOL.total, 10
    assert pooled + temporal + listen + setup + people <= limit
    roles = [service["command"][-1] for name, service in services.items() if name.startswith("worker-")]
    workers = [POOLS.get(role, WORKER_POOL) for role in roles]
    assert len(workers) == 3 + len(CALENDARS)
    # A rolling restart has each process twice.
    assert 2 * (API_POOL.total + sum(pool.total for pool in workers)) <= clients
