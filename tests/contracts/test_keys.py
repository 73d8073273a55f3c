"""One suite for every keeper of master keys and secrets, and the rules of the key store over them."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import boto3
import pytest
from moto import mock_aws

from core.crypto import SYSTEM, CiphertextInvalid, FieldCipher, Subject, SubjectErased, WrappedKey
from core.ids import new_id
from core.settings import KeySettings, Settings
from domain.signing_keys import DAY, LEAST_AHEAD, PERIOD
from integrations.keys.aws import CLIENT_CONFIG, KmsKeyProvider, SecretsManagerStore
from integrations.keys.factory import KeysMisconfigured, open_keys
from integrations.keys.file import FileKeyProvider, FileModeTooWide, FileSecretStore
from integrations.keys.protocols import (
    KeyProvider,
    KeysRefused,
    KeysUnavailable,
    SecretChanged,
    SecretMissing,
    SecretStore,
)
from integrations.keys.secrets import (
    ensure_secrets,
    ensure_system_key,
    load_secrets,
    load_signing_keys,
    rotate_signing_keys,
)
from integrations.keys.store import KeyExists, KeyMissing, KeyStore

OWNER = {"kid": "user:1:1"}
OTHER = {"kid": "user:2:1"}


@dataclass
class Keeper:
    """One vendor under test: its two adapters, and how an operator rotates its master key."""

    provider: KeyProvider
    secrets: SecretStore
    directory: Path | None = None
    key_id: str = ""

    def rotate_master_key(self) -> None:
        if self.directory is not None:
            FileKeyProvider(self.directory).rotate()
        else:
            boto3.client("kms", region_name="us-east-1").rotate_key_on_demand(KeyId=self.key_id)


@pytest.fixture(params=["file", "aws"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    if request.param == "file":
        yield Keeper(FileKeyProvider(tmp_path / "keys"), FileSecretStore(tmp_path / "keys"), tmp_path / "keys")
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        kms = boto3.client("kms", region_name="us-east-1", config=CLIENT_CONFIG)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        mac = kms.create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")["KeyMetadata"]["KeyId"]
        secrets = boto3.client("secretsmanager", region_name="us-east-1", config=CLIENT_CONFIG)
        yield Keeper(KmsKeyProvider(kms, key_id=key, mac_key_id=mac), SecretsManagerStore(secrets), key_id=key)


async def test_a_data_key_comes_back_in_its_own_context(keeper: Keeper) -> None:
    fresh = await keeper.provider.generate_data_key(OWNER)
    assert len(fresh.secret) == 32
    assert fresh.secret not in fresh.wrapped
    assert await keeper.provider.unwrap(fresh.wrapped, OWNER) == fresh.secret


async def test_another_context_is_refused(keeper: Keeper) -> None:
    fresh = await keeper.provider.generate_data_key(OWNER)
    for context in (OTHER, {}, {**OWNER, "more": "x"}):
        with pytest.raises(KeysRefused):
            await keeper.provider.unwrap(fresh.wrapped, context)


async def test_an_altered_blob_is_refused(keeper: Keeper) -> None:
    fresh = await keeper.provider.generate_data_key(OWNER)
    for blob in (fresh.wrapped[:-1] + bytes([fresh.wrapped[-1] ^ 1]), b"short", b""):
        with pytest.raises((KeysRefused, KeysUnavailable)):
            await keeper.provider.unwrap(blob, OWNER)


async def test_a_key_wrapped_before_rotation_still_opens(keeper: Keeper) -> None:
    fresh = await keeper.provider.generate_data_key(OWNER)
    rewrapped, _ = await keeper.provider.wrap(fresh.secret, OWNER)
    keeper.rotate_master_key()
    later, _ = await keeper.provider.wrap(fresh.secret, OWNER)
    for blob in (fresh.wrapped, rewrapped, later):
        assert await keeper.provider.unwrap(blob, OWNER) == fresh.secret


async def test_a_mac_is_stable_and_differs_by_content(keeper: Keeper) -> None:
    first = await keeper.provider.mac(b"a")
    keeper.rotate_master_key()
    assert await keeper.provider.mac(b"a") == first
    assert await keeper.provider.mac(b"b") != first
    assert len(first) == 32


async def test_a_secret_is_created_once_and_keeps_its_former_value(keeper: Keeper) -> None:
    with pytest.raises(SecretMissing):
        await keeper.secrets.get("colour")
    assert await keeper.secrets.create("colour", "green")
    assert not await keeper.secrets.create("colour", "red")
    await keeper.secrets.rotate("colour", "blue", former="green")
    assert [await keeper.secrets.get("colour"), await keeper.secrets.get("colour", "previous")] == ["blue", "green"]


async def test_of_two_who_read_the_same_secret_one_may_change_it(keeper: Keeper) -> None:
    await keeper.secrets.create("colour", "green")
    changes = [keeper.secrets.rotate("colour", colour, former="green") for colour in ("blue", "red")]
    done = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(type(each) for each in done if each is not None) == [SecretChanged]
    now = await keeper.secrets.get("colour")
    assert now == ("blue" if done[0] is None else "red")
    await keeper.secrets.rotate("colour", "white", former=now)
    with pytest.raises(SecretChanged):
        await keeper.secrets.rotate("colour", "black", former=now)
    assert [await keeper.secrets.get("colour"), await keeper.secrets.get("colour", "previous")] == ["white", now]


async def test_keys_are_exchanged_once_by_every_keeper(keeper: Keeper) -> None:
    await ensure_secrets(keeper.secrets)
    (first,) = await load_signing_keys(keeper.secrets)
    later = first.signs_from + PERIOD
    for _ in range(2):
        former, following = await rotate_signing_keys(keeper.secrets, token_seconds=600, now=later)
    assert (former.kid, following.signs_from) == (first.kid, later + LEAST_AHEAD)
    (kept,) = await rotate_signing_keys(keeper.secrets, token_seconds=600, now=following.signs_from + DAY)
    assert kept.kid == following.kid


async def test_setup_makes_the_platforms_secrets_once(keeper: Keeper) -> None:
    await asyncio.gather(ensure_secrets(keeper.secrets), ensure_secrets(keeper.secrets))
    first = await load_secrets(keeper.secrets)
    await ensure_secrets(keeper.secrets)
    again = await load_secrets(keeper.secrets)
    assert (again.root, again.signing[0].kid) == (first.root, first.signing[0].kid)
    assert len(first.root) == 32
    assert first.derive("cursor") != first.derive("blind-index")
    assert "root" not in repr(first)


async def test_an_unreachable_kms_is_trouble_and_not_a_refusal() -> None:
    client = boto3.client(
        "kms",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=CLIENT_CONFIG,
    )
    with pytest.raises(KeysUnavailable):
        await KmsKeyProvider(client, key_id="k", mac_key_id="m").unwrap(b"blob", OWNER)


def test_key_files_that_others_can_read_refuse_the_start(tmp_path: Path) -> None:
    FileKeyProvider(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    (tmp_path / "master-0001.key").chmod(0o640)
    with pytest.raises(FileModeTooWide, match="chmod 600"):
        FileKeyProvider(tmp_path)


def test_key_files_are_refused_for_a_site_served_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        database_url="postgresql://localhost/x",
        redis_url="redis://localhost",
        public_url="https://petfolio.example",
        keys=KeySettings(provider="file", directory=tmp_path),
    )
    with pytest.raises(KeysMisconfigured):
        open_keys(settings)
    provider, _ = open_keys(settings.model_copy(update={"public_url": "https://localhost:8001"}))
    assert isinstance(provider, FileKeyProvider)


class Rows:
    """The `user_keys` table in memory, with a switch that makes it unreachable."""

    def __init__(self) -> None:
        self.rows: dict[str, WrappedKey] = {}
        self.reads = 0
        self.away = False

    async def newest(self, subject: Subject) -> WrappedKey | None:
        await self._read()
        rows = [row for row in self.rows.values() if row.subject == subject]
        return max(rows, key=lambda row: row.version, default=None)

    async def find(self, kid: str) -> WrappedKey | None:
        await self._read()
        return self.rows.get(kid)

    async def insert(self, key: WrappedKey) -> bool:
        return self.rows.setdefault(key.kid, key) is key

    def destroy(self, kid: str) -> None:
        self.rows[kid] = replace(self.rows[kid], wrapped=None, destroyed=True)

    async def _read(self) -> None:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionError("away")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(keeper: Keeper, rows: Rows, clock: Clock) -> KeyStore:
    return KeyStore(keeper.provider, rows, cache_seconds=300, size=3, clock=clock)


def somebody() -> Subject:
    return Subject.user(new_id())


async def test_a_created_key_encrypts_and_another_row_cannot_open_it(store: KeyStore) -> None:
    subject, row, cipher = somebody(), new_id(), FieldCipher(store)
    await store.create(subject)
    sealed = await cipher.seal(subject, "users.email_ct", row, "ada@example.com")
    assert await cipher.open("users.email_ct", row, sealed) == "ada@example.com"
    for column, other in (("users.email_ct", new_id()), ("users.phone_ct", row)):
        with pytest.raises(CiphertextInvalid):
            await cipher.open(column, other, sealed)


async def test_a_wrapped_key_moved_to_another_owner_does_not_open(store: KeyStore, rows: Rows) -> None:
    ada, bob = somebody(), somebody()
    await store.create(ada)
    await store.create(bob)
    rows.rows[f"{bob}:1"] = replace(rows.rows[f"{bob}:1"], wrapped=rows.rows[f"{ada}:1"].wrapped)
    with pytest.raises(KeysRefused):
        await store.current(bob)


async def test_reading_never_makes_a_key(store: KeyStore, rows: Rows) -> None:
    subject = somebody()
    with pytest.raises(KeyMissing):
        await store.current(subject)
    with pytest.raises(KeyMissing):
        await store.by_kid(f"{subject}:1")
    assert rows.rows == {}


async def test_a_second_key_for_the_same_owner_is_refused(store: KeyStore) -> None:
    subject = somebody()
    await store.create(subject)
    before = await store.current(subject)
    with pytest.raises(KeyExists):
        await store.create(subject)
    assert await store.current(subject) == before


async def test_a_destroyed_key_is_erased_once_the_cache_has_run_out(store: KeyStore, rows: Rows, clock: Clock) -> None:
    subject = somebody()
    await store.create(subject)
    key = await store.current(subject)
    assert await store.by_kid(key.kid) == key
    rows.destroy(key.kid)
    clock.now = 299
    assert await store.current(subject) == key
    clock.now = 301
    for read in (store.current(subject), store.by_kid(key.kid)):
        with pytest.raises(SubjectErased):
            await read


async def test_forgetting_a_subject_acts_at_once_and_on_nobody_else(store: KeyStore, rows: Rows) -> None:
    ada, bob = somebody(), somebody()
    for subject in (ada, bob):
        await store.create(subject)
        rows.destroy((await store.current(subject)).kid)
    store.forget(ada)
    with pytest.raises(SubjectErased):
        await store.current(ada)
    assert await store.current(bob)


async def test_a_database_that_is_away_is_not_an_erasure(store: KeyStore, rows: Rows) -> None:
    subject = somebody()
    await store.create(subject)
    rows.away = True
    with pytest.raises(ConnectionError):
        await store.current(subject)
    rows.away = False
    assert await store.current(subject)


async def test_many_readers_of_one_key_ask_once_even_when_the_first_gives_up(store: KeyStore, rows: Rows) -> None:
    subject = somebody()
    await store.create(subject)
    readers = [asyncio.create_task(store.current(subject)) for _ in range(50)]
    await asyncio.sleep(0)
    readers[0].cancel()
    keys = await asyncio.gather(*readers[1:])
    assert (len(set(keys)), rows.reads) == (1, 1)


async def test_the_cache_keeps_the_keys_used_last(store: KeyStore, rows: Rows) -> None:
    subjects = [somebody() for _ in range(4)]
    for subject in subjects:
        await store.create(subject)
    for subject in subjects[:3]:
        await store.current(subject)
    await store.current(subjects[0])
    await store.current(subjects[3])  # the fourth takes the place of the second
    rows.reads = 0
    await store.current(subjects[0])
    assert rows.reads == 0
    await store.current(subjects[1])
    assert rows.reads == 1


async def test_setup_makes_the_system_key_once(store: KeyStore, rows: Rows) -> None:
    await asyncio.gather(ensure_system_key(store), ensure_system_key(store))
    key = await store.current(SYSTEM)
    await ensure_system_key(store)
    assert [key.kid] == list(rows.rows) == ["system:1"]


async def test_secrets_of_a_key_are_not_in_its_repr(store: KeyStore) -> None:
    subject = Subject.user(UUID(bytes=os.urandom(16), version=4))
    await store.create(subject)
    key = await store.current(subject)
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
