"""/v/{token}: what a vet's link shows, as JSON below /api/v1 and as the page that people open."""

from dataclasses import asdict, dataclass
from string import Template
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from api import vet_links
from api.deps import ServicesDep, UnitOfWork
from api.identity import ClientDep
from api.json_response import computed
from api.routes.pages import AcceptLanguage, Frame, language_of
from api.routing import router as make_router
from api.schemas.grants import VetLinkOut

router = make_router("/v", "grants")
page = APIRouter(include_in_schema=False)
_HIDDEN: Final = {"X-Robots-Tag": "noindex, nofollow"}

# The token is read from the address bar. Whatever people wrote is text, never markup.
SCRIPT = """
const main = document.querySelector("main"), said = document.querySelector("[role=status]"), words = main.dataset;
const language = document.documentElement.lang, token = location.pathname.split("/").pop();
const day = (text) => text ? new Date(text).toLocaleDateString(language, {timeZone: "UTC"}) : "";
const moment = (text) => new Date(text).toLocaleString(language);
const add = (parent, tag, text) => {
  const made = parent.appendChild(document.createElement(tag)); made.textContent = text; return made; };
const list = (parent, title, lines) => {
  if (!lines.length) return;
  add(parent, "h3", title);
  const items = add(parent, "ul", "");
  for (const line of lines) add(items, "li", line.filter(Boolean).join(" · "));
};
const entry = (r) => [day(r.date_administered), r.title, r.veterinarian, r.description];
const show = (pet) => {
  const part = add(main, "section", "");
  add(part, "h2", pet.name);
  add(part, "p", [pet.species, pet.breed, pet.sex, day(pet.date_of_birth), pet.weight && pet.weight.grams + " g"]
    .filter(Boolean).join(" · "));
  list(part, words.chips, pet.microchips.map((chip) => [chip.code, day(chip.implanted_on), chip.site]));
  list(part, words.vaccinations, pet.vaccinations.map(entry));
  list(part, words.medication, pet.medication.map((m) =>
    [m.title, m.description, m.next_at && words.next + " " + moment(m.next_at)]));
  list(part, words.records, pet.records.map(entry));
};
(async () => {
  try {
    const answer = await fetch("/api/v1/v/" + token);
    if (answer.ok) {
      const shown = await answer.json();
      said.textContent = words.until + " " + moment(shown.valid_until);
      shown.pets.forEach(show);
    } else {
      said.textContent = answer.status === 404 ? words.over : words.later;
    }
  } catch { said.textContent = words.later; }
})();
"""
FRAME: Final = Frame(SCRIPT)
MAIN: Final = Template(
    """<main data-chips="$chips" data-vaccinations="$vaccinations" data-medication="$medication" data-records="$records"
  data-next="$next" data-until="$until" data-over="$over" data-later="$later">
<h1>$title</h1>
<p role="status" aria-live="polite"></p>
<noscript><p>$noscript</p></noscript>
</main>"""
)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the page says in one language. Ours throughout, and without quotation marks: nothing needs escaping."""

    title: str
    chips: str
    vaccinations: str
    medication: str
    records: str
    next: str
    until: str
    over: str
    later: str
    noscript: str


WORDS: Final = {
    "en": _Words(
        title="For the vet",
        chips="Microchips",
        vaccinations="Vaccinations",
        medication="Current medication",
        records="Diary",
        next="next",
        until="Shared by the owner, read-only, until",
        over="This link shows nothing any more, or never did. Please ask the owner for a new one.",
        later="That did not work just now. Please try again in a minute.",
        noscript="This page needs JavaScript to show what was shared with you.",
    ),
    "de": _Words(
        title="Für die Tierarztpraxis",
        chips="Mikrochips",
        vaccinations="Impfungen",
        medication="Aktuelle Medikamente",
        records="Tagebuch",
        next="nächstes Mal",
        until="Von den Besitzern freigegeben, nur zum Lesen, bis",
        over="Dieser Link zeigt nichts mehr, oder hat nie etwas gezeigt. Bitte lass dir einen neuen geben.",
        later="Das hat gerade nicht geklappt. Bitte versuche es in einer Minute noch einmal.",
        noscript="Diese Seite braucht JavaScript, um zu zeigen, was für dich freigegeben wurde.",
    ),
}


@router.get(
    "/{token}",
    operation_id="read_vet_link",
    response_model=VetLinkOut,
    responses={404: {"description": "Not a link, or not any more."}},
)
async def read_vet_link(
    token: str, request: Request, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> Response:
    """The animals an owner shares: identity, chips, vaccinations and diary, and what they are being given. Every use is
    in a log that the owner reads."""
    found, request.state.rate_limit = await vet_links.admit(services, client, token)
    answer = computed(await vet_links.show(session, services, client, found))
    answer.headers.update(_HIDDEN)
    return answer


@page.get("/v/{token}", operation_id="vet_page")
async def vet_page(token: str, accept_language: AcceptLanguage = "") -> HTMLResponse:
    """The page behind the link. The same whatever the token is: only what its script reads counts as a use."""
    language = language_of(accept_language)
    words = WORDS[language]
    return FRAME.page(language, words.title, MAIN.substitute(asdict(words)), headers=_HIDDEN)
