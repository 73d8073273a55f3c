"""What the settings change: KMS (on moto, SeaweedFS has none), the address that browsers know, and rights of a role."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from moto import mock_aws
from pydantic import ValidationError

from core.settings import Settings
from core.storage_settings import ScanningSettings, StorageSettings
from infra.local.s3_identities import POLICIES
from integrations.storage.factory import open_storage
from integrations.storage.memory import MemoryStorage
from integrations.storage.protocol import Bucket, Refused, StorageUnavailable
from tests.services import S3Server
from tests.storage.stores import MINUTES, PHOTO, Store, a_key, form_of, posted, settings_for

KMS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000"
BLANK = {"s3_access_key_id": "", "s3_secret_access_key": ""}


def on_aws(**storage: object) -> Settings:
    """As a compose file passes on what nobody set: blank, so that the role of the process counts."""
    return Settings(database_url="postgresql://x", redis_url="redis://x", storage=storage, **BLANK)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        for bucket in ("petfolio-media", "petfolio-quarantine"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield


def encryption_of(key: str) -> tuple[str, str]:
    seen = boto3.client("s3", region_name="us-east-1").head_object(Bucket="petfolio-media", Key=key)
    return seen["ServerSideEncryption"], seen["SSEKMSKeyId"]


@pytest.mark.usefixtures("aws")
def test_in_production_every_object_is_encrypted_with_our_key(tmp_path: Path) -> None:
    storage = open_storage(on_aws(kms_key_id=KMS_KEY))
    put = Store(storage).published(tmp_path / "v", b"rendition")
    assert encryption_of(put.key) == ("aws:kms", KMS_KEY)
    key = a_key()
    upload_id = storage.begin_multipart(key, content_type="video/mp4")
    started = boto3.client("s3", region_name="us-east-1").list_multipart_uploads(Bucket="petfolio-quarantine")
    assert [each["UploadId"] for each in started["Uploads"]] == [upload_id]


def test_the_form_of_production_demands_our_key() -> None:
    form = form_of(open_storage(on_aws(kms_key_id=KMS_KEY)), "uploads/h/a", PHOTO)
    conditions = json.loads(base64.b64decode(form.fields["policy"]))["conditions"]
    for name, value in (
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", KMS_KEY),
    ):
        assert form.fields[name] == value
        assert {name: value} in conditions
    assert ["content-length-range", len(PHOTO), len(PHOTO)] in conditions
    assert urlsplit(form.url).hostname == "petfolio-quarantine.s3.amazonaws.com"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def test_browsers_are_sent_to_the_address_that_they_know(s3: S3Server, tmp_path: Path) -> None:
    public = s3.endpoint.replace("127.0.0.1", "localhost")
    storage = open_storage(settings_for(s3, storage={"encryption": "AES256", "public_endpoint": public}))
    form = form_of(storage, key := a_key(), PHOTO)
    assert form.url.startswith(f"{public}/petfolio-quarantine/")
    assert posted(form, PHOTO).status_code == 204
    assert storage.head(Bucket.QUARANTINE, key)
    upload_id = storage.begin_multipart(key, content_type="video/mp4")
    part = storage.part_urls(key, upload_id, {1: 3}, expires_in=MINUTES)[1]
    assert httpx.put(part, content=b"abc").status_code == 200
    storage.delete(Bucket.QUARANTINE, [key])
    published = Store(storage).published(tmp_path / "v", b"rendition")
    url = storage.download_url(published.key, content_type="image/webp", disposition="inline", expires_in=MINUTES)
    assert url.startswith(public)
    assert httpx.get(url).content == b"rendition"


def test_settings_that_cannot_be_meant_are_refused() -> None:
    for wrong in ({"public_endpoint": "s3.example/path"}, {"encryption": "none"}, {"connections": 0}):
        with pytest.raises(ValidationError):
            StorageSettings(**wrong)  # type: ignore[arg-type]
    for wrong in ("clamd", "clamd:port", "http://clamd:3310"):
        with pytest.raises(ValidationError):
            ScanningSettings(clamd=wrong)


def test_the_policies_name_actions_of_s3_and_our_buckets_only() -> None:
    for policy in POLICIES.values():
        for statement in policy["Statement"]:
            assert all(action.startswith("s3:") and "*" not in action for action in statement["Action"])
            assert all(resource.startswith("arn:aws:s3:::petfolio-") for resource in statement["Resource"])
    assert not any("Delete" in action for each in POLICIES["api"]["Statement"] for action in each["Action"])


def test_in_memory_signatures_end_and_are_for_one_thing() -> None:
    now = [datetime(2026, 11, 29, tzinfo=UTC)]
    storage = MemoryStorage(now=lambda: now[0])
    form = form_of(storage, "uploads/h/a", PHOTO)
    for fields, body in (
        ({"key": "uploads/h/b"}, PHOTO),
        ({"Content-Type": "text/html"}, PHOTO),
        ({"policy": "memory:guess"}, PHOTO),
        ({}, PHOTO + b"!"),
        ({}, PHOTO[:-1] + b"!"),
    ):
        with pytest.raises(Refused):
            storage.post({**form.fields, **fields}, body)
    with pytest.raises(Refused):
        storage.get(form.fields["policy"])
    now[0] += timedelta(minutes=6)
    with pytest.raises(Refused):
        storage.post(form.fields, PHOTO)
    assert storage.head(Bucket.QUARANTINE, "uploads/h/a") is None


def test_in_memory_the_store_is_away_as_often_as_it_is_told(tmp_path: Path) -> None:
    storage = MemoryStorage(fail_next=1)
    with pytest.raises(StorageUnavailable):
        storage.head(Bucket.MEDIA, "media/h/a")
    assert storage.head(Bucket.MEDIA, "media/h/a") is None
