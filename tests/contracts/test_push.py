"""What every way to devices promises, asked of the memory adapter and of both services; and what each service gets."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from joserfc.jwk import ECKey
from pydantic import SecretStr

from core.settings import Settings
from integrations.notify.fcm import FcmChannel, open_fcm
from integrations.notify.memory import MemoryPushChannel
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable, Push, PushChannel, TargetGone
from integrations.notify.webpush import WebPushChannel
from tests.services import AwsServer, PushServer

PUSH = Push(
    title="Milo – Tablet 🐈",
    body="Due today at 08:00.",
    link="https://petfolio.test/",
    collapse_key=str(uuid4()),
    ttl_seconds=3600,
    urgent=True,
)


@pytest.fixture
async def fcm(aws: AwsServer, settings: Settings) -> AsyncIterator[FcmChannel]:
    credentials = SecretStr(aws.push.account)
    channel = open_fcm(settings.model_copy(update={"fcm_endpoint": aws.push.origin, "fcm_credentials": credentials}))
    assert channel is not None
    yield channel
    await channel.close()
    aws.push.clear_faults()


@pytest.fixture
async def webpush(aws: AwsServer) -> AsyncIterator[WebPushChannel]:
    channel = WebPushChannel(ECKey.generate_key("P-256"), "mailto:push@petfolio.test", (aws.push.origin,), 4)
    yield channel
    await channel.close()
    aws.push.clear_faults()


@dataclass
class Way:
    """One of the adapters, and how its service is made to fail."""

    name: str
    channel: PushChannel
    server: PushServer

    def target(self) -> str:
        return self.server.subscription() if self.name == "webpush" else uuid4().hex

    def leaves(self, target: str) -> None:
        if isinstance(self.channel, MemoryPushChannel):
            self.channel.gone.add(target)
        else:
            self.server.leaves(json.loads(target)["endpoint"] if self.name == "webpush" else target)

    def is_busy(self, target: str) -> None:
        if isinstance(self.channel, MemoryPushChannel):
            self.channel.away[target] = 1
        else:
            self.server.fault(status=429, service=self.name)

    def acts_and_says_nothing(self) -> None:
        if isinstance(self.channel, MemoryPushChannel):
            self.channel.drop_next = 1
        else:
            self.server.fault(status=503, when="after", service=self.name)


@pytest.fixture(params=["memory", "fcm", "webpush"])
def way(request: pytest.FixtureRequest, aws: AwsServer) -> Way:
    channel = MemoryPushChannel() if request.param == "memory" else request.getfixturevalue(request.param)
    return Way(request.param, channel, aws.push)


async def test_a_message_is_taken_over_with_a_receipt(way: Way) -> None:
    assert (await way.channel.push(PUSH, way.target(), idempotency_key=uuid4())).provider_id


async def test_a_device_that_has_left_is_gone(way: Way) -> None:
    target = way.target()
    way.leaves(target)
    with pytest.raises(TargetGone):
        await way.channel.push(PUSH, target, idempotency_key=uuid4())


async def test_a_service_that_is_busy_names_a_time_and_is_asked_again(way: Way) -> None:
    target, key = way.target(), uuid4()
    way.is_busy(target)
    with pytest.raises(ProviderUnavailable) as raised:
        await way.channel.push(PUSH, target, idempotency_key=key)
    assert (raised.value.retry_after or 0) > 0
    assert not raised.value.ambiguous
    assert await way.channel.push(PUSH, target, idempotency_key=key)


async def test_a_lost_acknowledgement_says_that_it_may_have_arrived(way: Way) -> None:
    way.acts_and_says_nothing()
    with pytest.raises(ProviderUnavailable) as raised:
        await way.channel.push(PUSH, way.target(), idempotency_key=uuid4())
    assert raised.value.ambiguous


@pytest.mark.parametrize(
    "text", ["\u202egnp.exe", "🐈" * 80, '"}],"x":[{', "</script><b>", "\ud800 half"], ids=range(5)
)
async def test_whatever_people_type_arrives_and_is_not_too_long(way: Way, text: str) -> None:
    push = replace(PUSH, title=text[:80], body=text * 180 if len(text) == 1 else text)
    assert await way.channel.push(push, way.target(), idempotency_key=uuid4())


async def test_nobody_at_the_other_end_is_no_lost_message(aws: AwsServer, way: Way) -> None:
    """Refused connections: nothing was sent, so nothing can have arrived."""
    if way.name == "memory":
        return
    target, nobody = way.target(), "http://127.0.0.1:9"
    if isinstance(way.channel, FcmChannel):
        way.channel._url = nobody
    else:
        target = target.replace(aws.push.origin, nobody)
        way.channel._services = (nobody,)  # type: ignore[attr-defined]
    with pytest.raises(ProviderUnavailable) as raised:
        await way.channel.push(PUSH, target, idempotency_key=uuid4())
    assert not raised.value.ambiguous
    assert "127.0.0.1" not in str(raised.value)


def message_to(aws: AwsServer, target: str) -> dict[str, Any]:
    (kept,) = aws.messages(target, "push")
    return kept


async def test_a_phone_gets_what_it_needs_to_replace_the_one_before(aws: AwsServer, fcm: FcmChannel) -> None:
    target, key = uuid4().hex, uuid4()
    await fcm.push(PUSH, target, idempotency_key=key)
    kept = message_to(aws, target)
    assert (kept["subject"], kept["text"]) == (PUSH.title, PUSH.body)
    assert kept["headers"]["delivery"] == str(key)
    android = json.loads(kept["headers"]["android"])
    assert (android["collapse_key"], android["priority"], android["ttl"]) == (PUSH.collapse_key, "HIGH", "3600s")
    assert android["notification"]["tag"] == PUSH.collapse_key


async def test_what_is_taken_back_makes_no_sound(aws: AwsServer, fcm: FcmChannel, webpush: WebPushChannel) -> None:
    phone, browser = uuid4().hex, aws.push.subscription()
    for channel, target in ((fcm, phone), (webpush, browser)):
        await channel.push(replace(PUSH, withdrawn=True), target, idempotency_key=uuid4())
    assert json.loads(message_to(aws, phone)["headers"]["android"])["priority"] == "NORMAL"
    kept = message_to(aws, json.loads(browser)["endpoint"].rpartition("/")[2])
    assert kept["headers"]["Urgency"] == "low"
    assert kept["headers"]["withdrawn"] == "true"


async def test_only_the_browser_can_read_it_and_newer_ones_replace_it(aws: AwsServer, webpush: WebPushChannel) -> None:
    browser, key = aws.push.subscription(), uuid4()
    await webpush.push(PUSH, browser, idempotency_key=key)
    kept = message_to(aws, json.loads(browser)["endpoint"].rpartition("/")[2])
    assert (kept["subject"], kept["text"]) == (PUSH.title, PUSH.body)
    assert kept["headers"]["Topic"] == PUSH.collapse_key.replace("-", "")
    assert (kept["headers"]["TTL"], kept["headers"]["Urgency"]) == ("3600", "high")
    assert aws.push.calls()[-1]["key"] == str(key)


async def test_an_access_token_is_asked_for_once_and_again_when_it_is_refused(aws: AwsServer, fcm: FcmChannel) -> None:
    await asyncio.gather(*(fcm.push(PUSH, uuid4().hex, idempotency_key=uuid4()) for _ in range(5)))
    token = fcm._access.token
    await fcm.push(PUSH, uuid4().hex, idempotency_key=uuid4())
    assert fcm._access.token == token
    aws.push.revokes_tokens()
    assert await fcm.push(PUSH, uuid4().hex, idempotency_key=uuid4())
    assert fcm._access.token != token


async def test_an_account_that_google_does_not_know_keeps_the_message(aws: AwsServer, fcm: FcmChannel) -> None:
    fcm._account = fcm._account.model_copy(update={"client_email": "somebody@else.test"})
    with pytest.raises(ProviderUnavailable, match="no access token"):
        await fcm.push(PUSH, uuid4().hex, idempotency_key=uuid4())


@pytest.mark.parametrize(
    "target",
    [
        "",
        "null",
        "[]",
        '{"endpoint": "https://evil.test/"}',
        '{"endpoint": "ORIGIN/push/1", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}',
        '{"endpoint": "http://169.254.169.254/latest", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}',
    ],
)
async def test_a_subscription_that_is_none_is_forgotten_and_nobody_is_asked(
    aws: AwsServer, webpush: WebPushChannel, target: str
) -> None:
    before = len(aws.push.calls())
    with pytest.raises(TargetGone):
        await webpush.push(PUSH, target.replace("ORIGIN", aws.push.origin), idempotency_key=uuid4())
    assert len(aws.push.calls()) == before


async def test_a_vapid_token_of_another_service_is_not_shown_to_this_one(
    aws: AwsServer, webpush: WebPushChannel
) -> None:
    """A push service that got our token for another could speak to browsers in our name."""
    first = webpush._authorization(f"{aws.push.origin}/push/1")
    assert webpush._authorization(f"{aws.push.origin}/push/2") == first
    assert webpush._authorization("https://web.push.apple.com/Q") != first


@pytest.mark.parametrize(
    ("status", "kind"), [(413, ProviderRefused), (400, ProviderRefused), (403, ProviderUnavailable)]
)
async def test_what_will_never_work_is_refused_and_our_own_fault_is_not(
    aws: AwsServer, webpush: WebPushChannel, status: int, kind: type[Exception]
) -> None:
    aws.push.fault(status=status, service="webpush")
    with pytest.raises(kind) as raised:
        await webpush.push(PUSH, aws.push.subscription(), idempotency_key=uuid4())
    assert not isinstance(raised.value, TargetGone)
