"""The keys of access tokens change while processes serve: nobody notices, and nobody can make them ask too often."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jwt as pyjwt
import pytest
from joserfc.jwk import ECKey
from temporalio.testing import ActivityEnvironment

import api.signing_keys
from activities.signing_keys import SigningKeyActivities
from api.signing_keys import LEAST_SECONDS, SigningKeys
from api.tokens import Caller, KeyUnknown, TokenRefused, Tokens
from core.db import Database
from core.ids import new_id
from core.settings import AuthSettings, KeySettings, Settings
from domain.signing_keys import DAY, PERIOD
from integrations.keys.factory import open_keys
from integrations.keys.file import FileSecretStore
from integrations.keys.protocols import KeysUnavailable, SecretChanged, SecretStore, Stage
from integrations.keys.secrets import SIGNING, SigningKey, ensure_secrets, load_signing_keys, new_signing_entry
from temporal.contracts.signing_keys import RotateSigningKeys
from tests.api.signing_in import OPEN, Api, api_process, bearer
from tests.relay.kit import until


class Clock:
    """Seconds, moved by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Store:
    """A secret store that counts how often it is asked, and can be away or slow."""

    def __init__(self, store: FileSecretStore) -> None:
        self.inner, self.asked, self.away = store, 0, False
        self.slow: asyncio.Event | None = None

    async def get(self, name: str, stage: Stage = "current") -> str:
        self.asked += 1
        if self.away:
            raise KeysUnavailable("away")
        value = await self.inner.get(name, stage)
        if self.slow is not None:
            await self.slow.wait()
        return value

    async def create(self, name: str, value: str) -> bool:
        return await self.inner.create(name, value)

    async def rotate(self, name: str, value: str, *, former: str) -> None:
        await self.inner.rotate(name, value, former=former)


@dataclass
class Process:
    """The part of an api process that makes and checks tokens."""

    tokens: Tokens
    keys: SigningKeys

    @classmethod
    async def start(cls, store: SecretStore, clock: Clock) -> "Process":
        tokens = Tokens(AuthSettings(), await load_signing_keys(store), clock=clock)
        return cls(tokens, SigningKeys(store, tokens, clock=clock))

    def mint(self) -> str:
        return self.tokens.mint(new_id(), new_id(), datetime.now(UTC), ["pwd"])

    async def verify(self, token: str) -> Caller:
        try:
            return self.tokens.verify(token)
        except KeyUnknown:
            return await self.keys.verify(token)

    def published(self) -> list[str]:
        keys = json.loads(json.dumps(self.tokens.jwks()))["keys"]
        assert all(set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"} for key in keys)
        return [key["kid"] for key in keys]


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    store = Store(FileSecretStore(tmp_path / "keys"))
    await ensure_secrets(store)
    return store


async def rotate(store: SecretStore, clock: Clock, *, discard_all: bool = False) -> int:
    """One run of the job: how many keys are published now."""
    job = SigningKeyActivities(store, token_seconds=600, clock=clock).rotate_signing_keys
    return (await ActivityEnvironment().run(job, RotateSigningKeys(discard_all))).published


async def add_key(store: SecretStore, signs_from: float) -> str:
    """A further key in the store; its id."""
    former = await store.get(SIGNING)
    entry = new_signing_entry(signs_from=int(signs_from))
    await store.rotate(SIGNING, json.dumps({"keys": [*json.loads(former)["keys"], entry]}), former=former)
    return (await load_signing_keys(store))[-1].kid


def kid_of(token: str) -> str:
    return str(pyjwt.get_unverified_header(token)["kid"])


async def test_in_a_year_of_exchanges_every_token_is_accepted_everywhere(store: Store, clock: Clock) -> None:
    mints, checks = await Process.start(store, clock), await Process.start(store, clock)
    announced, signed = {kid: 0.0 for kid in mints.published()}, dict[str, float]()
    for _ in range(370):
        assert await rotate(store, clock) in (1, 2)
        await mints.keys.look()
        for kid in mints.published():
            announced.setdefault(kid, clock.now)
        token = mints.mint()
        signed.setdefault(kid_of(token), clock.now)
        await checks.verify(token)  # who learns of a key from its token only
        clock.now += DAY
        with pytest.raises(TokenRefused):
            await checks.verify(token)
    assert len(signed) == 5
    assert all(signed[kid] - announced[kid] >= DAY for kid in signed)
    assert len(await load_signing_keys(store)) <= 2


async def test_two_runs_at_once_make_one_key(store: Store, clock: Clock) -> None:
    clock.now += PERIOD
    store.slow = asyncio.Event()
    runs = [asyncio.create_task(rotate(store, clock)) for _ in range(2)]
    await until(lambda: asyncio.sleep(0, store.asked == 2))
    store.slow.set()  # both have read the same
    done = await asyncio.gather(*runs, return_exceptions=True)
    assert [each for each in done if isinstance(each, int)] == [2]
    assert [SecretChanged] == [type(each) for each in done if not isinstance(each, int)]
    assert await rotate(store, clock) == 2, "the attempt after finds nothing to do"


async def test_a_key_that_is_not_known_yet_is_read_once_however_many_ask(store: Store, clock: Clock) -> None:
    here = await Process.start(store, clock)
    new = await add_key(store, clock.now)
    there = await Process.start(store, clock)
    token = there.mint()
    assert kid_of(token) == new
    store.asked, store.slow = 0, asyncio.Event()
    asking = [asyncio.create_task(here.verify(token)) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    store.slow.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert set(answers[1:]) == {await there.verify(token)}
    assert store.asked == 1


async def test_invented_keys_make_nobody_ask_more_than_once_a_minute(store: Store, clock: Clock) -> None:
    here = await Process.start(store, clock)
    stranger = SigningKey(ECKey.generate_key("P-256"), "invented", 0)
    invented = Process(Tokens(AuthSettings(), (stranger,)), here.keys)
    store.asked = 0
    for _ in range(3):
        for _ in range(40):
            with pytest.raises(TokenRefused):
                await here.verify(invented.mint())
        clock.now += LEAST_SECONDS
    assert store.asked == 3


async def test_while_the_store_is_away_known_keys_serve(store: Store, clock: Clock) -> None:
    here = await Process.start(store, clock)
    await add_key(store, clock.now)
    there = await Process.start(store, clock)
    old, new = here.mint(), there.mint()
    store.away = True
    await here.verify(old)
    with pytest.raises(TokenRefused):
        await here.verify(new)
    store.away = False
    clock.now += LEAST_SECONDS
    await here.verify(new)
    await here.verify(old)


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"signs_from": "0", "jwk": {}}]}'])
async def test_a_broken_secret_changes_nothing(store: Store, clock: Clock, broken: str) -> None:
    here = await Process.start(store, clock)
    token = here.mint()
    await store.rotate(SIGNING, broken, former=await store.get(SIGNING))
    await here.keys.look()
    await here.verify(token)
    assert here.published() == [kid_of(token)]
    assert kid_of(here.mint()) == kid_of(token)


