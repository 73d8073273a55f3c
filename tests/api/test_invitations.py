"""Invitations: asked for over HTTP, mailed by the worker, answered by whoever the address belongs to."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.settings import RateLimit, Settings
from domain.access import Role
from domain.mail_feedback import Verdict
from integrations.notify.protocol import ProviderRefused, ProviderUnavailable, Receipt
from models.queries import feedback, households
from models.queries.feedback import Known, Report
from models.session import MailTokenKind
from temporal.contracts.invitation import InvitationPlan, MailInvitation, ReviewInvitation
from tests.api.household_kit import Post, home_of, member
from tests.api.signing_in import OPEN, Api, Person, api_process


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person(first_name="Ada", timezone="Europe/Berlin")


@pytest.fixture
def post(api: Api) -> Post:
    return Post.of(api)


async def invite(owner: Person, email: str, role: str = "caretaker", status: int = 201, **more: Any) -> dict[str, Any]:
    path = f"/households/{await home_of(owner)}/invitations"
    answer = await owner.request("POST", path, {"email": email, "role": role, **more})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def invitations(owner: Person) -> list[dict[str, Any]]:
    answer = await owner.request("GET", f"/households/{await home_of(owner)}/invitations")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def answer(person: Person, token: str, word: str = "accept") -> int:
    return (await person.request("POST", f"/invitations/{word}", {"token": token})).status_code


async def run_out(api: Api, invitation: dict[str, Any]) -> None:
    """A week and a second later."""
    async with api.identity.db.sessions.begin() as session:
        back = text("UPDATE invitations SET expires_at = clock_timestamp() - interval '1 second' WHERE id = :id")
        await session.execute(back, {"id": UUID(invitation["id"])})


async def test_whoever_is_invited_joins_with_the_mailed_link(api: Api, owner: Person, post: Post) -> None:
    await owner.request("PATCH", f"/households/{await home_of(owner)}", {"name": "The Lovelaces"})
    ben = await api.person()
    made = await invite(owner, ben.email, "caretaker")
    assert (made["state"], made["mailed"], made["role"]) == ("open", False, "caretaker")
    token = await post.deliver(made)
    (mail,) = post.mailbox.sent.values()
    assert mail.to == ben.email
    assert mail.subject == "Ada shares a household with you on Petfolio"
    assert "“The Lovelaces”" in mail.text
    joined = await ben.request("POST", "/invitations/accept", {"token": token})
    assert (joined.status_code, joined.json()["role"]) == (200, "caretaker")
    assert joined.json()["id"] == made["household_id"]
    (seen,) = await invitations(owner)
    assert (seen["state"], seen["mailed"], seen["email"]) == ("accepted", True, ben.email)


async def test_somebody_without_an_account_signs_up_with_that_address_and_joins(
    api: Api, owner: Person, post: Post
) -> None:
    made = await invite(owner, "Newcomer@Example.TEST", "owner")
    token = await post.deliver(made)
    await api.register("newcomer@example.test")
    confirm = await api.mailed_token("newcomer@example.test", MailTokenKind.VERIFY)
    await api.post("/auth/verify-email", {"token": confirm})
    signed_in = (await api.login("newcomer@example.test")).json()
    newcomer = Person(api, "newcomer@example.test", signed_in["access_token"], signed_in["refresh_token"])
    assert await answer(newcomer, token) == 200
    assert len((await newcomer.request("GET", "/households")).json()["items"]) == 2


async def test_a_link_is_good_once_and_for_its_address_alone(api: Api, owner: Person, post: Post) -> None:
    ben, eve = await api.person(), await api.person()
    token = await post.deliver(await invite(owner, ben.email))
    refused = await eve.request("POST", "/invitations/accept", {"token": token})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_invitation")
    assert await answer(eve, token, "decline") == 400
    assert await answer(ben, token[:-1] + ("0" if token[-1] != "0" else "1")) == 400
    assert await answer(ben, token) == 200
    replayed = await ben.request("POST", "/invitations/accept", {"token": token})
    assert replayed.json() | {"instance": ""} == refused.json() | {"instance": ""}
    assert (await api.post("/invitations/accept", {"token": token})).status_code == 401


async def test_fifty_clicks_make_one_member(api: Api, owner: Person, post: Post) -> None:
    ben = await api.person()
    token = await post.deliver(await invite(owner, ben.email))
    answers = await asyncio.gather(*(answer(ben, token) for _ in range(50)))
    assert sorted(answers) == [200] + [400] * 49
    members = (await owner.request("GET", f"/households/{await home_of(owner)}/members")).json()["items"]
    assert len(members) == 2


async def test_it_ends_by_the_query_before_its_workflow_notices(api: Api, owner: Person, post: Post) -> None:
    ben = await api.person()
    made = await invite(owner, ben.email)
    token = await post.deliver(made)
    await run_out(api, made)
    assert await answer(ben, token) == 400
    assert [each["state"] for each in await invitations(owner)] == ["expired"]
    again = await invite(owner, ben.email)
    assert again["id"] != made["id"]


async def test_the_workflow_s_timer_closes_what_nobody_answered(api: Api, owner: Person, post: Post) -> None:
    made = await invite(owner, "nobody@example.test")
    await post.deliver(made)
    waiting = ReviewInvitation(UUID(made["id"]), datetime.now(UTC))
    plan = await post.invitations.review_invitation(waiting)
    assert plan.until == datetime.fromisoformat(made["expires_at"])
    later = ReviewInvitation(waiting.invitation_id, plan.until + timedelta(seconds=1))
    assert await post.invitations.review_invitation(later) == InvitationPlan()
    assert [each["state"] for each in await invitations(owner)] == ["expired"]


async def test_mailing_it_again_ends_the_former_link_and_begins_a_new_week(api: Api, owner: Person, post: Post) -> None:
    ben = await api.person()
    made = await invite(owner, ben.email)
    first = await post.deliver(made)
    path = f"/households/{made['household_id']}/invitations/{made['id']}/resend"
    again = (await owner.request("POST", path)).json()
    assert again["expires_at"] > made["expires_at"]
    assert again["mailed"] is False
    second = await post.deliver(made)
    assert first != second
    assert await answer(ben, first) == 400
    assert await answer(ben, second) == 200
    closed = await owner.request("POST", path)
    assert (closed.status_code, closed.json()["code"]) == (409, "invitation_closed")


async def test_the_same_mail_carries_the_same_link_however_often_it_is_tried(
    api: Api, owner: Person, post: Post
) -> None:
    """A provider that honours keys delivers the first copy: its link must not be dead because of the second try."""
    ben = await api.person()
    made = await invite(owner, ben.email)
    post.mailbox.drop_next = 1
    with pytest.raises(ProviderUnavailable):
        await post.deliver(made)
    (lost,) = post.mailbox.sent.values()
    assert await post.deliver(made) in lost.text
    assert len(post.mailbox.sent) == 1
    assert len(set(post.mailbox.keys)) == 1
    (found,) = re.findall(r"token=(\S+)", lost.text)
    assert await answer(ben, found) == 200


async def test_a_revoked_one_is_neither_mailed_nor_good(api: Api, owner: Person, post: Post) -> None:
    ben = await api.person()
    made = await invite(owner, ben.email)
    token = await post.deliver(made)
    path = f"/households/{made['household_id']}/invitations/{made['id']}"
    await owner.request("POST", f"{path}/resend")
    assert [(await owner.request("DELETE", path)).status_code for _ in range(2)] == [204, 204]
    await post.invitations.mail_invitation(MailInvitation(UUID(made["id"]), 2))
    assert len(post.mailbox.sent) == 1
    assert await answer(ben, token) == 400


async def test_whoever_declines_is_not_a_member_and_the_household_sees_it(api: Api, owner: Person, post: Post) -> None:
    ben = await api.person()
    token = await post.deliver(await invite(owner, ben.email))
    assert await answer(ben, token, "decline") == 204
    assert await answer(ben, token) == 400
    assert [each["state"] for each in await invitations(owner)] == ["declined"]
    assert len((await ben.request("GET", "/households")).json()["items"]) == 1


async def test_an_owner_who_was_removed_leaves_no_open_door_behind(api: Api, owner: Person, post: Post) -> None:
    """Somebody invites a second account of theirs just before they are removed."""
    home = await home_of(owner)
    helper = await member(api, home)
    await owner.request("PATCH", f"/households/{home}/members/{helper.user_id}", {"role": "owner"})
    second = await api.person()
    made = await helper.request("POST", f"/households/{home}/invitations", {"email": second.email, "role": "owner"})
    token = await post.deliver(made.json())
    await owner.request("DELETE", f"/households/{home}/members/{helper.user_id}")
    assert await answer(second, token) == 400


async def test_an_invitation_raises_a_caretaker_and_never_lowers_an_owner(api: Api, owner: Person, post: Post) -> None:
    home = await home_of(owner)
    helper = await member(api, home)
    known = await owner.request("POST", f"/households/{home}/invitations", {"email": helper.email, "role": "owner"})
    assert (known.status_code, known.json()["code"]) == (409, "already_member")
    for before, offered, after in (("owner", "caretaker", "owner"), ("caretaker", "owner", "owner")):
        ben = await api.person()
        token = await post.deliver(await invite(owner, ben.email, offered))
        async with api.identity.db.sessions.begin() as session:
            await households.join(session, home, ben.user_id, Role(before))
        joined = await ben.request("POST", "/invitations/accept", {"token": token})
        assert joined.json()["role"] == after


async def test_an_address_that_takes_no_mail_is_shown_as_such(api: Api, owner: Person, post: Post) -> None:
    made = await invite(owner, "bounced@example.test")
    index = api.identity.blind_index("bounced@example.test")
    async with api.identity.db.sessions.begin() as session:
        suppress = text("INSERT INTO mail_suppressions (address_hmac, reason) VALUES (:hmac, 'bounce')")
        await session.execute(suppress, {"hmac": index})
    await post.invitations.mail_invitation(MailInvitation(UUID(made["id"]), 1))
    assert post.mailbox.sent == {}
    (seen,) = await invitations(owner)
    assert (seen["mailed"], seen["mail_problem"]) == (False, "suppressed")


@pytest.mark.parametrize(("verdict", "problem"), [(Verdict.BOUNCED, "bounced"), (Verdict.DELIVERED, None)])
async def test_what_the_provider_reports_later_is_shown_and_suppresses_as_for_any_mail(
    api: Api, owner: Person, post: Post, verdict: Verdict, problem: str | None
) -> None:
    made = await invite(owner, f"later-{verdict}@example.test")
    await post.deliver(made)
    index = api.identity.blind_index(f"later-{verdict}@example.test")
    report = Report(verdict, "sns-1", "ses-1", post.mailbox.keys[0], index, "Permanent/General")
    for _ in range(2):
        async with api.identity.db.sessions.begin() as session:
            assert await feedback.record(session, report) is Known.NEW
    (seen,) = await invitations(owner)
    assert (seen["mail_problem"], seen["mailed"]) == (problem, problem is None)
    known = text("SELECT count(*) FROM mail_suppressions WHERE address_hmac = :hmac")
    async with api.identity.db.sessions() as session:
        assert (await session.execute(known, {"hmac": index})).scalar_one() == (1 if problem else 0)


async def test_what_the_provider_refuses_is_shown_and_not_tried_again(api: Api, owner: Person, post: Post) -> None:
    made = await invite(owner, "refused@example.test")

    class Refusing:
        async def send(self, message: object, *, idempotency_key: UUID) -> Receipt:
            raise ProviderRefused("no")

    post.mail.email = Refusing()
    await post.invitations.mail_invitation(MailInvitation(UUID(made["id"]), 1))
    plan = await post.invitations.review_invitation(ReviewInvitation(UUID(made["id"]), datetime.now(UTC)))
    assert plan.mailing is None
    (seen,) = await invitations(owner)
    assert seen["mail_problem"] == "provider_refused"


async def test_a_name_that_could_pass_for_a_link_is_not_carried_into_strangers_mailboxes(api: Api, post: Post) -> None:
    spammer = await api.person(first_name="Win at http://evil.test")
    await spammer.request("PATCH", f"/households/{await home_of(spammer)}", {"name": "www.evil.test"})
    await post.deliver(await invite(spammer, "victim@example.test", locale="de"))
    (mail,) = post.mailbox.sent.values()
    assert "evil" not in f"{mail.subject} {mail.text} {mail.html}"
    assert mail.subject == "Jemand teilt auf Petfolio einen Haushalt mit dir"


async def test_nobody_is_asked_twice_and_no_household_asks_the_whole_town(owner: Person) -> None:
    await invite(owner, "ben@example.test")
    assert (await invite(owner, "BEN@example.test", status=409))["code"] == "already_invited"
    for n in range(19):
        await invite(owner, f"guest-{n}@example.test")
    assert (await invite(owner, "one-too-many@example.test", status=409))["code"] == "too_many_invitations"


async def test_an_account_mails_only_so_many_strangers_a_day(settings: Settings, db: Database) -> None:
    few = OPEN.model_copy(update={"invitations": RateLimit(quota=3, window=86_400, burst=3)})
    async with api_process(settings.model_copy(update={"rate_limits": few})) as api:
        owner = await api.person()
        made = await invite(owner, "one@example.test")
        path = f"/households/{made['household_id']}/invitations/{made['id']}/resend"
        answers = [(await owner.request("POST", path)).status_code for _ in range(3)]
        assert answers == [200, 200, 429]
        other = await owner.request("POST", "/households", {"name": "Second"})
        refused = await owner.request(
            "POST", f"/households/{other.json()['id']}/invitations", {"email": "two@example.test", "role": "owner"}
        )
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 3600


async def test_one_invitation_is_mailed_five_times_at_most(owner: Person) -> None:
    made = await invite(owner, "ben@example.test")
    path = f"/households/{made['household_id']}/invitations/{made['id']}/resend"
    answers = [await owner.request("POST", path) for _ in range(5)]
    assert [each.status_code for each in answers] == [200] * 4 + [409]
    assert answers[-1].json()["code"] == "too_many_mails"


async def test_the_page_of_the_mail_changes_nothing_and_shows_nothing_of_the_token(api: Api) -> None:
    page = await api.http.get("/invitation?token=SECRET", headers={"Accept-Language": "de"})
    assert page.status_code == 200
    assert "Du bist in einen Haushalt eingeladen" in page.text
    assert "SECRET" not in page.text
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]


async def test_neither_rows_nor_bells_hold_the_address_in_the_clear(api: Api, owner: Person) -> None:
    await invite(owner, "canary.address@example.test")
    async with api.identity.db.sessions() as session:
        for table in ("invitations", "outbox", "audit_log"):
            rows = await session.execute(text(f"SELECT to_jsonb(t)::text FROM {table} t"))
            assert "canary" not in " ".join(rows.scalars())
