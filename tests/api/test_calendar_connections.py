"""Connecting calendars over HTTP, against the local Google and Microsoft: the way there and back, and what is kept."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest

from core.calendar_settings import CalDavSettings
from core.settings import Settings
from domain.access import Role
from integrations.calendar import credentials
from integrations.calendar.credentials import CalDavCredential, OAuthCredential
from models.calendar_sync import ConnectionState
from tests.api.access_examples import MAKERS
from tests.api.access_ground import Caller, Ground
from tests.api.calendars_kit import (
    CONNECTIONS,
    FINISH,
    PASSWORD,
    SERVER,
    Browser,
    bells,
    change,
    connect,
    connect_server,
    rows_of,
    unring,
)
from tests.api.calendars_kit import settings as settings
from tests.api.household_kit import home_of, member
from tests.api.signing_in import Api, Person, api_process, audit_of, version_in
from tests.calendar_servers import somebody


@pytest.fixture
def account(calendar_servers: str) -> str:
    """Somebody's address elsewhere."""
    return somebody(calendar_servers, "google").account


async def credential_of(api: Api, connection: dict[str, Any]) -> credentials.Credential:
    row, _ = await rows_of(api, connection)
    assert row.credential_ct is not None
    return credentials.from_json(await api.identity.cipher.open(credentials.COLUMN, row.id, row.credential_ct))


class TestConsent:
    @pytest.mark.parametrize("provider", ["google", "microsoft"])
    async def test_whoever_consents_has_a_connection_with_a_calendar_to_come(
        self, api: Api, person: Person, account: str, provider: str
    ) -> None:
        answer = await connect(person, provider, account, policy={"adopt": False})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["provider"], made["state"], made["account"]) == (provider, "active", account)
        assert made["policy"] == {"delete_wins": False, "adopt": False, "reminders": True, "appointments": True}
        assert made["household_id"] == str(await home_of(person))
        assert made["push"] == {"state": "none", "until": None}
        assert answer.headers["location"].endswith(made["id"])
        row, link = await rows_of(api, made)
        assert (row.epoch, link.remote_calendar_id, link.user_id) == (1, None, person.user_id)
        credential = await credential_of(api, made)
        assert isinstance(credential, OAuthCredential)
        assert credential.expires_at > datetime.now(UTC)
        assert len(await bells(api, made)) == 1
        assert (await person.request("GET", f"{CONNECTIONS}/{made['id']}")).json() == made
        assert (await person.request("GET", CONNECTIONS)).json()["items"] == [made]
        assert ("calendar.connect", "ok") in await audit_of(api, person.email)

    async def test_the_authorize_url_asks_for_no_more_than_is_needed_and_is_bound(self, person: Person) -> None:
        begun = (await person.request("POST", CONNECTIONS, {"provider": "google"})).json()
        asked = dict(parse_qsl(urlsplit(await Browser(person.api).open(begun["authorize_url"])).query))
        assert asked["scope"].split()[0].endswith("calendar.app.created")
        assert (asked["code_challenge_method"], asked["access_type"], asked["prompt"]) == ("S256", "offline", "consent")
        assert asked["redirect_uri"].endswith("/api/v1/integrations/calendar/callback/google")
        assert len(asked["state"]) >= 43

    async def test_the_same_account_again_goes_on_where_it_was(self, api: Api, person: Person, account: str) -> None:
        first = (await connect(person, "google", account, policy={"delete_wins": True})).json()
        assert (await person.request("DELETE", f"{CONNECTIONS}/{first['id']}?remote_copies=remove")).status_code == 204
        again = (await connect(person, "google", account)).json()
        assert (again["id"], again["workflow"]) == (first["id"], first["workflow"])
        assert again["policy"]["delete_wins"] is True
        row, _ = await rows_of(api, again)
        assert (row.state, row.epoch, row.remove_copies, row.disconnected_at) == (
            ConnectionState.ACTIVE,
            2,
            False,
            None,
        )

    async def test_one_account_connected_by_two_people_is_two_connections(self, api: Api, account: str) -> None:
        first, second = await api.person(), await api.person()
        made = [(await connect(each, "google", account)).json() for each in (first, second)]
        assert made[0]["id"] != made[1]["id"]
        assert (await second.request("GET", f"{CONNECTIONS}/{made[0]['id']}")).status_code == 404

    async def test_a_consent_that_is_refused_or_leaves_the_calendar_out_comes_back_with_the_reason(
        self, person: Person, account: str
    ) -> None:
        begun = [(await person.request("POST", CONNECTIONS, {"provider": "google"})).json() for _ in range(2)]
        browser = Browser(person.api)
        assert await browser.visit(begun[0]["authorize_url"], account, decision="deny") == {"error": "access_denied"}
        vendor = await browser.open(begun[1]["authorize_url"])
        calendar = dict(parse_qsl(urlsplit(vendor).query))["scope"].split()[0]
        back = await browser.come_back(await browser.consent(vendor, account, without=calendar))
        assert back == {"error": "calendar_scope_missing"}
        assert (await person.request("GET", CONNECTIONS)).json()["items"] == []

    async def test_a_vendor_that_is_away_is_told_and_nothing_is_kept(
        self, person: Person, calendar_servers: str
    ) -> None:
        control = somebody(calendar_servers, "google")
        begun = (await person.request("POST", CONNECTIONS, {"provider": "google"})).json()
        control.fault(account=None, method="POST", path="/token", when="before", effect="status", status=503, times=1)
        try:
            said = await Browser(person.api).visit(begun["authorize_url"], control.account)
        finally:
            control.clear_rules()
        assert said == {"error": "provider_unavailable"}


