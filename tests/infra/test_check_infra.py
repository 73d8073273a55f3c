"""The checks of the production side find what they are there to find."""

import copy
import json
from typing import Any

import pytest

from core.settings import read_settings
from infra import check_infra
from temporal.queues import BILLING, CALENDARS, CORE, MEDIA
from workers.process import queues_of


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    run = check_infra._run(
        "docker-compose",
        "--env-file",
        "infra/docker/example.env",
        "-f",
        "docker-compose.yml",
        "config",
        "--format",
        "json",
    )
    assert run.returncode == 0, run.stderr
    rendered: dict[str, Any] = json.loads(run.stdout)
    return rendered


def test_the_compose_file_of_this_release_is_right(config: dict[str, Any]) -> None:
    assert list(check_infra.compose_problems(config)) == []


def test_the_image_of_this_release_is_right() -> None:
    assert list(check_infra.dockerfile()) == []


@pytest.mark.parametrize(
    ("service", "key", "value", "finding"),
    [
        ("redis", "image", "valkey/valkey:latest", "redis: the image is not pinned"),
        ("redis", "image", "valkey/valkey", "redis: the image is not pinned"),
        ("api", "healthcheck", None, "api: has no healthcheck"),
        ("postgres", "ports", ["5432:5432"], "postgres: publishes a port"),
        ("worker-core", "stop_grace_period", "30s", "worker-core: stop_grace_period of 30 s"),
        ("worker-calendar-caldav", "stop_grace_period", "30s", "worker-calendar-caldav: stop_grace_period of 30 s"),
        ("worker-calendar-google", "read_only", False, "worker-calendar-google: its root file system"),
        ("api", "read_only", False, "api: its root file system"),
    ],
)
def test_a_wrong_compose_file_is_found(
    config: dict[str, Any], service: str, key: str, value: object, finding: str
) -> None:
    wrong = copy.deepcopy(config)
    if value is None:
        del wrong["services"][service][key]
    else:
        wrong["services"][service][key] = value
    assert [problem for problem in check_infra.compose_problems(wrong) if problem.startswith(finding)]


def test_each_provider_of_calendars_has_one_process_of_its_own(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that nobody polls is calendars that stand still, and nobody is told."""
    served = {}
    for name, service in config["services"].items():
        if name.startswith("worker-"):
            for variable, value in service["environment"].items():
                monkeypatch.setenv(variable, value)
            served[name] = queues_of(service["command"][-1], read_settings())
    assert served == {"worker-core": (CORE,), "worker-billing": (BILLING,), "worker-media": (MEDIA,)} | {
        f"worker-{queue}": (queue,) for queue in CALENDARS.values()
    }


def test_an_unknown_key_is_refused_by_compose(tmp_path: Any) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text("services:\n  api:\n    image: petfolio:1\n    helthcheck: {}\n")
    assert check_infra._run("docker-compose", "-f", str(broken), "config", "-q").returncode != 0


def test_a_missing_tool_is_a_skip_that_can_be_made_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Any:
        raise check_infra.Skipped("terraform is not on PATH")

    monkeypatch.setattr(check_infra, "CHECKS", {"terraform": missing})
    assert check_infra.main() == 0
    assert "SKIPPED terraform: terraform is not on PATH" in capsys.readouterr().out
    monkeypatch.setenv("PETFOLIO_REQUIRE", "terraform")
    assert check_infra.main() == 1
