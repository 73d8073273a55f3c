"""A vet's link: read-only, for some pets and days, every use on record."""

import asyncio
import base64
import hashlib
import json
import subprocess
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from sqlalchemy import text

from api.routes.vet_links import SCRIPT, WORDS
from api.schemas.grants import VetLinkOut
from core.db import Database
from core.settings import RateLimit, Settings
from infra.node import node
from tests.api.grants_kit import ahead, ends, grants_path, made, pet_of, remind, vet_link
from tests.api.signing_in import OPEN, Api, Person
from tests.api.test_pages import inline

CHIP = "276098102345678"


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Everybody here registers from one network; a link may be used five times an hour."""
    few = RateLimit(quota=5, window=3600, burst=5)
    return settings.model_copy(update={"rate_limits": OPEN.model_copy(update={"feeds": few})})


@pytest.fixture
async def owner(api: Api) -> Person:
    return await api.person(timezone="Europe/Berlin", first_name="Ada")


async def log_of(owner: Person, grant: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await owner.request("GET", f"{await grants_path(owner)}/{grant['id']}/accesses")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_it_shows_identity_chips_vaccinations_diary_and_medication_of_the_granted_pets(
    api: Api, owner: Person
) -> None:
    milo = await pet_of(owner, species="cat", microchip_id=CHIP, weight_kg=4.2)
    await pet_of(owner, "Luna")
    shot = {"record_type": "vaccination", "title": "Rabies", "date_administered": "2026-01-02", "cost": 50}
    await made(owner, f"/health-records/pets/{milo}/records", shot)
    await made(owner, f"/health-records/pets/{milo}/records", {"record_type": "visit", "title": "Check"})
    await remind(owner, milo, category="medication", description="with food")
    await remind(owner, milo, title="Brush", category="grooming")
    grant, path = await vet_link(owner, milo)
    assert (grant["state"], grant["kind"], grant["actions"]) == ("active", "vet", [])
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    (pet,) = VetLinkOut.model_validate(answer.json()).pets
    assert (pet.name, pet.species, pet.microchips[0].code) == ("Milo", "cat", CHIP)
    assert pet.weight is not None
    assert pet.weight.grams == 4200
    assert [record.title for record in pet.vaccinations] == ["Rabies"]
    assert [record.title for record in pet.records] == ["Check"]
    assert [(each.title, each.description) for each in pet.medication] == [("Tablet", "with food")]
    for hidden in ("Luna", "Brush", "cost", str(owner.user_id), owner.email, "household_id"):
        assert hidden not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_it_lasts_a_week_unless_somebody_says_otherwise(owner: Person, db: Database) -> None:
    grant, _ = await vet_link(owner, await pet_of(owner))
    lasts = await db.reads.fetchval("SELECT valid_until - valid_from FROM grants WHERE id = $1", grant["id"])
    assert lasts.days == 7


async def test_nothing_is_found_once_it_has_expired_or_was_revoked(api: Api, owner: Person, db: Database) -> None:
    milo = await pet_of(owner)
    (expired, expired_path), (revoked, revoked_path) = await vet_link(owner, milo), await vet_link(owner, milo)
    assert [(await api.get(path)).status_code for path in (expired_path, revoked_path)] == [200, 200]
    await ends(db, grant_id=expired["id"])
    gone = await owner.request("DELETE", f"{await grants_path(owner)}/{revoked['id']}")
    assert gone.status_code == 204
    refusals = [await api.get(path) for path in (expired_path, revoked_path, "/v/never-was")]
    assert {(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in refusals} == {
        (404, "not_found", "no such link")
    }
    for grant in (expired, revoked):
        assert len(await log_of(owner, grant)) == 1
        shown = await owner.request("GET", f"{await grants_path(owner)}/{grant['id']}")
        assert shown.json()["url"] is None
        assert (await owner.request("GET", f"{await grants_path(owner)}/{grant['id']}/qr")).status_code == 404


async def test_a_pet_that_moved_away_or_is_gone_is_not_shown(api: Api, owner: Person, db: Database) -> None:
    milo, luna = await pet_of(owner), await pet_of(owner, "Luna")
    _, path = await vet_link(owner, milo, luna)
    assert (await owner.request("DELETE", f"/pets/{milo}")).status_code == 204
    assert [pet["name"] for pet in (await api.get(path)).json()["pets"]] == ["Luna"]
    stranger = await api.person()
    async with db.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE pets SET household_id = (SELECT household_id FROM memberships WHERE user_id = :user)"
                " WHERE id = :id"
            ),
            {"user": stranger.user_id, "id": luna},
        )
    assert (await api.get(path)).json()["pets"] == []


async def test_every_use_is_on_record_with_the_network_and_not_the_address(owner: Person, api: Api) -> None:
    grant, path = await vet_link(owner, await pet_of(owner))
    for agent in ("first", "second\u202e"):
        answer = await api.http.get(f"/api/v1{path}", headers={"User-Agent": agent.encode()})
        assert answer.status_code == 200
    log = await log_of(owner, grant)
    assert [(use["action"], use["user_agent"][:6]) for use in log] == [("read", "second"), ("read", "first")]
    assert all(use["ip"].endswith(".0/24") for use in log)


async def test_a_link_is_limited_by_itself_and_guesses_by_their_network(owner: Person, api: Api) -> None:
    milo = await pet_of(owner)
    (grant, path), (_, other) = await vet_link(owner, milo), await vet_link(owner, milo)
    answers = [(await api.get(path)).status_code for _ in range(7)]
    assert answers == [200] * 5 + [429] * 2
    assert len(await log_of(owner, grant)) == 5
    assert (await api.get(other)).status_code == 200


async def test_a_revocation_during_uses_is_never_followed_by_an_answer(owner: Person, api: Api) -> None:
    grant, path = await vet_link(owner, await pet_of(owner))
    uses = [asyncio.create_task(api.get(path)) for _ in range(3)]
    revoked = await owner.request("DELETE", f"{await grants_path(owner)}/{grant['id']}")
    assert revoked.status_code == 204
    assert (await api.get(path)).status_code == 404
    shown = [answer.status_code for answer in await asyncio.gather(*uses)]
    assert len(await log_of(owner, grant)) == shown.count(200)


async def test_the_database_holds_no_token(owner: Person, db: Database) -> None:
    grant, path = await vet_link(owner, await pet_of(owner), label="Canary-label")
    row = await db.reads.fetchrow("SELECT * FROM grants WHERE id = $1", grant["id"])
    token = path.removeprefix("/v/")
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert row["token_hash"] == hashlib.sha256(token.encode()).digest()
    assert not any(secret in str(dict(row)) for secret in (token, "Canary-label"))


async def test_the_qr_code_holds_the_link(owner: Person) -> None:
    grant, _ = await vet_link(owner, await pet_of(owner))
    answer = await owner.request("GET", f"{await grants_path(owner)}/{grant['id']}/qr")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(answer.content).tag.endswith("svg")
    other, _ = await vet_link(owner, await pet_of(owner))
    again = await owner.request("GET", f"{await grants_path(owner)}/{grant['id']}/qr")
    different = await owner.request("GET", f"{await grants_path(owner)}/{other['id']}/qr")
    assert answer.content == again.content != different.content


@pytest.mark.parametrize("language", ["en", "de"])
async def test_the_page_is_the_same_whatever_the_token_and_looking_at_it_is_no_use(
    owner: Person, api: Api, language: str
) -> None:
    grant, path = await vet_link(owner, await pet_of(owner))
    headers = {"Accept-Language": language}
    page, other = [await api.http.get(url, headers=headers) for url in (path, "/v/%3Cscript%3E")]
    assert (page.status_code, page.text) == (200, other.text)
    assert WORDS[language].title in page.text
    digest = base64.b64encode(hashlib.sha256(inline("script", page.text).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "noindex" in page.headers["x-robots-tag"]
    assert await log_of(owner, grant) == []


def test_words_need_no_escaping() -> None:
    for words in WORDS.values():
        assert not set('<>&"') & set("".join(getattr(words, name) for name in words.__slots__))


_BROWSER = """
const text = (node) => [node.textContent, ...node.children.flatMap(text)].filter(Boolean);
const element = (tag) => ({tag, textContent: "", children: [], dataset: INPUT.words,
  appendChild(child) { this.children.push(child); return child; }});