class TestWhatNobodyElseCanDo:
    async def test_a_consent_of_another_browser_is_none(self, person: Person, account: str) -> None:
        begun = (await person.request("POST", CONNECTIONS, {"provider": "google"})).json()
        first = Browser(person.api)
        url = await first.consent(await first.open(begun["authorize_url"]), account)
        parts = urlsplit(url)
        for cookie in ({}, {"Cookie": f"__Host-calendar={'x' * 43}"}):
            answer = await person.api.http.get(f"{parts.path}?{parts.query}", headers=cookie)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_state")
        assert "code" in await first.come_back(url)
        answer = await person.api.http.get(f"{parts.path}?{parts.query}", headers={"Cookie": str(first.cookie)})
        assert answer.json()["code"] == "invalid_state"  # once

    async def test_somebody_who_consents_for_another_gives_them_nothing(self, api: Api, account: str) -> None:
        """The link was begun by one and opened by another: neither has a connection."""
        attacker, victim = await api.person(), await api.person()
        begun = (await attacker.request("POST", CONNECTIONS, {"provider": "google"})).json()
        said = await Browser(api).visit(begun["authorize_url"], account)
        theirs = await victim.request("POST", FINISH, {"code": said["code"]})
        assert (theirs.status_code, theirs.json()["code"]) == (400, "invalid_code")
        another_session = (await api.login(attacker.email)).json()["access_token"]
        answer = await api.post(FINISH, {"code": said["code"]}, another_session)
        assert answer.json()["code"] == "invalid_code"

    async def test_a_ticket_is_good_once_and_for_its_provider_alone(self, person: Person, account: str) -> None:
        begun = (await person.request("POST", CONNECTIONS, {"provider": "google"})).json()
        browser = Browser(person.api)
        url = await browser.consent(await browser.open(begun["authorize_url"]), account)
        parts = urlsplit(begun["authorize_url"])
        again = await person.api.http.get(f"{parts.path}?{parts.query}")
        assert (again.status_code, again.json()["code"]) == (400, "invalid_code")
        crossed = urlsplit(url.replace("/callback/google", "/callback/microsoft"))
        answer = await person.api.http.get(f"{crossed.path}?{crossed.query}", headers={"Cookie": str(browser.cookie)})
        assert answer.json()["code"] == "invalid_state"

    async def test_connecting_needs_a_fresh_login(self, api: Api) -> None:
        ground = await Ground.prepare(api, MAKERS)
        answer = await ground.send("POST", CONNECTIONS, SERVER, await ground.stale_token())
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
        assert (await ground.send("POST", CONNECTIONS, SERVER, await ground.token(Caller.OWNER))).status_code == 201


