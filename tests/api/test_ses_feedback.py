"""What SES reports arrives through SNS, is written down once, and never takes a mail back."""

import asyncio
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from api.schemas.notifications import SuppressionOut
from api.services import Services
from core.db import Database
from core.ids import new_id
from core.settings import FeedbackSettings, Settings
from infra.local.ses_events import Feedback, event
from infra.local.sns_signing import Signer
from integrations.notify.feedback.sns import SnsEndpoint
from models.notification import DeliveryState
from models.queries import deliveries, feedback
from models.session import MailTokenKind
from tests.api.signing_in import OPEN, Api, Person, api_process, audit_of

TOPIC = "arn:aws:sns:us-east-1:123456789012:petfolio-ses-events"
CERTIFICATE = "http://127.0.0.1:1/certificate.pem"
SIGNER = Signer(CERTIFICATE)
WEBHOOK = "/api/v1/webhooks/ses"


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """The topic is configured."""
    configured = FeedbackSettings(topic_arn=TOPIC, local_certificate=CERTIFICATE)
    return settings.model_copy(update={"rate_limits": OPEN, "feedback": configured})


class Amazon:
    """Where the certificate lies: the network is the one part that is not real here."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.asked: list[httpx.URL] = []
        self.status = 200
        self.listens_anew()

    def listens_anew(self) -> None:
        """As after a start of the api, when no certificate is known."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        endpoint = SnsEndpoint(TOPIC, http, local_certificate=CERTIFICATE)
        object.__setattr__(self.services, "mail_feedback", endpoint)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        return httpx.Response(self.status, content=SIGNER.certificate)


@pytest.fixture(scope="module", autouse=True)
async def amazon(app: FastAPI) -> Amazon:
    return Amazon(app.state.services)


async def post(api: Api, body: bytes) -> httpx.Response:
    """As SNS does: JSON that calls itself text."""
    return await api.http.post(WEBHOOK, content=body, headers={"Content-Type": "text/plain; charset=UTF-8"})


async def report(api: Api, mail: "Mail", kind: Feedback, **more: Any) -> str:
    """SES tells us; answers SNS' name of the message."""
    message = SIGNER.message(TOPIC, event(kind, mail.provider_id, mail.to, **more))
    assert (await post(api, json.dumps(message).encode())).status_code == 204
    return message["MessageId"]


class Mail:
    """One mail in the ledger."""

    def __init__(self, db: Database, delivery_id: UUID, to: str) -> None:
        self.db, self.id, self.to = db, delivery_id, to
        self.provider_id = f"ses-{delivery_id}"

    async def state(self) -> tuple[str, str | None]:
        row = await self.db.reads.fetchrow("SELECT state, reason FROM deliveries WHERE id = $1", self.id)
        return row["state"], row["reason"]

    async def diary(self) -> list[tuple[str, str | None]]:
        rows = await self.db.reads.fetch(
            "SELECT kind, code FROM delivery_events WHERE delivery_id = $1 ORDER BY id", self.id
        )
        return [(row["kind"], row["code"]) for row in rows]


async def sent(db: Database, person: Person, state: str = "sent", **columns: Any) -> Mail:
    """A mail to this person that the provider took."""
    mail = Mail(db, new_id(), person.email)
    values = {"id": mail.id, "event_key": f"test/{mail.id}", "user_id": person.user_id, "channel": "email"}
    values |= {"step": "due", "template": "reminder_due", "state": state, "attempt": 1, "category": "grooming"}
    values |= {"provider_id": mail.provider_id if state == "sent" else None, **columns}
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await db.reads.execute(f"INSERT INTO deliveries ({', '.join(values)}) VALUES ({places})", *values.values())
    return mail


async def suppressed(db: Database, person: Person) -> str | None:
    known_by = person.api.identity.blind_index(person.email)
    return await db.reads.fetchval("SELECT reason FROM mail_suppressions WHERE address_hmac = $1", known_by)


def counted(verdict: str, known: str) -> float:
    return REGISTRY.get_sample_value("petfolio_mail_feedback_total", {"verdict": verdict, "known": known}) or 0.0


async def test_a_receipt_makes_a_mail_delivered(api: Api, db: Database, person: Person) -> None:
    mail = await sent(db, person)
    await report(api, mail, "delivery")
    assert await mail.state() == ("delivered", None)
    assert await mail.diary() == [("delivered", "delivery")]
    assert await suppressed(db, person) is None


