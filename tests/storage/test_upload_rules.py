"""What SeaweedFS really refuses of upload forms and URLs: each violation gets a 4xx, and there is no object."""

import base64
from datetime import timedelta
from typing import Any

import httpx
import pytest

from integrations.storage.protocol import Bucket, UploadForm
from tests.services import S3Server
from tests.storage.stores import MINUTES, PHOTO, Store, a_key, form_of, posted, s3_store, sha256

EXPIRED = timedelta(seconds=-5)


@pytest.fixture
def store(s3: S3Server) -> Store:
    return s3_store(s3)


def is_there(store: Store, key: str) -> bool:
    return store.storage.head(Bucket.QUARANTINE, key) is not None


def altered_policy(form: UploadForm, old: str, new: str) -> str:
    policy = base64.b64decode(form.fields["policy"]).replace(old.encode(), new.encode())
    assert new.encode() in policy
    return base64.b64encode(policy).decode()


def test_exactly_what_was_promised_is_taken(store: Store) -> None:
    key = a_key()
    assert posted(form_of(store.storage, key, PHOTO), PHOTO).status_code == 204
    assert is_there(store, key)


@pytest.mark.parametrize(
    ("body", "status"),
    [(PHOTO + b"!", 400), (PHOTO[:-1], 400), (b"", 400), (PHOTO[:-1] + b"!", 400)],
    ids=["bigger", "smaller", "empty", "other content of the same size"],
)
def test_another_body_is_refused(store: Store, body: bytes, status: int) -> None:
    key = a_key()
    assert posted(form_of(store.storage, key, PHOTO), body).status_code == status
    assert not is_there(store, key)


def test_another_content_under_its_own_checksum_is_refused(store: Store) -> None:
    key, other = a_key(), PHOTO[:-1] + b"!"
    checksum = base64.b64encode(bytes.fromhex(sha256(other))).decode()
    answer = posted(form_of(store.storage, key, PHOTO), other, x_amz_checksum_sha256=checksum)
    assert answer.status_code == 403
    assert not is_there(store, key)


def test_a_form_without_its_checksum_is_refused(store: Store) -> None:
    key = a_key()
    form = form_of(store.storage, key, PHOTO)
    fields = {name: value for name, value in form.fields.items() if name != "x-amz-checksum-sha256"}
    answer = posted(UploadForm(form.url, fields, form.expires_at), PHOTO)
    assert answer.status_code == 403
    assert not is_there(store, key)


def test_another_key_is_refused_also_that_of_another_persons_upload(store: Store) -> None:
    mine = form_of(store.storage, a_key(), PHOTO)
    for key in (a_key(), mine.fields["key"] + "x", "elsewhere/x", "media/h/a/480.webp"):
        assert posted(mine, PHOTO, key=key).status_code == 403
        assert not is_there(store, key)
    assert not is_there(store, mine.fields["key"])


def test_another_type_or_no_encryption_is_refused(store: Store) -> None:
    key = a_key()
    form = form_of(store.storage, key, PHOTO)
    assert posted(form, PHOTO, Content_Type="text/html").status_code == 403
    assert posted(form, PHOTO, x_amz_server_side_encryption="none").status_code == 403
    assert not is_there(store, key)


def test_metadata_that_nobody_asked_for_is_refused(store: Store) -> None:
    key = a_key()
    assert posted(form_of(store.storage, key, PHOTO), PHOTO, x_amz_meta_note="hello").status_code == 403
    assert not is_there(store, key)


def test_an_upload_that_calls_itself_public_is_not(store: Store) -> None:
    """SeaweedFS takes the field and ignores it (AWS refuses it); what counts is that nobody can read the object."""
    form = form_of(store.storage, a_key(), PHOTO)
    posted(form, PHOTO, acl="public-read")
    assert httpx.get(form.url + form.fields["key"]).status_code == 403


def test_an_expired_form_is_refused(store: Store) -> None:
    key = a_key()
    assert posted(form_of(store.storage, key, PHOTO, expires_in=EXPIRED), PHOTO).status_code == 403
    assert not is_there(store, key)


