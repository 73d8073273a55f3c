"""A store that is away, slow, confused or lying: each is told by the right name, and a file is never half believed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from integrations.storage import factory
from integrations.storage.calls import asked, client_config
from integrations.storage.factory import open_storage
from integrations.storage.protocol import (
    Bucket,
    ObjectChanged,
    ObjectMissing,
    ObjectStorage,
    Refused,
    StorageUnavailable,
    StoredObject,
)
from tests.services import S3Server
from tests.storage.stores import settings_for, sha256

STORED = StoredObject(Bucket.QUARANTINE, "uploads/h/a", "v1", '"e"', 10, "image/jpeg", datetime.now(UTC))
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[ObjectStorage, list[str]]]:
    """A store whose every answer is this one, and the paths that it was asked for."""
    asked_for: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked_for.append(self.path)
            answer(self)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        s3 = S3Server(f"http://127.0.0.1:{server.server_port}", "id", "secret", "", {})
        try:
            yield open_storage(settings_for(s3)), asked_for
        finally:
            server.shutdown()
            thread.join()


def body(status: int, content: bytes, length: int | None = None, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def fetch(storage: ObjectStorage, into: Path) -> str:
    return storage.fetch(STORED, into, on_bytes=lambda _: None)


def test_a_failing_store_is_asked_once_and_is_unavailable_for_as_long_as_it_says(tmp_path: Path) -> None:
    error = b"<Error><Code>SlowDown</Code></Error>"
    with answering(body(503, error, Retry_After="7")) as (storage, asked_for):
        with pytest.raises(StorageUnavailable) as caught:
            fetch(storage, tmp_path / "it")
        assert caught.value.retry_after == 7
        assert caught.value.retryable
        assert len(asked_for) == 1, "retries are Temporal's"
        with pytest.raises(StorageUnavailable):
            storage.head(Bucket.MEDIA, "media/h/a/480.webp")


def test_an_answer_that_breaks_off_is_continued_by_the_next_call(tmp_path: Path) -> None:
    with answering(body(206, b"01234", length=10)) as (storage, _), pytest.raises(StorageUnavailable):
        fetch(storage, tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == b"01234"
    with answering(body(206, b"56789")) as (storage, _):
        assert fetch(storage, tmp_path / "it") == sha256(b"0123456789")


def test_an_answer_that_ends_too_early_by_its_own_word_is_no_file(tmp_path: Path) -> None:
    with answering(body(206, b"01234")) as (storage, _), pytest.raises(StorageUnavailable):
        fetch(storage, tmp_path / "it")


def test_an_answer_that_does_not_end_is_not_written_further(tmp_path: Path) -> None:
    with answering(body(206, b"x" * 5_000_000)) as (storage, _), pytest.raises(ObjectChanged):
        fetch(storage, tmp_path / "it")
    assert (tmp_path / "it").stat().st_size <= 10


def test_a_store_that_nobody_listens_for_is_unavailable() -> None:
    storage = open_storage(settings_for(S3Server("http://127.0.0.1:1", "id", "secret", "", {})))
    with pytest.raises(StorageUnavailable):
        storage.head(Bucket.MEDIA, "media/h/a/480.webp")


def test_a_silent_store_is_unavailable_after_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hasty(connections: int, *, path_style: bool) -> Config:
        return client_config(connections, path_style=path_style).merge(Config(read_timeout=0.2))

    monkeypatch.setattr(factory, "client_config", hasty)
    with answering(lambda _: (released.wait(10), None)[1]) as (storage, asked_for):
        with pytest.raises(StorageUnavailable):
            storage.head(Bucket.MEDIA, "media/h/a/480.webp")
        assert len(asked_for) == 1
        released.set()


def test_the_time_limits_are_those_of_the_settings_of_calls() -> None:
    config = client_config(5, path_style=True)
    assert (config.connect_timeout, config.read_timeout) == (2, 10)
    assert config.retries == {"total_max_attempts": 1}


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("NoSuchKey", 404, ObjectMissing),
        ("NoSuchVersion", 404, ObjectMissing),
        ("NoSuchUpload", 404, ObjectMissing),
        ("PreconditionFailed", 412, ObjectChanged),
        ("InvalidRange", 416, ObjectChanged),
        ("BadDigest", 400, StorageUnavailable),
        ("RequestTimeout", 400, StorageUnavailable),
        ("SlowDown", 503, StorageUnavailable),
        ("TooManyRequests", 429, StorageUnavailable),
        ("AccessDenied", 403, StorageUnavailable),
        ("ExpiredToken", 403, StorageUnavailable),
        ("InternalError", 500, StorageUnavailable),
        ("NoSuchBucket", 404, Refused),
        ("InvalidPart", 400, Refused),
        ("EntityTooSmall", 400, Refused),
    ],
)
def test_a_refusal_has_one_meaning_for_every_call(code: str, status: int, meaning: type[Exception]) -> None:
    details = {
        "Error": {"Code": code, "Message": "X-Amz-Signature=secret"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }

    def call() -> None:
        raise ClientError(details, "GetObject")  # type: ignore[arg-type]

    with pytest.raises(meaning) as caught:
        asked(call)
    assert type(caught.value) is meaning
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_full_disk_is_not_taken_for_the_stores_fault() -> None:
    def call() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        asked(call)
