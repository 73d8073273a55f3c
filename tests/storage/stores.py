"""A store under test, and what a browser does with what it signed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx

from core.settings import Settings
from integrations.storage.factory import open_storage
from integrations.storage.memory import MemoryStorage
from integrations.storage.protocol import Bucket, ObjectStorage, Refused, StoredObject, UploadForm
from tests.services import S3Server

MINUTES = timedelta(minutes=5)
PHOTO = b"\xff\xd8\xff\xe0" + b"a photo" * 200
HEADERS: dict[str, str] = {
    "content_type": "image/webp",
    "disposition": "inline",
    "cache_control": "private, max-age=300",
}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def a_key(prefix: str = "uploads") -> str:
    return f"{prefix}/{uuid4()}/{uuid4()}"


def settings_for(s3: S3Server, who: str | None = None, **more: Any) -> Settings:
    key_id, secret = s3.identities[who] if who else (s3.access_key_id, s3.secret_access_key)
    return Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
        s3_endpoint=s3.endpoint,
        s3_access_key_id=key_id,
        s3_secret_access_key=secret,
        **{"storage": {"encryption": "AES256"}, **more},
    )


def s3_client(s3: S3Server) -> Any:
    """The administrator's, for what only tests do."""
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name="us-east-1",
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
    )


def posted(form: UploadForm, body: bytes, **fields: str) -> httpx.Response:
    """A browser's upload; `fields` replace those of the form."""
    data = {**form.fields, **{name.replace("_", "-"): value for name, value in fields.items()}}
    return httpx.post(form.url, data=data, files={"file": ("a.jpg", body, "image/jpeg")})


@dataclass(frozen=True)
class Store:
    """One backend with its browser."""

    storage: ObjectStorage
    admin: Any = None

    def upload(self, form: UploadForm, body: bytes) -> None:
        if isinstance(self.storage, MemoryStorage):
            self.storage.post(form.fields, body)
        else:
            _checked(posted(form, body))

    def put_part(self, url: str, body: bytes) -> str:
        if isinstance(self.storage, MemoryStorage):
            return self.storage.put_part(url, body)
        return _checked(httpx.put(url, content=body, timeout=30)).headers["etag"]

    def get(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        if isinstance(self.storage, MemoryStorage):
            return self.storage.get(url)
        answer = _checked(httpx.get(url))
        return answer.content, answer.headers

    def hide(self, bucket: Bucket, key: str) -> None:
        if isinstance(self.storage, MemoryStorage):
            self.storage.hide(bucket, key)
        else:
            self.admin.delete_object(Bucket=f"petfolio-{bucket}", Key=key)

    def uploaded(self, body: bytes = PHOTO, key: str | None = None) -> StoredObject:
        key = key or a_key()
        self.upload(form_of(self.storage, key, body), body)
        stored = self.storage.head(Bucket.QUARANTINE, key)
        assert stored is not None
        return stored

    def published(self, path: Path, body: bytes, key: str | None = None) -> StoredObject:
        path.write_bytes(body)
        key = key or a_key("media") + "/480.webp"
        self.storage.put(Bucket.MEDIA, key, path, **HEADERS)
        stored = self.storage.head(Bucket.MEDIA, key)
        assert stored is not None
        return stored


def form_of(storage: ObjectStorage, key: str, body: bytes, **changed: Any) -> UploadForm:
    promised: dict[str, Any] = {"content_type": "image/jpeg", "size": len(body), "sha256": sha256(body)}
    return storage.upload_form(key, **{**promised, "expires_in": MINUTES, **changed})


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= 400:
        raise Refused(f"{answer.status_code}: {answer.text[:200]}")
    return answer


def s3_store(s3: S3Server) -> Store:
    return Store(open_storage(settings_for(s3)), s3_client(s3))
