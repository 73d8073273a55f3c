"""One click stops one kind of message (RFC 8058): without signing in, again and again, and back with the same link."""

import asyncio
import base64
import hashlib
import json
import re
import subprocess
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from api.routes.unsubscribe import NAMES, SCRIPT, WORDS
from api.services import Services
from core.db import Database, single_statement
from core.ids import new_id
from core.settings import RateLimit, Settings
from core.unsubscribe import ENDPOINT, KEY_PURPOSE, Unsubscriber, Wish, headers
from domain.notification import Category, Channel, Forbidden, forbidden
from infra.node import node
from integrations.keys.factory import open_keys
from integrations.keys.secrets import load_secrets
from models.queries import notification_preferences
from tests.api.signing_in import OPEN, Api, Person, api_process, audit_of

ONE_CLICK = {"content": b"List-Unsubscribe=One-Click", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here comes from one network."""
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture(scope="module")
def services(app: FastAPI) -> Services:
    found: Services = app.state.services
    return found


@pytest.fixture
def token(services: Services, person: Person) -> str:
    """What a grooming reminder's mail carries."""
    return link(services, person.user_id)


def link(services: Services, user_id: UUID, category: str = "grooming", channel: str = "email") -> str:
    return services.unsubscriber.mint(Wish(user_id, category, channel, date(2026, 11, 23)))


async def post(api: Api, path: str, **request: Any) -> httpx.Response:
    return await api.http.post(f"/api/v1/unsubscribe/{path}", **request)


async def reason(db: Database, person: Person, category: Category = Category.GROOMING) -> Forbidden | None:
    async with single_statement(db.sessions) as session:
        standing = await notification_preferences.standing(session, person.user_id)
    assert standing is not None
    return forbidden(category, Channel.EMAIL, standing)


@pytest.mark.parametrize(
    "request_",
    [
        ONE_CLICK,
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"json": {"List-Unsubscribe": "One-Click"}},
        {"content": b"{ not json", "headers": {"Content-Type": "application/json"}},
        {},
    ],
    ids=["form", "multipart", "json", "nonsense", "nothing"],
)
async def test_one_click_stops_it_whatever_the_mail_program_sends(
    api: Api, db: Database, person: Person, token: str, request_: dict[str, Any]
) -> None:
    answer = await post(api, token, **request_)
    assert (answer.status_code, answer.json()) == (
        200,
        {"category": "grooming", "channel": "email", "subscribed": False},
    )
    assert await reason(db, person) is Forbidden.PREFERENCE
    assert await reason(db, person, Category.MEDICATION) is None


async def test_the_address_in_the_mail_s_header_is_the_one_that_works(
    api: Api, db: Database, person: Person, token: str
) -> None:
    (address,) = re.findall("<(.+)>", headers("http://test", token)["List-Unsubscribe"])
    assert (await api.http.post(address, **ONE_CLICK)).status_code == 200
    assert await reason(db, person) is Forbidden.PREFERENCE


async def test_repeating_it_is_200_and_one_entry_in_the_audit_log(api: Api, person: Person, token: str) -> None:
    answers = await asyncio.gather(*[post(api, token, **ONE_CLICK) for _ in range(5)])
    assert {answer.status_code for answer in answers} == {200}
    done = [action for action, _ in await audit_of(api, person.email) if action.startswith("notification.")]
    assert done == ["notification.unsubscribe"]


async def test_the_same_link_takes_it_back(api: Api, db: Database, person: Person, token: str) -> None:
    await post(api, token, **ONE_CLICK)
    answer = await post(api, f"{token}/undo")
    assert (answer.status_code, answer.json()["subscribed"]) == (200, True)
    assert await reason(db, person) is None
    assert (await post(api, f"{token}/undo")).status_code == 200


async def test_the_settings_of_the_app_show_it_and_a_stale_etag_is_noticed(
    api: Api, person: Person, token: str
) -> None:
    await post(api, token, **ONE_CLICK)
    shown = (await person.request("GET", "/users/notification-preferences")).json()
    (cell,) = [c for c in shown["cells"] if (c["category"], c["channel"]) == ("grooming", "email")]
    assert (cell["enabled"], shown["version"]) == (False, 2)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
async def test_a_scanner_that_follows_the_link_changes_nothing(
    api: Api, db: Database, person: Person, token: str, method: str
) -> None:
    page = await api.http.request(method if method != "PUT" else "GET", f"/unsubscribe?token={token}")
    assert page.status_code in (200, 405)
    assert token not in page.text
    assert (await api.http.request(method, f"/api/v1/unsubscribe/{token}")).status_code == 405
    assert await reason(db, person) is None


async def test_a_tampered_link_is_no_link_and_changes_nothing(
    api: Api, db: Database, person: Person, token: str
) -> None:
    other = Unsubscriber(b"0" * 32).mint(Wish(person.user_id, "grooming", "email", date(2026, 11, 23)))
    for wrong in (token[:-1], token + "A", "B" + token[1:], other, "x", "%00", "ü", "a" * 600):
        for path in (wrong, f"{wrong}/undo"):
            answer = await post(api, path, **ONE_CLICK)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert await reason(db, person) is None


@pytest.mark.parametrize(("category", "channel"), [("security", "email"), ("digest", "sms"), ("x", "email"), ("", "")])
async def test_a_link_to_what_cannot_be_switched_is_no_link(
    api: Api, services: Services, person: Person, category: str, channel: str
) -> None:
    answer = await post(api, link(services, person.user_id, category, channel))
    assert answer.status_code == 404


