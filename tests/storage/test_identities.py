"""Least privilege, held by SeaweedFS: what each process' key may do, and what not; and what strangers' pages may do."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from infra.local.buckets import provision
from integrations.storage.factory import open_storage
from integrations.storage.protocol import Bucket, StorageUnavailable
from tests.services import S3Server
from tests.storage.stores import (
    HEADERS,
    MINUTES,
    PHOTO,
    Store,
    a_key,
    form_of,
    posted,
    s3_client,
    s3_store,
    settings_for,
)


def of(s3: S3Server, who: str) -> Store:
    return Store(open_storage(settings_for(s3, who)))


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(StorageUnavailable, match=r"403|AccessDenied"):
        call()


def test_the_api_brings_uploads_and_hands_out_what_is_published(s3: S3Server, tmp_path: Path) -> None:
    api = of(s3, "api")
    key = a_key()
    assert posted(form_of(api.storage, key, PHOTO), PHOTO).status_code == 204
    upload_id = api.storage.begin_multipart(a_key(), content_type="video/mp4")
    other = a_key()
    upload_id = api.storage.begin_multipart(other, content_type="video/mp4")
    api.put_part(api.storage.part_urls(other, upload_id, {1: 3}, expires_in=MINUTES)[1], b"abc")
    api.storage.finish_multipart(other, upload_id, api.storage.parts(other, upload_id))
    published = s3_store(s3).published(tmp_path / "v", b"rendition")
    url = api.storage.download_url(published.key, content_type="image/webp", disposition="inline", expires_in=MINUTES)
    assert api.get(url)[0] == b"rendition"


def test_the_api_can_neither_read_nor_list_nor_delete_in_the_quarantine(s3: S3Server, tmp_path: Path) -> None:
    api, stored = of(s3, "api").storage, s3_store(s3).uploaded()
    refused(lambda: api.head(Bucket.QUARANTINE, stored.key))
    refused(lambda: api.fetch(stored, tmp_path / "it", on_bytes=lambda _: None))
    refused(lambda: api.listed(Bucket.QUARANTINE, "uploads/"))
    refused(lambda: api.delete(Bucket.QUARANTINE, [stored.key]))
    assert s3_store(s3).storage.head(Bucket.QUARANTINE, stored.key) == stored


def test_the_api_can_neither_publish_nor_sign_what_lies_elsewhere(s3: S3Server, tmp_path: Path) -> None:
    api = of(s3, "api").storage
    (tmp_path / "v").write_bytes(b"x")
    refused(lambda: api.put(Bucket.MEDIA, a_key("media"), tmp_path / "v", **HEADERS))
    assert posted(form_of(api, a_key("elsewhere"), PHOTO), PHOTO).status_code == 403
    s3_client(s3).put_object(Bucket="petfolio-media", Key="elsewhere/x", Body=b"x")
    url = api.download_url("elsewhere/x", content_type="image/webp", disposition="inline", expires_in=MINUTES)
    assert httpx.get(url).status_code == 403


def test_the_media_worker_reads_clears_and_publishes_but_brings_nothing_in(s3: S3Server, tmp_path: Path) -> None:
    worker, stored = of(s3, "media"), s3_store(s3).uploaded()
    assert worker.storage.head(Bucket.QUARANTINE, stored.key) == stored
    worker.storage.fetch(stored, tmp_path / "it", on_bytes=lambda _: None)
    published = worker.published(tmp_path / "v", b"rendition")
    worker.storage.listed(Bucket.MEDIA, "media/")
    worker.storage.keep(stored)
    worker.storage.delete(Bucket.QUARANTINE, [stored.key])
    worker.storage.delete(Bucket.MEDIA, [published.key])
    assert s3_store(s3).storage.head(Bucket.QUARANTINE, stored.key) is None
    assert posted(form_of(worker.storage, a_key(), PHOTO), PHOTO).status_code == 403
    refused(lambda: worker.storage.begin_multipart(a_key(), content_type="video/mp4"))
    refused(lambda: worker.storage.put(Bucket.MEDIA, "elsewhere/x", tmp_path / "v", **HEADERS))


@pytest.mark.parametrize("who", ["api", "media"])
def test_no_process_may_change_a_bucket_or_read_another(s3: S3Server, who: str) -> None:
    key_id, secret = s3.identities[who]
    client = s3_client(S3Server(s3.endpoint, key_id, secret, s3.origin, {}))
    s3_client(s3).put_object(Bucket="petfolio-exports", Key="e", Body=b"x")
    anyone = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    for call in (
        lambda: client.put_bucket_cors(Bucket="petfolio-quarantine", CORSConfiguration=anyone),
        lambda: client.put_bucket_versioning(
            Bucket="petfolio-quarantine", VersioningConfiguration={"Status": "Suspended"}
        ),
        lambda: client.put_bucket_policy(Bucket="petfolio-media", Policy="{}"),
        lambda: client.put_bucket_acl(Bucket="petfolio-media", ACL="public-read"),
        lambda: client.delete_bucket(Bucket="petfolio-quarantine"),
        lambda: client.create_bucket(Bucket=f"new-{who}"),
        lambda: client.get_object(Bucket="petfolio-exports", Key="e"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def test_only_our_own_pages_may_upload_and_download(s3: S3Server) -> None:
    form = form_of(of(s3, "api").storage, a_key(), PHOTO)
    published = f"{s3.endpoint}/petfolio-media/media/h/a/480.webp"
    for url, method in ((form.url, "POST"), (form.url + form.fields["key"], "PUT"), (published, "GET")):
        asked = {"Access-Control-Request-Method": method}
        ours = httpx.options(url, headers={"Origin": s3.origin, **asked})
        assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (200, s3.origin)
        theirs = httpx.options(url, headers={"Origin": "https://elsewhere.example", **asked})
        assert theirs.status_code == 403
        assert "access-control-allow-origin" not in theirs.headers


def test_a_page_may_neither_upload_where_one_downloads_nor_read_what_was_uploaded(s3: S3Server) -> None:
    for path, method in (("petfolio-media/media/x", "PUT"), ("petfolio-quarantine/uploads/x", "GET")):
        headers = {"Origin": s3.origin, "Access-Control-Request-Method": method}
        answer = httpx.options(f"{s3.endpoint}/{path}", headers=headers)
        assert method not in answer.headers.get("access-control-allow-methods", ""), "a browser stops here"


def test_a_page_reads_the_etag_of_a_part(s3: S3Server) -> None:
    api, key = of(s3, "api").storage, a_key()
    upload_id = api.begin_multipart(key, content_type="video/mp4")
    url = api.part_urls(key, upload_id, {1: 3}, expires_in=MINUTES)[1]
    answer = httpx.put(url, content=b"abc", headers={"Origin": s3.origin})
    assert answer.headers["access-control-expose-headers"].lower() == "etag"


def test_buckets_keep_versions_encrypt_and_drop_unfinished_uploads(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETFOLIO_S3_ENDPOINT", s3.endpoint)
    monkeypatch.setenv("PETFOLIO_S3_ACCESS_KEY_ID", s3.access_key_id)
    monkeypatch.setenv("PETFOLIO_S3_SECRET_ACCESS_KEY", s3.secret_access_key)
    provision([s3.origin])
    client = s3_client(s3)
    for bucket in ("petfolio-quarantine", "petfolio-media"):
        assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        rules = {rule["ID"] for rule in client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
        assert {"unfinished-uploads", "markers-of-nothing"} <= rules
        assert ("former-versions" in rules) == (bucket == "petfolio-media")
