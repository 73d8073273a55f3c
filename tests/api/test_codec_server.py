"""The codec server of the Temporal UI: who may read, what is read, and that it is noted."""

import base64
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from api.app import create_app
from api.routes.codec import PATH, CodecExposed
from core.crypto import Subject
from core.db import Database
from core.settings import ApiSettings, Settings
from integrations.keys.store import KeyStore
from temporal import ids
from temporal.codec import SubjectCodec
from tests.api.signing_in import Api, api_process, bearer

TOKEN = {"Authorization": "Bearer the-codec-token"}
UI = "http://localhost:8080"


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    return settings.model_copy(update={"codec_token": SecretStr("the-codec-token"), "temporal_ui_url": UI})


@pytest.fixture
def opened(settings: Settings) -> Settings:
    return settings.model_copy(update={"codec_open_on_loopback": True, "temporal_ui_url": UI})


async def sealed(keys: KeyStore, user_id: Any = None) -> dict[str, Any]:
    """A payload as the UI sends it."""
    codec = SubjectCodec(keys)
    if user_id:
        codec = codec.with_context(WorkflowSerializationContext("petfolio", ids.mail(user_id, uuid4())))
    (payload,) = await codec.encode([Payload(metadata={"encoding": b"json/plain"}, data=b'{"seq": 7}')])
    return {
        "metadata": {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()},
        "data": base64.b64encode(payload.data).decode(),
    }


def texts(answer: httpx.Response) -> list[bytes]:
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(payload["data"]) for payload in answer.json()["payloads"]]


async def decode(api: Api, *payloads: Any, headers: dict[str, str] | None = None, host: str = "test") -> httpx.Response:
    return await api.http.post(f"http://{host}{PATH}", json={"payloads": payloads}, headers=headers)


async def test_the_token_opens_payloads_and_each_call_is_noted(guarded: Settings, keys: KeyStore, db: Database) -> None:
    user_id = uuid4()
    await keys.create(Subject.user(user_id))
    foreign = {"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": "NDI="}
    async with api_process(guarded) as api:
        answer = await decode(api, await sealed(keys, user_id), foreign, await sealed(keys), headers=TOKEN)
    assert texts(answer) == [b'{"seq": 7}', b"42", b'{"seq": 7}']
    row = await db.reads.fetchrow(
        "SELECT actor, object FROM audit_log WHERE action = 'temporal.decode' ORDER BY id DESC"
    )
    assert row is not None
    assert tuple(row) == ("operator:token", f"3 payloads of system user:{user_id}")


async def test_what_belonged_to_the_erased_reads_as_erased(guarded: Settings, keys: KeyStore, db: Database) -> None:
    user_id = uuid4()
    await keys.create(Subject.user(user_id))
    payload = await sealed(keys, user_id)
    await db.reads.execute("UPDATE user_keys SET destroyed_at = now(), wrapped_dek = NULL WHERE owner_id = $1", user_id)
    async with api_process(guarded) as api:
        assert texts(await decode(api, payload, headers=TOKEN)) == [b'"erased"']


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guess"}, {"Authorization": "the-codec-token"}])
async def test_without_the_token_nothing_is_opened(guarded: Settings, keys: KeyStore, headers: dict[str, str]) -> None:
    async with api_process(guarded) as api:
        assert (await decode(api, await sealed(keys), headers=headers)).status_code == 401


async def test_without_a_token_of_its_own_it_is_for_operators_alone(api: Api, keys: KeyStore) -> None:
    assert (await decode(api, await sealed(keys), headers=TOKEN, host="127.0.0.1")).status_code == 401
    person = await api.person()
    signed_in = bearer(person.access_token)
    assert (await decode(api, await sealed(keys), headers=signed_in)).status_code == 401
    await api.identity.db.reads.execute("UPDATE users SET is_staff = true WHERE id = $1", person.user_id)
    assert texts(await decode(api, await sealed(keys), headers=signed_in)) == [b'{"seq": 7}']


async def test_the_local_stack_opens_it_for_loopback_names_only(opened: Settings, keys: KeyStore) -> None:
    async with api_process(opened) as api:
        assert texts(await decode(api, await sealed(keys), host="localhost:8000")) == [b'{"seq": 7}']
        assert (await decode(api, await sealed(keys), host="rebound.example:8000")).status_code == 401


async def test_an_api_that_others_reach_does_not_start_with_an_open_codec(opened: Settings) -> None:
    with pytest.raises(CodecExposed):
        create_app(opened.model_copy(update={"api": ApiSettings(host="0.0.0.0")}))


async def test_the_ui_and_no_other_page_may_call_it(opened: Settings, keys: KeyStore) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    async with api_process(opened) as api:
        ui = await api.http.options(PATH, headers=asks | {"Origin": UI})
        same = await api.http.options(PATH, headers=asks | {"Origin": "http://127.0.0.1:8080"})
        other = await api.http.options(PATH, headers=asks | {"Origin": "https://evil.example"})
        read = await decode(api, await sealed(keys), headers={"Origin": UI}, host="localhost:8000")
    assert (ui.status_code, same.status_code, other.status_code) == (200, 200, 400)
    assert ui.headers["access-control-allow-origin"] == UI == read.headers["access-control-allow-origin"]


@pytest.mark.parametrize(
    "body",
    [
        {"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA==", "kid": "c3lzdGVtOjE="}, "data": "AAAA"}]},
        {"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}, "data": ""}]},
        {"payloads": [{"metadata": {"encoding": "a"}}]},
        {"payloads": "all"},
        [],
    ],
)
async def test_what_cannot_be_opened_is_422(guarded: Settings, body: Any) -> None:
    async with api_process(guarded) as api:
        assert (await api.http.post(PATH, json=body, headers=TOKEN)).status_code == 422