async def test_whoever_was_forgotten_gets_the_same_answer(api: Api, services: Services, db: Database) -> None:
    assert (await post(api, link(services, new_id()))).status_code == 200
    gone = await api.person()
    await db.reads.execute("UPDATE users SET state = 'erased' WHERE id = $1", gone.user_id)
    assert (await post(api, link(services, gone.user_id))).status_code == 200
    rows = await db.reads.fetchval("SELECT count(*) FROM notification_preferences WHERE user_id = $1", gone.user_id)
    assert rows == 0


async def test_a_worker_mints_what_the_api_reads(settings: Settings, services: Services, person: Person) -> None:
    _, store = open_keys(settings)
    theirs = Unsubscriber((await load_secrets(store)).derive(KEY_PURPOSE))
    wish = Wish(person.user_id, "digest", "email", date(2026, 11, 23))
    assert services.unsubscriber.read(theirs.mint(wish)) == wish


async def test_guessing_is_slowed_down(settings: Settings, db: Database) -> None:
    few = OPEN.model_copy(update={"anonymous": RateLimit(quota=3, window=60, burst=3)})
    async with api_process(settings.model_copy(update={"rate_limits": few})) as api:
        answers = [await post(api, "guess") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1


BROWSER = """
const {script, dataset, answers} = JSON.parse(process.argv[1]);
const element = (more) => ({disabled: false, hidden: false, textContent: "", ...more,
  addEventListener(_, run) { this.click = run; }});
const main = element({dataset}), said = element(), stop = element(), undo = element({hidden: true}), calls = [];
globalThis.document = {
  querySelector: (what) => what === "main" ? main : said, querySelectorAll: () => [stop, undo],
};
globalThis.location = {search: "?token=a%2Fb"};
globalThis.fetch = async (url, options) => {
  calls.push(options.method + " " + url);
  const {status, ...answer} = answers.shift();
  return {ok: status < 300, status, json: async () => answer};
};
(0, eval)(script);
(async () => {
  const seen = [{calls: calls.length, stop: stop.hidden, undo: undo.hidden}];
  while (answers.length) {
    await (stop.hidden ? undo : stop).click();
    seen.push({said: said.textContent, stop: stop.hidden, undo: undo.hidden, able: !stop.disabled && !undo.disabled});
  }
  console.log(JSON.stringify({calls, seen}));
})();
"""


def browse(*answers: dict[str, Any]) -> Any:
    """What the page's own script does with a reader who presses the button that is there, once per answer."""
    words = WORDS["en"]
    dataset = {name: getattr(words, name) for name in ("done", "undone", "unknown", "later")}
    told = {"script": SCRIPT, "dataset": dataset | NAMES["en"] | {"post": ENDPOINT}, "answers": answers}
    run = subprocess.run([node(), "-e", BROWSER, json.dumps(told)], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


class TestScript:
    STOPPED: ClassVar = {"status": 200, "category": "grooming", "channel": "email", "subscribed": False}

    def test_opening_the_page_asks_for_nothing_and_the_button_does(self) -> None:
        did = browse(self.STOPPED, self.STOPPED | {"subscribed": True})
        assert did["seen"][0] == {"calls": 0, "stop": False, "undo": True}
        assert did["calls"] == ["POST /api/v1/unsubscribe/a%2Fb", "POST /api/v1/unsubscribe/a%2Fb/undo"]
        stopped, again = did["seen"][1:]
        assert stopped == {
            "said": "Done. No more messages: grooming, by e-mail.",
            "stop": True,
            "undo": False,
            "able": True,
        }
        assert again == {
            "said": "All right. You get them again: grooming, by e-mail.",
            "stop": False,
            "undo": True,
            "able": True,
        }

    @pytest.mark.parametrize(("status", "said"), [(404, "unknown"), (429, "later"), (503, "later")])
    def test_what_went_wrong_is_told_and_the_button_stays(self, status: int, said: str) -> None:
        (_, seen) = browse({"status": status})["seen"]
        assert seen == {"said": getattr(WORDS["en"], said), "stop": False, "undo": True, "able": True}


class TestPage:
    def script(self, html: str) -> str:
        found = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
        assert found is not None
        return found[1]

    @pytest.mark.parametrize("language", WORDS)
    async def test_it_speaks_the_reader_s_language_and_runs_exactly_its_own_script(
        self, api: Api, language: str
    ) -> None:
        answer = await api.http.get("/unsubscribe?token=x", headers={"Accept-Language": language})
        assert answer.headers["content-language"] == language
        assert WORDS[language].title in answer.text
        digest = base64.b64encode(hashlib.sha256(self.script(answer.text).encode()).digest()).decode()
        policy = answer.headers["content-security-policy"]
        assert f"script-src 'sha256-{digest}';" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy.replace("unsubscribe", "")
        assert answer.headers["referrer-policy"] == "no-referrer"

    async def test_its_buttons_post_to_the_api_with_the_token_of_the_address_bar(self, api: Api) -> None:
        html = (await api.http.get("/unsubscribe")).text
        assert 'data-post="/api/v1/unsubscribe"' in html
        assert 'new URLSearchParams(location.search).get("token")' in self.script(html)
        assert html.count("<button") == 2

    async def test_whatever_is_in_the_address_is_not_on_it(self, api: Api) -> None:
        plain = await api.http.get("/unsubscribe")
        strange = await api.http.get("/unsubscribe?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        assert (strange.status_code, strange.text) == (200, plain.text)

    def test_words_need_no_escaping_and_every_answer_has_its_name(self) -> None:
        for language, words in WORDS.items():
            texts = [*(getattr(words, name) for name in words.__slots__), *NAMES[language].values()]
            assert not set('<>&"') & set("".join(texts))
            assert NAMES[language].keys() == {*Category, *Channel}