def test_a_tampered_signature_policy_or_credential_is_refused(store: Store) -> None:
    key, other = a_key(), a_key()
    form = form_of(store.storage, key, PHOTO)
    tampered: list[dict[str, Any]] = [
        {"x_amz_signature": "0" * 64},
        {"policy": altered_policy(form, key, other), "key": other},
        {"policy": altered_policy(form, f"{len(PHOTO)}, {len(PHOTO)}", "0, 99999999")},
        {"x_amz_credential": form.fields["x-amz-credential"].replace("us-east-1", "eu-west-1")},
    ]
    for fields in tampered:
        assert posted(form, PHOTO, **fields).status_code == 403, fields
    assert not is_there(store, key)
    assert not is_there(store, other)


def test_a_replayed_form_can_only_bring_the_same_content_again(store: Store) -> None:
    """No store counts uses. So the second use is a version with the same hash, and the pinned first one stays."""
    stored = store.uploaded()
    form = form_of(store.storage, stored.key, PHOTO)
    assert posted(form, PHOTO[:-1] + b"!").status_code == 400
    assert posted(form, PHOTO).status_code == 204
    newest = store.storage.head(Bucket.QUARANTINE, stored.key)
    assert newest is not None
    assert newest.sha256 == stored.sha256
    assert store.storage.head(Bucket.QUARANTINE, stored.key, version=stored.version) == stored


def test_part_urls_are_for_one_number_one_length_one_upload_and_a_while(store: Store) -> None:
    key, other = a_key(), a_key()
    upload_id = store.storage.begin_multipart(key, content_type="video/mp4")
    url = store.storage.part_urls(key, upload_id, {1: 100}, expires_in=MINUTES)[1]
    old = store.storage.part_urls(key, upload_id, {1: 100}, expires_in=timedelta(seconds=1))[1]
    another = store.storage.begin_multipart(other, content_type="video/mp4")
    wrong = [
        (url, b"x" * 101),
        (url, b"x" * 99),
        (url.replace("partNumber=1", "partNumber=2"), b"x" * 100),
        (url.replace(upload_id, another), b"x" * 100),
        (url.replace(key, other), b"x" * 100),
        (url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"), b"x" * 100),
        (url[:-4] + "0000", b"x" * 100),
        (old.replace("X-Amz-Date=2", "X-Amz-Date=1"), b"x" * 100),
    ]
    for address, body in wrong:
        assert httpx.put(address, content=body).status_code == 403, address
    assert httpx.put(url, content=iter([b"x" * 100])).status_code == 403, "chunked: no length, so no signature"
    assert store.storage.parts(key, upload_id) == []
    assert store.storage.parts(other, another) == []


def test_an_expired_part_url_is_refused(store: Store) -> None:
    key = a_key()
    upload_id = store.storage.begin_multipart(key, content_type="video/mp4")
    url = store.storage.part_urls(key, upload_id, {1: 10}, expires_in=EXPIRED)[1]
    assert httpx.put(url, content=b"x" * 10).status_code in (400, 403)
    assert store.storage.parts(key, upload_id) == []


def test_a_download_url_is_for_one_object_its_headers_and_a_while(store: Store, s3: S3Server) -> None:
    stored = store.uploaded(key=a_key())
    signed = {"content_type": "image/webp", "disposition": "attachment"}
    s3_client_put(store, "media/h/a/480.webp")
    url = store.storage.download_url("media/h/a/480.webp", expires_in=MINUTES, **signed)
    assert httpx.get(url).status_code == 200
    wrong = [
        url.split("?")[0],
        url.replace("attachment", "inline"),
        url.replace("image%2Fwebp", "text%2Fhtml"),
        url.replace("480.webp", "1080.webp"),
        url.replace("petfolio-media/media/h/a/480.webp", f"petfolio-quarantine/{stored.key}"),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        store.storage.download_url("media/h/a/480.webp", expires_in=EXPIRED, **signed),
    ]
    for address in wrong:
        assert httpx.get(address).status_code in (400, 403), address


def s3_client_put(store: Store, key: str) -> None:
    store.admin.put_object(Bucket="petfolio-media", Key=key, Body=b"a rendition")
