"""One suite for every keeper of files: SeaweedFS through boto3, and the store in memory."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrations.storage import listing, memory
from integrations.storage.memory import MemoryStorage
from integrations.storage.protocol import Bucket, ObjectChanged, ObjectMissing, Part, Refused
from tests.storage.stores import HEADERS, MINUTES, PHOTO, Store, a_key, form_of, s3_store, sha256

FIVE_MIB = 5 * 2**20


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    return Store(MemoryStorage()) if request.param == "memory" else s3_store(request.getfixturevalue("s3"))


def ignore(_: int) -> None:
    """A caller who does not want to know."""


def test_what_a_form_brings_is_in_the_quarantine_with_its_hash(store: Store) -> None:
    stored = store.uploaded()
    assert (stored.size, stored.content_type, stored.sha256) == (len(PHOTO), "image/jpeg", sha256(PHOTO))
    assert stored.version
    assert abs(datetime.now(UTC) - stored.modified_at) < timedelta(minutes=1)


def test_nothing_is_found_where_nothing_is(store: Store) -> None:
    key = a_key()
    assert store.storage.head(Bucket.QUARANTINE, key) is None
    assert store.storage.head(Bucket.QUARANTINE, store.uploaded(key=key).key, version="0" * 32) is None


def test_a_form_used_twice_makes_versions_and_the_first_stays_readable(store: Store, tmp_path: Path) -> None:
    first = store.uploaded()
    second = store.uploaded(key=first.key)
    assert second.version != first.version
    assert store.storage.head(Bucket.QUARANTINE, first.key, version=first.version) == first
    assert store.storage.fetch(first, tmp_path / "it", on_bytes=ignore) == sha256(PHOTO)


def test_fetching_writes_the_bytes_and_tells_how_far_it_is(store: Store, tmp_path: Path) -> None:
    body = bytes(range(256)) * 10_000
    heard: list[int] = []
    digest = store.storage.fetch(store.uploaded(body), tmp_path / "it", on_bytes=heard.append)
    assert (tmp_path / "it").read_bytes() == body
    assert digest == sha256(body)
    assert heard[0] == 0
    assert heard[-1] == len(body)
    assert heard == sorted(heard)
    assert len(heard) > 2


def test_a_transfer_that_was_ended_is_continued_where_it_was(store: Store, tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(written: int) -> None:
        if written:
            raise Cancelled

    body, heard = bytes(range(256)) * 20_000, []
    stored, path = store.uploaded(body), tmp_path / "it"
    with pytest.raises(Cancelled):
        store.storage.fetch(stored, path, on_bytes=cancel)
    begun = path.stat().st_size
    assert 0 < begun < len(body)
    assert store.storage.fetch(stored, path, on_bytes=heard.append) == sha256(body)
    assert heard[0] == begun
    assert path.read_bytes() == body
    assert store.storage.fetch(stored, path, on_bytes=ignore) == sha256(body), "again, with everything there"


def test_more_bytes_than_there_were_are_not_taken(store: Store, tmp_path: Path) -> None:
    stored = store.uploaded()
    with pytest.raises(ObjectChanged):
        store.storage.fetch(replace(stored, size=stored.size - 1), tmp_path / "it", on_bytes=ignore)
    (tmp_path / "longer").write_bytes(PHOTO + b"more")
    with pytest.raises(ObjectChanged):
        store.storage.fetch(stored, tmp_path / "longer", on_bytes=ignore)


def test_fetching_what_was_deleted_says_that_it_is_missing(store: Store, tmp_path: Path) -> None:
    stored = store.uploaded()
    store.storage.delete(stored.bucket, [stored.key])
    with pytest.raises(ObjectMissing):
        store.storage.fetch(stored, tmp_path / "it", on_bytes=ignore)


def test_a_published_file_is_downloaded_with_the_headers_of_its_url(store: Store, tmp_path: Path) -> None:
    stored = store.published(tmp_path / "v", b"rendition")
    assert (stored.size, stored.sha256, stored.content_type) == (9, sha256(b"rendition"), "image/webp")
    disposition = "inline; filename=\"_.webp\"; filename*=UTF-8''%F0%9F%90%88.webp"
    signed = {"content_type": "image/webp", "disposition": disposition, "expires_in": MINUTES}
    body, headers = store.get(store.storage.download_url(stored.key, **signed))
    assert body == b"rendition"
    assert headers["content-type"] == "image/webp"
    assert headers["content-disposition"] == disposition
    assert headers["cache-control"] == HEADERS["cache_control"]


def test_publishing_again_is_harmless(store: Store, tmp_path: Path) -> None:
    first = store.published(tmp_path / "v", b"same")
    again = store.published(tmp_path / "v", b"same", key=first.key)
    assert (again.size, again.sha256, again.etag) == (first.size, first.sha256, first.etag)


def test_a_deleted_files_url_stops_working(store: Store, tmp_path: Path) -> None:
    stored = store.published(tmp_path / "v", b"gone soon")
    url = store.storage.download_url(stored.key, content_type="image/webp", disposition="inline", expires_in=MINUTES)
    store.get(url)
    store.storage.delete(Bucket.MEDIA, [stored.key])
    with pytest.raises((Refused, ObjectMissing)):
        store.get(url)


def test_an_upload_in_parts_survives_a_client_that_crashed(store: Store, tmp_path: Path) -> None:
    key, body = a_key(), bytes(range(256)) * (6 * 2**20 // 256)
    sizes = {1: FIVE_MIB, 2: len(body) - FIVE_MIB}
    upload_id = store.storage.begin_multipart(key, content_type="video/mp4")
    urls = store.storage.part_urls(key, upload_id, sizes, expires_in=MINUTES)
    etag = store.put_part(urls[1], body[:FIVE_MIB])
    assert store.storage.parts(key, upload_id) == [Part(1, etag, FIVE_MIB)], "what the next client need not send"

    rest = store.storage.part_urls(key, upload_id, {2: sizes[2]}, expires_in=MINUTES)
    store.put_part(rest[2], body[FIVE_MIB:])
    parts = store.storage.parts(key, upload_id)
    assert [(part.number, part.size) for part in parts] == list(sizes.items())
    store.storage.finish_multipart(key, upload_id, parts)
    stored = store.storage.head(Bucket.QUARANTINE, key)
    assert stored is not None
    assert (stored.size, stored.content_type, stored.sha256) == (len(body), "video/mp4", None)
    assert store.storage.fetch(stored, tmp_path / "it", on_bytes=ignore) == sha256(body)
    with pytest.raises(ObjectMissing):
        store.storage.parts(key, upload_id)


def test_parts_of_another_length_or_number_and_late_ones_are_refused(store: Store) -> None:
    key = a_key()
    upload_id = store.storage.begin_multipart(key, content_type="video/mp4")
    url = store.storage.part_urls(key, upload_id, {1: 100}, expires_in=MINUTES)[1]
    for body in (b"x" * 99, b"x" * 101, b""):
        with pytest.raises(Refused):
            store.put_part(url, body)
    assert store.storage.parts(key, upload_id) == []
    etag = store.put_part(url, b"x" * 100)
    for wrong in ([], [Part(1, '"0"', 100)], [Part(1, etag, 100), Part(2, etag, 100)]):
        with pytest.raises(Refused):
            store.storage.finish_multipart(key, upload_id, wrong)
    store.storage.finish_multipart(key, upload_id, [Part(1, etag, 100)])
    with pytest.raises((Refused, ObjectMissing)):
        store.put_part(url, b"y" * 100)
    stored = store.storage.head(Bucket.QUARANTINE, key)
    assert stored is not None
    assert stored.size == 100


def test_only_the_version_that_is_kept_is_left(store: Store) -> None:
    store.uploaded(b"first", key=(key := a_key()))
    kept = store.uploaded(b"second", key=key)
    neighbour, longer = store.uploaded(b"not this one"), store.uploaded(b"nor this", key=f"{key}0")
    store.uploaded(b"third", key=key)
    store.hide(Bucket.QUARANTINE, key)

    store.storage.keep(kept)
    store.storage.keep(kept)
    assert store.storage.head(Bucket.QUARANTINE, key) == kept, "nothing hides it any more"
    assert [each.size for each in store.storage.listed(Bucket.QUARANTINE, key).entries] == [kept.size, longer.size]
    assert store.storage.head(Bucket.QUARANTINE, neighbour.key) == neighbour


def test_every_open_upload_of_a_key_can_be_ended_and_what_is_stored_there_stays(store: Store) -> None:
    stored = store.uploaded(b"first")
    keys = (stored.key, stored.key, f"{stored.key}0")
    first, second, other = (store.storage.begin_multipart(key, content_type="video/mp4") for key in keys)
    store.storage.abort_multiparts(stored.key)
    store.storage.abort_multiparts(stored.key)
    for ended in (first, second):
        with pytest.raises(ObjectMissing):
            store.storage.parts(stored.key, ended)
    assert list(store.storage.parts(f"{stored.key}0", other)) == []
    assert store.storage.head(Bucket.QUARANTINE, stored.key) == stored


def test_deleting_leaves_no_version_no_marker_and_no_open_upload_of_these_keys(store: Store) -> None:
    stored, neighbour = store.uploaded(b"first"), store.uploaded(b"not this one")
    longer = store.uploaded(b"nor this", key=f"{stored.key}0")
    store.uploaded(b"second", key=stored.key)
    store.hide(Bucket.QUARANTINE, stored.key)
    store.uploaded(b"third", key=stored.key)
    upload_id = store.storage.begin_multipart(stored.key, content_type="video/mp4")

    store.storage.delete(Bucket.QUARANTINE, [stored.key, a_key()])
    listed = store.storage.listed(Bucket.QUARANTINE, stored.key).entries
    assert [entry.key for entry in listed] == [longer.key]
    with pytest.raises(ObjectMissing):
        store.storage.parts(stored.key, upload_id)
    assert store.storage.head(Bucket.QUARANTINE, neighbour.key) == neighbour
    store.storage.delete(Bucket.QUARANTINE, [stored.key])


def test_a_listing_shows_what_is_hidden_behind_a_delete_marker(store: Store) -> None:
    stored = store.uploaded(b"hidden")
    store.uploaded(b"hidden too", key=stored.key)
    store.hide(Bucket.QUARANTINE, stored.key)
    assert store.storage.head(Bucket.QUARANTINE, stored.key) is None
    (entry,) = store.storage.listed(Bucket.QUARANTINE, stored.key).entries
    assert (entry.key, entry.size) == (stored.key, 16)


def test_the_sizes_under_a_prefix_are_those_of_what_can_be_read(store: Store) -> None:
    folder = a_key()
    hidden = store.uploaded(b"hidden", key=f"{folder}/hidden")
    store.hide(Bucket.QUARANTINE, hidden.key)
    store.uploaded(b"the first version", key=f"{folder}/seen")
    newest = store.uploaded(b"the second", key=f"{folder}/seen")
    other = store.uploaded(b"other", key=f"{folder}/other")
    store.uploaded(b"beside", key=f"{folder}-beside/seen")
    assert store.storage.sizes(Bucket.QUARANTINE, f"{folder}/") == {newest.key: 10, other.key: 5}
    assert store.storage.sizes(Bucket.QUARANTINE, f"{a_key()}/") == {}


def test_a_long_listing_comes_in_pages_without_gaps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (listing, memory):
        monkeypatch.setattr(module, "_PAGE", 10)
    folder = a_key()
    keys = [f"{folder}/{number:02}" for number in range(25)]
    for key in keys:
        store.uploaded(b"x", key=key)
    found, after = [], None
    for _ in range(3):
        page = store.storage.listed(Bucket.QUARANTINE, folder, after=after)
        found += [entry.key for entry in page.entries]
        after = page.after
    assert found == keys
    assert after is None


def test_what_was_signed_is_not_shown_by_accident(store: Store) -> None:
    assert form_of(store.storage, "uploads/h/a", PHOTO).fields["policy"] not in repr(
        form_of(store.storage, "uploads/h/a", PHOTO)
    )
