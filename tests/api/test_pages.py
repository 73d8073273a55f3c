"""The pages behind mailed links: a GET changes nothing, the button's POST does, and nothing else can run on them."""

import base64
import hashlib
import re

import pytest

from api.routes import reset_password, upload_page
from api.routes.pages import CANCEL_ERASURE, CONFIRM_EMAIL, VERIFY
from core.settings import Settings
from domain.password import Weakness
from models.session import MailTokenKind
from tests.api.signing_in import OPEN, PASSWORD, Api

PAGES = {
    "/verify-email": "/api/v1/auth/verify-email",
    "/confirm-email": "/api/v1/auth/confirm-email",
    "/cancel-erasure": "/api/v1/users/erasure/cancel",
}


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here registers from one network."""
    return settings.model_copy(update={"rate_limits": OPEN})


def inline(tag: str, html: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", [*PAGES, "/reset-password"])
async def test_a_page_may_run_exactly_its_own_script(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    policy = answer.headers["content-security-policy"]
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(inline(tag, answer.text).encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in re.sub(r"<script>.*</script>", "", answer.text, flags=re.DOTALL)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("path", "target"), PAGES.items())
async def test_the_button_posts_to_the_api_what_the_address_bar_holds(api: Api, path: str, target: str) -> None:
    html = (await api.http.get(path)).text
    assert f'data-post="{target}"' in html
    script = inline("script", html)
    assert 'new URLSearchParams(location.search).get("token")' in script
    assert "JSON.stringify({token})" in script


async def test_the_form_for_a_new_password_posts_it_with_the_token_and_says_why_it_was_refused(api: Api) -> None:
    html = (await api.http.get("/reset-password?token=%22%3E%3Cscript%3E", headers={"Accept-Language": "de"})).text
    assert 'data-post="/api/v1/auth/password/reset"' in html
    assert 'type="password" autocomplete="new-password"' in html
    assert "event.preventDefault()" in inline("script", html)
    assert "JSON.stringify({token, password: password.value})" in inline("script", html)
    for reason, sentence in reset_password.REASONS["de"].items():
        assert f'data-{reason}="{sentence}"' in html
    assert html == (await api.http.get("/reset-password", headers={"Accept-Language": "de"})).text


async def test_a_scanner_that_opens_the_form_changes_no_password(api: Api) -> None:
    person = await api.person()
    token = await api.mailed_token(person.email, MailTokenKind.RESET)
    for method in ("GET", "HEAD", "GET"):
        assert token not in (await api.http.request(method, f"/reset-password?token={token}")).text
    assert await person.is_let_in()
    body = {"token": token, "password": "seven herons in the harbour"}
    assert (await api.post("/auth/password/reset", body)).status_code == 204


async def test_a_scanner_that_follows_the_link_leaves_the_token_to_its_reader(api: Api) -> None:
    email = "scanned@example.test"
    await api.register(email)
    token = await api.mailed_token(email, MailTokenKind.VERIFY)
    for method in ("GET", "HEAD", "GET"):
        page = await api.http.request(method, f"/verify-email?token={token}")
        assert token not in page.text
    assert (await api.login(email, PASSWORD)).status_code == 401
    target = PAGES["/verify-email"]
    assert (await api.http.post(target, json={"token": token})).status_code == 204
    assert (await api.http.post(target, json={"token": token})).status_code == 400
    assert (await api.login(email, PASSWORD)).status_code == 200


@pytest.mark.parametrize("query", ["?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "?token=", "", "?token=a&token=b"])
async def test_whatever_is_in_the_address_is_on_no_page(api: Api, query: str) -> None:
    plain = await api.http.get("/verify-email")
    answer = await api.http.get(f"/verify-email{query}")
    assert (answer.status_code, answer.text) == (200, plain.text)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,de;q=0.5", "de"),
        ("en-US", "en"),
        ("fr", "en"),
        ("", "en"),
        (";;,,", "en"),
    ],
)
async def test_a_page_speaks_the_reader_s_language(api: Api, accepted: str, language: str) -> None:
    answer = await api.http.get("/verify-email", headers={"Accept-Language": accepted})
    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}">' in answer.text
    assert VERIFY[language].title in answer.text


async def test_the_upload_page_runs_files_of_ours_and_talks_to_the_store_besides_us(api: Api) -> None:
    answer = await api.http.get("/upload")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    store = "http://127.0.0.1:9"
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert (policy["connect-src"], policy["img-src"]) == (f"'self' {store}", store)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert re.findall(r"<script[^>]*>[^<]*", answer.text) == ['<script type="module" src="/upload/upload.js">']
    assert not re.search(r"https?:|\son\w+=|\sstyle=", answer.text.partition("<body>")[2])


@pytest.mark.parametrize("name", ["upload.js", "transfer.js", "session.js"])
async def test_the_scripts_of_the_upload_page_come_from_here(api: Api, name: str) -> None:
    answer = await api.http.get(f"/upload/{name}")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "https:" not in answer.text


@pytest.mark.parametrize("name", ["other.js", "..%2Froutes%2Fpages.py", "upload"])
async def test_no_other_file_is_a_script_of_the_upload_page(api: Api, name: str) -> None:
    assert (await api.http.get(f"/upload/{name}")).status_code == 404


async def test_the_address_at_the_foot_of_a_mail_leads_somewhere(api: Api) -> None:
    answer = await api.http.get("/", headers={"Accept-Language": "de"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Wir erinnern dich" in answer.text


def test_words_need_no_escaping() -> None:
    pages = (*VERIFY.values(), *CANCEL_ERASURE.values(), *CONFIRM_EMAIL.values(), *reset_password.WORDS.values())
    pages = (*pages, *upload_page.WORDS.values())
    said = [getattr(words, name) for words in pages for name in words.__slots__]
    said += [sentence for sentences in reset_password.REASONS.values() for sentence in sentences.values()]
    assert not set('<>&"') & set("".join(said))


def test_every_reason_against_a_password_has_its_sentence_in_both_languages() -> None:
    assert all(sentences.keys() == set(Weakness) for sentences in reset_password.REASONS.values())
