"""/p/{code}: the page behind a tag. It is read without JavaScript; writing to the owners needs it.

Whatever people typed is escaped, and stands in an element of its own direction (`bdi`): neither markup nor a text that
turns around reaches the words beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from string import Template
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api import tags
from api.deps import ServicesDep
from api.identity import ClientDep
from api.routes.pages import STYLE, AcceptLanguage, Frame, language_of
from core.errors import NotFound

page = APIRouter(include_in_schema=False)

SCRIPT: Final = """
const form = document.querySelector("form"), said = document.querySelector("[role=status]");
const button = form.querySelector("button");
form.hidden = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  const written = [...new FormData(form)].filter(([, text]) => text.trim());
  try {
    const answer = await fetch("/api/v1" + location.pathname + "/sightings", {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(Object.fromEntries(written)),
    });
    said.textContent = answer.ok ? form.dataset.done : answer.status === 404 ? form.dataset.gone : form.dataset.later;
    form.hidden = answer.ok;
  } catch { said.textContent = form.dataset.later; }
  button.disabled = false;
});
"""
PAGE_STYLE: Final = (
    STYLE
    + """
dt { font-size: .8em; opacity: .7; } dd { margin: 0 0 12px; }
bdi { white-space: pre-line; overflow-wrap: anywhere; }
label { display: block; margin: 12px 0; }
input, textarea { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: 8px; }
"""
)
MAIN: Final = Template(
    """<main><h1>$title</h1>
$appeal<dl>$rows</dl>
<form hidden data-done="$done" data-gone="$gone" data-later="$later">
<p>$invitation</p>
<label>$message<textarea name="message" rows="4" maxlength="1000" required></textarea></label>
<label>$place<input name="place" maxlength="200"></label>
<label>$contact<input name="contact" maxlength="200"></label>
<button>$send</button>
</form>
<p role="status" aria-live="polite"></p>
<noscript><p>$noscript</p></noscript>
</main>"""
)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the page says in one language. Ours throughout, and without quotation marks: nothing needs escaping."""

    lost: str
    found: str
    labels: Mapping[str, str]
    microchipped: str
    invitation: str
    message: str
    place: str
    contact: str
    send: str
    done: str
    gone: str
    later: str
    noscript: str
    missing: str
    missing_text: str


WORDS: Final[Mapping[str, _Words]] = {
    "en": _Words(
        lost="Somebody is looking for me",
        found="Have you found me?",
        labels={
            "name": "Name",
            "species": "Animal",
            "breed": "Breed",
            "sex": "Sex",
            "note": "About me",
            "care_note": "What I need",
            "microchipped": "Microchip",
            "first_name": "My person",
            "phone": "Phone",
        },
        microchipped="Yes, a vet or shelter can read it.",
        invitation="Write to my people. They learn only what you write here.",
        message="Your message",
        place="Where (if you like)",
        contact="How to reach you (if you like)",
        send="Send",
        done="Thank you! Your message is on its way.",
        gone="This tag is not in use any more.",
        later="That did not work just now. Please try again later.",
        noscript="To write to the owners, this page needs JavaScript.",
        missing="This tag is not in use",
        missing_text="Please check the address, or take the animal to a vet or shelter: they can read its microchip.",
    ),
    "de": _Words(
        lost="Ich werde gesucht",
        found="Hast du mich gefunden?",
        labels={
            "name": "Name",
            "species": "Tier",
            "breed": "Rasse",
            "sex": "Geschlecht",
            "note": "Über mich",
            "care_note": "Was ich brauche",
            "microchipped": "Mikrochip",
            "first_name": "Mein Mensch",
            "phone": "Telefon",
        },
        microchipped="Ja, eine Tierarztpraxis oder ein Tierheim kann ihn lesen.",
        invitation="Schreib meinen Menschen. Sie erfahren nur, was du hier schreibst.",
        message="Deine Nachricht",
        place="Wo (wenn du magst)",
        contact="Wie man dich erreicht (wenn du magst)",
        send="Abschicken",
        done="Danke! Deine Nachricht ist unterwegs.",
        gone="Diese Marke wird nicht mehr benutzt.",
        later="Das hat gerade nicht geklappt. Bitte versuche es später noch einmal.",
        noscript="Um den Besitzern zu schreiben, braucht diese Seite JavaScript.",
        missing="Diese Marke wird nicht benutzt",
        missing_text="Bitte prüfe die Adresse, oder bring das Tier in eine Tierarztpraxis oder ein Tierheim: Dort kann "
        "man seinen Mikrochip lesen.",
    ),
}
FRAME: Final = Frame(SCRIPT, PAGE_STYLE)
_HEADERS: Final = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}


@page.get(f"{tags.PATH}/{{code}}", operation_id="tag_page")
async def tag_page(
    code: str, request: Request, client: ClientDep, services: ServicesDep, accept_language: AcceptLanguage = ""
) -> HTMLResponse:
    """Where the QR code leads."""
    language = language_of(accept_language)
    try:
        found, request.state.rate_limit = await tags.admit(services, client, code)
    except NotFound:
        return _missing(language)
    return _shown(language, await tags.shown(services, found))


def _shown(language: str, said: Mapping[str, Any]) -> HTMLResponse:
    """The page of what was chosen, and nothing else."""
    words = WORDS[language]
    ours = {name: getattr(words, name) for name in _Words.__slots__ if name not in ("lost", "labels", "microchipped")}
    title = words.lost if said["lost"] else words.found
    main = MAIN.substitute(
        ours,
        title=title,
        appeal=f"<p>{_typed(said['appeal'])}</p>\n" if "appeal" in said else "",
        rows="".join(_row(words, field, said[field]) for field in words.labels if field in said),
    )
    return FRAME.page(language, title, main, headers=_HEADERS)


def _row(words: _Words, field: str, value: Any) -> str:
    match field:
        case "microchipped" if not value:
            return ""
        case "microchipped":
            shown = words.microchipped
        case "phone":
            shown = f'<a href="tel:{escape(value)}">{_typed(value)}</a>'
        case _:
            shown = _typed(value)
    return f"<dt>{words.labels[field]}</dt><dd>{shown}</dd>"


def _typed(text: str) -> str:
    return f'<bdi dir="auto">{escape(text)}</bdi>'


def _missing(language: str) -> HTMLResponse:
    words = WORDS[language]
    main = f"<main><h1>{words.missing}</h1><p>{words.missing_text}</p></main>"
    return FRAME.page(language, words.missing, main, 404, _HEADERS)