async def test_a_permanent_bounce_fails_the_mail_and_suppresses_the_address(
    api: Api, db: Database, person: Person
) -> None:
    mail = await sent(db, person)
    await report(api, mail, "bounce")
    assert await mail.state() == ("failed", "bounced")
    assert await mail.diary() == [("bounced", "Permanent/General")]
    assert await suppressed(db, person) == "bounce"


@pytest.mark.parametrize(
    ("subtype", "state"),
    [("General", ("sent", None)), ("MailboxFull", ("failed", "bounced")), ("ContentRejected", ("failed", "bounced"))],
)
async def test_a_transient_bounce_suppresses_nothing(
    api: Api, db: Database, person: Person, subtype: str, state: Any
) -> None:
    """`General` may be somebody's holiday: it is recorded, and the mail stays sent."""
    mail = await sent(db, person)
    await report(api, mail, "bounce", bounceType="Transient", bounceSubType=subtype)
    assert await mail.state() == state
    assert await mail.diary() == [("bounced", f"Transient/{subtype}")]
    assert await suppressed(db, person) is None


async def test_a_complaint_suppresses_the_address_and_outweighs_a_bounce(
    api: Api, db: Database, person: Person
) -> None:
    complained, bounced = await sent(db, person), await sent(db, person)
    await report(api, bounced, "bounce")
    await report(api, complained, "complaint")
    assert await complained.state() == ("delivered", None)
    assert await complained.diary() == [("complained", "abuse")]
    assert await suppressed(db, person) == "complaint"
    await report(api, await sent(db, person), "bounce")
    assert await suppressed(db, person) == "complaint"


async def test_who_says_that_it_is_no_spam_does_not_complain(api: Api, db: Database, person: Person) -> None:
    mail = await sent(db, person)
    await report(api, mail, "complaint", complaintFeedbackType="not-spam")
    assert await mail.state() == ("delivered", None)
    assert await suppressed(db, person) is None


async def test_a_delay_is_recorded_and_a_rejection_fails(api: Api, db: Database, person: Person) -> None:
    mail = await sent(db, person)
    await report(api, mail, "delay")
    assert await mail.state() == ("sent", None)
    await report(api, mail, "reject")
    assert await mail.state() == ("failed", "provider_refused")
    assert await mail.diary() == [("delayed", "MailboxFull"), ("refused", "reject")]


async def test_a_receipt_after_a_bounce_changes_nothing_and_a_bounce_after_a_receipt_counts(
    api: Api, db: Database, person: Person
) -> None:
    mail = await sent(db, person)
    await report(api, mail, "delivery")
    await report(api, mail, "bounce")
    assert await mail.state() == ("failed", "bounced")
    await report(api, mail, "delivery")
    await report(api, mail, "complaint")
    assert await mail.state() == ("failed", "bounced")
    assert [kind for kind, _ in await mail.diary()] == ["delivered", "bounced", "delivered", "complained"]