class TestCalDav:
    async def test_a_server_is_kept_and_tried_by_the_worker(self, api: Api, person: Person) -> None:
        made = await connect_server(person, username="ada")
        assert (made["state"], made["account"]) == ("connecting", "ada@127.0.0.1:9")
        assert await credential_of(api, made) == CalDavCredential(str(SERVER["url"]), "ada", PASSWORD)
        assert len(await bells(api, made)) == 1
        again = await connect_server(person, username="ADA", password="another")
        assert again["id"] == made["id"]

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("https://10.0.0.1/", "address_refused"),
            ("https://[::1]/", "address_refused"),
            ("https://169.254.169.254/latest/meta-data", "address_refused"),
            ("http://caldav.icloud.com/", "address_refused"),
            ("https://ada:secret@caldav.icloud.com/", "address_refused"),
            ("file:///etc/passwd", "address_refused"),
            ("https://2130706433/", "address_refused"),
        ],
    )
    async def test_an_address_that_is_none_of_the_public_internet_is_refused(
        self, settings: Settings, person: Person, url: str, code: str
    ) -> None:
        # The module's api lets tests reach this machine: production does not.
        calendars = settings.calendars.model_copy(update={"caldav": CalDavSettings()})
        async with api_process(settings.model_copy(update={"calendars": calendars})) as api:
            answer = await api.post(CONNECTIONS, SERVER | {"url": url}, person.access_token)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == "/url"
        assert answer.json()["errors"][0]["code"] == code
        assert "secret" not in answer.text

    async def test_what_is_missing_or_does_not_belong_is_named(self, person: Person) -> None:
        for field in ("url", "username", "password"):
            body = {name: value for name, value in SERVER.items() if name != field}
            answer = await person.request("POST", CONNECTIONS, body)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{field}")
        answer = await person.request("POST", CONNECTIONS, {"provider": "google", "password": PASSWORD})
        assert answer.json()["errors"][0]["code"] == "not_for_this_provider"

    async def test_ten_is_enough_and_one_that_ended_makes_room(self, person: Person) -> None:
        made = [await connect_server(person) for _ in range(10)]
        refused = await person.request("POST", CONNECTIONS, SERVER)
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_connections")
        assert (await person.request("DELETE", f"{CONNECTIONS}/{made[0]['id']}")).status_code == 204
        assert (await person.request("POST", CONNECTIONS, SERVER)).status_code == 201
        back = {**SERVER, "username": made[0]["account"].partition("@")[0]}
        assert (await person.request("POST", CONNECTIONS, back)).json()["code"] == "too_many_connections"

    async def test_a_repeated_request_connects_once(self, person: Person) -> None:
        key = {"Idempotency-Key": str(uuid4())}
        answers = [await person.request("POST", CONNECTIONS, SERVER, key) for _ in range(2)]
        assert [each.status_code for each in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["idempotent-replayed"] == "true"
        assert PASSWORD not in answers[0].text


class TestHousehold:
    async def test_adopted_events_go_where_the_person_may_add_any(self, api: Api, person: Person) -> None:
        owner = await api.person()
        theirs = await home_of(owner)
        foreign = await person.request("POST", CONNECTIONS, SERVER | {"household_id": str(theirs)})
        assert foreign.status_code == 404
        caretaker = await member(api, theirs, Role.CARETAKER)
        made = await connect_server(caretaker, household_id=str(theirs))
        assert made["household_id"] == str(theirs)

    async def test_whoever_leaves_adopts_at_home_and_their_calendar_hears_of_it(self, api: Api) -> None:
        owner = await api.person()
        theirs = await home_of(owner)
        caretaker = await member(api, theirs, Role.CARETAKER)
        made = await connect_server(caretaker, household_id=str(theirs))
        await unring(api, made)
        assert (await caretaker.request("POST", f"/households/{theirs}/leave")).status_code == 204
        shown = (await caretaker.request("GET", f"{CONNECTIONS}/{made['id']}")).json()
        assert shown["household_id"] == str(await home_of(caretaker))
        assert len(await bells(api, made)) == 1


async def test_no_secret_is_in_an_answer_a_log_or_a_row(
    api: Api, person: Person, account: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    server = await connect_server(person)
    google = await connect(person, "google", account)
    secret = await credential_of(api, google.json())
    assert isinstance(secret, OAuthCredential)
    shown = [google.text, (await person.request("GET", CONNECTIONS)).text]
    shown.append(
        (await person.request("POST", f"{CONNECTIONS}/{server['id']}/reauthorise", {"password": "x" * 9})).text
    )
    row = await api.identity.db.reads.fetch("SELECT c::text AS row FROM calendar_connections c")
    said = [caplog.text, *capsys.readouterr(), *shown, *(each["row"] for each in row)]
    for word in (PASSWORD, secret.refresh_token, secret.access_token):
        assert not [text for text in said if word in text]
    assert account not in "".join(each["row"] for each in row)


async def test_the_entity_tag_is_that_of_the_connection_and_of_how_it_stands(api: Api, person: Person) -> None:
    made = await connect_server(person)
    first = await person.request("GET", f"{CONNECTIONS}/{made['id']}")
    stale = {"If-Match": first.headers["etag"]}
    body = {"policy": {"delete_wins": True}}
    changed = await person.request("PATCH", f"{CONNECTIONS}/{made['id']}", body, stale)
    assert (changed.status_code, version_in(changed)) == (200, f"v{made['version'] + 1}")
    again = await person.request("PATCH", f"{CONNECTIONS}/{made['id']}", {"policy": {"adopt": False}}, stale)
    assert again.status_code == 412
    same = await person.request("PATCH", f"{CONNECTIONS}/{made['id']}", body)
    assert version_in(same) == version_in(changed)
    await change(api, made, next_poll_at=datetime.now(UTC) + timedelta(minutes=2))
    tag = {"If-None-Match": changed.headers["etag"]}
    assert (await person.request("GET", f"{CONNECTIONS}/{made['id']}", headers=tag)).status_code == 200