const body = element("main"), status = element("p");
globalThis.document = {documentElement: {lang: "en"}, createElement: element,
  querySelector: (selector) => selector === "main" ? body : status};
globalThis.location = {pathname: "/v/TOKEN"};
globalThis.fetch = async (url) => {
  if (url !== "/api/v1/v/TOKEN") throw new Error(url);
  return {ok: INPUT.status === 200, status: INPUT.status, json: async () => INPUT.body};
};
process.on("exit", () => console.log(JSON.stringify({said: status.textContent, shown: text(body)})));
"""


def opened(status: int, body: Any = None) -> dict[str, Any]:
    """What the page's script makes of an answer, in a browser of five lines."""
    words = {name: getattr(WORDS["en"], name) for name in WORDS["en"].__slots__}
    given = json.dumps({"status": status, "body": body, "words": words})
    run = subprocess.run(
        [node(), "--input-type=module", "-e", f"const INPUT = {given};{_BROWSER}{SCRIPT}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(run.stdout))


async def test_the_page_shows_what_was_shared_as_text(api: Api, owner: Person) -> None:
    milo = await pet_of(owner, "<b>Milo</b>", microchip_id=CHIP)
    await made(
        owner,
        f"/health-records/pets/{milo}/records",
        {"record_type": "vaccination", "title": "Rabies", "date_administered": "2026-01-02"},
    )
    await remind(owner, milo, category="medication")
    _, path = await vet_link(owner, milo)
    page = opened(200, (await api.get(path)).json())
    assert page["said"].startswith(WORDS["en"].until)
    assert "<b>Milo</b>" in page["shown"]
    assert any("Rabies" in line and "1/2/2026" in line for line in page["shown"])
    assert any(CHIP in line for line in page["shown"])
    assert any("Tablet" in line and "next" in line for line in page["shown"])


def test_the_page_says_when_the_link_is_over_or_something_is_away() -> None:
    assert (opened(404)["said"], opened(503)["said"]) == (WORDS["en"].over, WORDS["en"].later)


async def test_whoever_is_away_until_the_link_ends_may_be_given_longer_but_not_again(
    owner: Person, db: Database
) -> None:
    grant, _ = await vet_link(owner, await pet_of(owner))
    path = f"{await grants_path(owner)}/{grant['id']}"
    assert (await owner.request("PATCH", path, {"valid_until": ahead(days=30)})).status_code == 200
    assert (await owner.request("PATCH", path, {"actions": ["act"]})).status_code == 422
    await ends(db, grant_id=grant["id"])
    answer = await owner.request("PATCH", path, {"valid_until": ahead(days=30)})
    assert (answer.status_code, answer.json()["code"]) == (409, "grant_closed")
