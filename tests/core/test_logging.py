"""What may never be in a log, and what must be in one."""

import logging
import subprocess
import sys

import orjson
import pytest
from pydantic import BaseModel, ValidationError

from core.errors import Conflict
from core.logging import describe, explain_exception, redact


class _Pet(BaseModel):
    weight: int


def test_forbidden_keys_are_dropped_at_any_depth_and_named() -> None:
    line = redact(None, "", {"event": "x", "email": "a@b.example", "row": {"title": "Insulin", "id": 7}})
    assert line == {"event": "x", "row": {"id": 7}, "dropped": ["email", "title"]}


@pytest.mark.parametrize(
    "text",
    [
        "mail for rex.owner@mail.example.org bounced",
        "Bearer eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
        "postgresql://petfolio:hunter2@db/petfolio",
        "GET /verify-email?token=s3cr3t-t0ken HTTP/1.1",
    ],
)
def test_texts_lose_addresses_and_secrets(text: str) -> None:
    shown = str(redact(None, "", {"event": text})["event"])
    assert "[redacted]" in shown
    assert not any(secret in shown for secret in ("rex.owner", "c2lnbmF0dXJl", "hunter2", "s3cr3t-t0ken"))


def test_a_validation_error_is_described_without_the_input_it_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        _Pet.model_validate({"weight": "Rex the dog"})
    assert describe(refused.value) == "weight: int_parsing"


def test_our_errors_keep_code_and_sentence_and_foreign_ones_are_bounded() -> None:
    assert describe(Conflict("it is closed", code="already_closed")) == "already_closed: it is closed"
    assert len(describe(ValueError("x" * 100_000))) == 500


def test_an_exception_becomes_type_text_and_frames_without_local_values() -> None:
    try:
        secret = "local value"
        raise ValueError("broken") from KeyError(len(secret))
    except ValueError as error:
        line = explain_exception(None, "", {"event": "x", "exc_info": error})
    assert line["error"] == "ValueError: broken"
    assert line["caused_by"] == "KeyError: 11"
    assert line["frames"][-1].endswith("test_an_exception_becomes_type_text_and_frames_without_local_values")
    assert "local value" not in str(line)


def test_libraries_and_our_code_write_the_same_lines() -> None:
    script = """
import logging
from core.logging import configure_logging, logger
configure_logging("info", process="core")
logger("workers.relay").info("row_parked", outbox_id=1)
logger("workers.relay").debug("hidden")
logging.getLogger("library").warning("for %s", "a@b.example", extra={"workflow_id": "user/1", "password": "p"})
logging.getLogger("library").warning("%s", object())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=30)
    ours, library, odd = map(orjson.loads, done.stdout.splitlines())
    assert done.stderr == b""
    assert (ours["event"], ours["level"], ours["process"], ours["outbox_id"]) == ("row_parked", "info", "core", 1)
    assert (library["event"], library["level"]) == ("for [redacted]", "warning")
    assert (library["workflow_id"], library["dropped"]) == ("user/1", ["password"])
    assert odd["event"].startswith("<object object")


def test_pytest_itself_still_owns_the_root_logger() -> None:
    """`configure_logging` is the first call of an entry point and of nothing else: no import calls it."""
    assert all(type(handler).__module__ != "core.logging" for handler in logging.getLogger().handlers)