async def test_a_message_that_comes_again_and_at_once_is_written_down_once(
    api: Api, db: Database, person: Person
) -> None:
    mail = await sent(db, person)
    before = counted("bounced", "new"), counted("bounced", "repeated")
    body = json.dumps(SIGNER.message(TOPIC, event("bounce", mail.provider_id, mail.to))).encode()
    answers = await asyncio.gather(*(post(api, body) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {204}
    assert await mail.diary() == [("bounced", "Permanent/General")]
    assert (counted("bounced", "new"), counted("bounced", "repeated")) == (before[0] + 1, before[1] + 4)


async def test_a_mail_that_is_not_ours_is_welcome_and_counted(api: Api, db: Database, person: Person) -> None:
    before = counted("bounced", "unknown")
    await report(api, Mail(db, new_id(), person.email), "bounce")
    assert counted("bounced", "unknown") == before + 1
    assert await suppressed(db, person) is None


@pytest.mark.parametrize(
    ("kind", "state"), [("delivery", "delivered"), ("complaint", "delivered"), ("bounce", "failed")]
)
async def test_our_header_finds_a_mail_whose_acknowledgement_was_lost_and_ends_its_sending(
    api: Api, db: Database, person: Person, kind: str, state: str
) -> None:
    lease = datetime.now(UTC) + timedelta(seconds=20)
    mail = await sent(db, person, "planned", reason="acknowledgement_lost", claimed_until=lease)
    await report(api, mail, kind, headers=[{"name": "x-petfolio-delivery", "value": str(mail.id)}])
    row = await db.reads.fetchrow("SELECT state, provider_id, claimed_until FROM deliveries WHERE id = $1", mail.id)
    assert tuple(row) == (state, mail.provider_id, None)


@pytest.mark.parametrize("outcome", [DeliveryState.SENT, DeliveryState.FAILED])
async def test_a_report_that_was_quicker_than_our_own_note_is_not_overwritten_by_it(
    api: Api, db: Database, person: Person, outcome: DeliveryState
) -> None:
    mail = await sent(db, person, "planned")
    await report(api, mail, "bounce", headers=[{"name": "X-Petfolio-Delivery", "value": str(mail.id)}])
    async with db.sessions.begin() as session:
        await deliveries.settle(session, mail.id, outcome, provider_id=mail.provider_id)
        await deliveries.release(session, mail.id, "provider_unavailable", ambiguous=True)
    assert await mail.state() == ("failed", "bounced")
    assert await mail.diary() == [("bounced", "Permanent/General")]


async def test_a_mail_is_found_by_an_index_with_and_without_our_header(db: Database, person: Person) -> None:
    await db.reads.execute(
        """INSERT INTO deliveries (id, event_key, user_id, channel, step, template, state, provider_id, attempt)
           SELECT gen_random_uuid(), 'many/' || n, $1, 'email', 'due', 'x', 'withdrawn', 'p' || n, 1
             FROM generate_series(1, 20000) n""",
        person.user_id,
    )
    await db.reads.execute("ANALYZE deliveries")
    query = feedback.LOCK.replace(":delivery_id", "$1").replace(":provider_id", "$2")
    async with db.reads.acquire() as connection, connection.transaction():
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            for header in (None, new_id()):
                plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", header, "p7"))
                assert "Seq Scan" not in plan, plan


async def test_it_is_the_address_we_wrote_to_that_is_suppressed(api: Api, db: Database, person: Person) -> None:
    """Another spelling of it, and not what a server far away says about forwarding."""
    mail = await sent(db, person)
    mail.to = person.email.upper().replace("EXAMPLE.TEST", "Example.test")
    await report(api, mail, "bounce", bouncedRecipients=[{"emailAddress": "elsewhere@example.test"}])
    assert await suppressed(db, person) == "bounce"


class TestSilence:
    """A reminder whose mail came back is told of in the app."""

    @pytest.fixture
    async def reminder(self, person: Person) -> dict[str, Any]:
        at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        body = {"title": "Brush", "reminder_date": at, "category": "grooming", "notification_methods": ["email"]}
        answer = await person.request("POST", "/reminders", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def notice(
        self, db: Database, person: Person, reminder: dict[str, Any], state: str = "sent", **columns: Any
    ) -> Mail:
        occurrence = await db.reads.fetchrow(
            "SELECT id, key FROM occurrences WHERE reminder_id = $1", UUID(reminder["id"])
        )
        of = {"reminder_id": UUID(reminder["id"]), "occurrence_id": occurrence["id"]}
        key = f"reminder/{reminder['id']}/{occurrence['key']}"
        return await sent(db, person, state, event_key=key, **(of | columns))

    async def lines(self, db: Database, person: Person) -> list[str]:
        rows = await db.reads.fetch(
            "SELECT d.step FROM notifications n JOIN deliveries d ON d.id = n.delivery_id WHERE n.user_id = $1",
            person.user_id,
        )
        return [row["step"] for row in rows]

    async def shown(self, person: Person) -> list[str]:
        return [line["step"] for line in (await person.request("GET", "/notifications")).json()["items"]]

    async def test_its_owner_finds_a_line_in_the_app_once(
        self, api: Api, db: Database, person: Person, reminder: dict[str, Any]
    ) -> None:
        mail = await self.notice(db, person, reminder)
        await report(api, mail, "bounce")
        await report(api, mail, "bounce")
        assert await self.lines(db, person) == ["undelivered:email:due"]
        assert await self.shown(person) == []  # it is not due yet: nobody waits for it
        await db.reads.execute("UPDATE occurrences SET state = 'due' WHERE reminder_id = $1", UUID(reminder["id"]))
        assert await self.shown(person) == ["undelivered:email:due"]

    async def test_a_notice_ahead_of_time_that_came_back_is_shown_ahead_of_time(
        self, api: Api, db: Database, person: Person, reminder: dict[str, Any]
    ) -> None:
        await report(api, await self.notice(db, person, reminder, step="lead-30"), "bounce")
        assert await self.shown(person) == ["undelivered:email:lead-30"]

    async def test_explain_says_that_it_came_back(
        self, api: Api, db: Database, person: Person, reminder: dict[str, Any]
    ) -> None:
        await report(api, await self.notice(db, person, reminder), "bounce")
        occurrence = await db.reads.fetchval("SELECT id FROM occurrences WHERE reminder_id = $1", UUID(reminder["id"]))
        told = (await person.request("GET", f"/occurrences/{occurrence}/explain")).json()
        assert told["sentence"] == "Nothing was sent: e-mail: the mail came back, so the address did not take it."

    async def test_what_the_same_mail_said_too_is_told_too(
        self, api: Api, db: Database, person: Person, reminder: dict[str, Any]
    ) -> None:
        digest = await sent(db, person, step="digest", category="digest")
        line = await self.notice(db, person, reminder, "folded", reason="digest", folded_into=digest.id)
        await report(api, digest, "bounce")
        assert await line.state() == ("failed", "bounced")
        assert await self.lines(db, person) == ["undelivered:email:due"]

    async def test_a_receipt_leaves_what_was_folded_into_it_as_it_is(
        self, api: Api, db: Database, person: Person, reminder: dict[str, Any]
    ) -> None:
        digest = await sent(db, person, step="digest", category="digest")
        line = await self.notice(db, person, reminder, "folded", reason="digest", folded_into=digest.id)
        await report(api, digest, "delivery")
        assert await line.state() == ("folded", "digest")
        assert await self.lines(db, person) == []

    async def test_who_saw_it_in_the_app_already_is_spared_the_line(
        self, api: Api, db: Database, person: Person, reminder: dict[str, Any]
    ) -> None:
        mail = await self.notice(db, person, reminder)
        await self.notice(db, person, reminder, channel="in_app")
        await report(api, mail, "bounce")
        assert await self.lines(db, person) == []


class TestTheWayOut:
    async def test_its_owner_sees_it_and_says_that_the_address_works_again(
        self, api: Api, db: Database, person: Person
    ) -> None:
        assert await self.shown(person) == (None, False)
        await report(api, await sent(db, person), "bounce")
        assert await self.shown(person) == ("bounce", True)
        for _ in range(2):
            assert (await person.request("DELETE", "/notifications/suppression")).status_code == 204
        assert await self.shown(person) == (None, False)
        assert [action for action, _ in await audit_of(api, person.email)].count("mail.unsuppress") == 1
        await report(api, await sent(db, person), "bounce")
        assert await self.shown(person) == ("bounce", True)

    async def test_a_complaint_is_not_theirs_to_lift(self, api: Api, db: Database, person: Person) -> None:
        await report(api, await sent(db, person), "complaint")
        assert await self.shown(person) == ("complaint", False)
        answer = await person.request("DELETE", "/notifications/suppression")
        assert (answer.status_code, answer.json()["code"]) == (409, "complaint_stands")
        assert await suppressed(db, person) == "complaint"

    async def test_nobody_lifts_it_for_others(self, api: Api, db: Database, person: Person) -> None:
        await report(api, await sent(db, person), "bounce")
        stranger = await api.person()
        assert (await stranger.request("DELETE", "/notifications/suppression")).status_code == 204
        assert await suppressed(db, person) == "bounce"
        assert (await api.delete("/notifications/suppression")).status_code == 401

    @pytest.mark.parametrize(("reason", "left"), [("bounce", None), ("complaint", "complaint")])
    async def test_an_address_that_is_confirmed_anew_has_shown_that_it_takes_mail(
        self, api: Api, db: Database, reason: str, left: str | None
    ) -> None:
        email = f"{secrets.token_hex(6)}@example.test"
        known_by = api.identity.blind_index(email)
        await db.reads.execute("INSERT INTO mail_suppressions VALUES ($1, $2)", known_by, reason)
        assert (await api.register(email)).status_code == 202
        token = await api.mailed_token(email, MailTokenKind.VERIFY)
        assert (await api.post("/auth/verify-email", {"token": token})).status_code == 204
        query = "SELECT reason FROM mail_suppressions WHERE address_hmac = $1"
        assert await db.reads.fetchval(query, known_by) == left

    async def shown(self, person: Person) -> tuple[str | None, bool]:
        answer = SuppressionOut.model_validate((await person.request("GET", "/notifications/suppression")).json())
        assert (answer.reason is None) == (answer.since is None)
        return answer.reason, answer.may_be_lifted


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            json.dumps(SIGNER.message(TOPIC, "x") | {"Message": "y"}).encode(),
            json.dumps(SIGNER.message(TOPIC + "x", "x")).encode(),
            json.dumps(Signer(CERTIFICATE).message(TOPIC, "x")).encode(),
        ],
        ids=["empty", "form", "tampered", "topic", "key"],
    )
    async def test_all_of_them_sound_the_same(self, api: Api, body: bytes) -> None:
        answer = await post(api, body)
        assert answer.status_code == 400
        problem = answer.json()
        assert (problem["code"], problem["detail"]) == (
            "webhook_refused",
            "this is not a message that is accepted here",
        )
        assert not problem.keys() - {"type", "title", "status", "detail", "instance", "code"}

    async def test_without_a_topic_there_is_nothing(self, settings: Settings, db: Database) -> None:
        async with api_process(settings.model_copy(update={"feedback": FeedbackSettings()})) as api:
            answer = await post(api, json.dumps(SIGNER.message(TOPIC, "x")).encode())
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async def test_it_is_not_in_the_document_for_clients(self, app: FastAPI) -> None:
        assert WEBHOOK not in app.openapi()["paths"]

    async def test_a_greeting_in_plain_words_is_taken(self, api: Api) -> None:
        text = "Successfully validated SNS topic for Amazon SES event publishing."
        assert (await post(api, json.dumps(SIGNER.message(TOPIC, text)).encode())).status_code == 204

    @hypothesis(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.dictionaries(
            st.sampled_from(["eventType", "mail", "bounce", "complaint", "deliveryDelay"]),
            st.none() | st.sampled_from(["Bounce", "Complaint", {}]) | st.text() | st.lists(st.integers()),
        )
    )
    async def test_no_signed_event_however_strange_is_an_error_of_ours(self, api: Api, strange: Any) -> None:
        whole = json.loads(event("bounce", secrets.token_hex(8), "nobody@example.test")) | strange
        assert (await post(api, json.dumps(SIGNER.message(TOPIC, json.dumps(whole))).encode())).status_code == 204

    async def test_while_the_certificate_cannot_be_had_sns_is_asked_to_come_again(
        self, api: Api, amazon: Amazon
    ) -> None:
        amazon.status = 503
        amazon.listens_anew()
        answer = await post(api, json.dumps(SIGNER.message(TOPIC, "x")).encode())
        amazon.status = 200
        amazon.listens_anew()
        assert (answer.status_code, answer.json()["code"]) == (503, "certificate_unavailable")
        assert answer.headers["Retry-After"] == "5"

    @pytest.mark.parametrize("status", [200, 500])
    async def test_a_subscription_is_confirmed_where_the_topic_lives(
        self, api: Api, amazon: Amazon, status: int
    ) -> None:
        address = "https://evil.example/?Action=ConfirmSubscription"
        message = SIGNER.message(TOPIC, "…", kind="SubscriptionConfirmation", Token="t1", SubscribeURL=address)
        assert (await post(api, json.dumps(SIGNER.message(TOPIC, "x")).encode())).status_code == 204
        amazon.asked.clear()
        amazon.status = status
        answer = await post(api, json.dumps(message).encode())
        amazon.status = 200
        assert answer.status_code == 204  # a refusal is told to the operator: SNS asks once
        (asked,) = amazon.asked
        assert (asked.host, asked.params["Action"], asked.params["Token"]) == (
            "127.0.0.1",
            "ConfirmSubscription",
            "t1",
        )

    async def test_nobody_else_makes_us_ask_anybody(self, api: Api, amazon: Amazon) -> None:
        amazon.asked.clear()
        stranger = Signer("https://evil.example/x.pem")
        for topic in (TOPIC, TOPIC + "x"):
            message = stranger.message(topic, "…", kind="SubscriptionConfirmation", Token="t", SubscribeURL="https://x")
            assert (await post(api, json.dumps(message).encode())).status_code == 400
        assert amazon.asked == []

    async def test_the_end_of_a_subscription_is_taken(self, api: Api) -> None:
        message = SIGNER.message(TOPIC, "…", kind="UnsubscribeConfirmation", Token="t", SubscribeURL="https://x")
        assert (await post(api, json.dumps(message).encode())).status_code == 204


@hypothesis(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["delivery", "bounce", "complaint", "delay"]), min_size=1, max_size=6))
async def test_whatever_the_order_a_bounce_is_the_last_word(
    api: Api, db: Database, person: Person, kinds: list[str]
) -> None:
    mail = await sent(db, person)
    for kind in kinds:
        await report(api, mail, kind)
    state, _ = await mail.state()
    if "bounce" in kinds:
        assert state == "failed"
    else:
        assert state == ("delivered" if {"delivery", "complaint"} & set(kinds) else "sent")
    assert len(await mail.diary()) == len(kinds)