async def test_a_key_that_has_leaked_is_thrown_away_with_its_tokens(store: Store, clock: Clock) -> None:
    here = await Process.start(store, clock)
    token = here.mint()
    await here.verify(token)
    assert await rotate(store, clock, discard_all=True) == 1
    await here.keys.look()
    assert kid_of(token) not in here.published()
    with pytest.raises(TokenRefused):
        await here.verify(token)
    await here.verify(here.mint())


async def test_a_running_process_looks_by_itself(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.signing_keys, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(api.signing_keys, "LEAST_SECONDS", 0)
    here = await Process.start(store, clock)
    watching = asyncio.create_task(here.keys.watch())
    store.away = True
    kid = await add_key(store.inner, clock.now + DAY)
    await until(lambda: asyncio.sleep(0, store.asked > 5))  # an outage does not end it
    store.away = False
    await until(lambda: asyncio.sleep(0, kid in here.published()))
    watching.cancel()


@pytest.fixture(scope="module")
def settings(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Keys of the module's own: it exchanges them."""
    own = KeySettings(provider="file", directory=tmp_path_factory.mktemp("own-keys"))
    return settings.model_copy(update={"keys": own, "rate_limits": OPEN})


@pytest.fixture
async def processes(settings: Settings, db: Database) -> AsyncIterator[tuple[Api, Api]]:
    async with api_process(settings) as one, api_process(settings) as other:
        yield one, other


async def test_two_api_processes_learn_of_a_key_without_a_restart(
    settings: Settings, processes: tuple[Api, Api]
) -> None:
    one, other = processes
    person = await one.person()
    former = kid_of(person.access_token)
    new = await add_key(open_keys(settings)[1], time.time())
    await one.identity.signing_keys.look()  # what it does every five minutes
    token = (await one.login(person.email)).json()["access_token"]
    assert kid_of(token) == new

    async def ask(each: str) -> int:
        return (await other.http.get("/api/v1/auth/sessions", headers=bearer(each))).status_code

    assert set(await asyncio.gather(*[ask(token) for _ in range(20)])) == {200}
    assert await ask(person.access_token) == 200
    jwks = await other.http.get("/.well-known/jwks.json")
    assert jwks.headers["cache-control"] == "max-age=300"
    assert {former, new} == {key["kid"] for key in jwks.json()["keys"]}
