"""One-click unsubscribe (RFC 8058): what a mail program posts to, and the page that the link in a mail opens."""

from dataclasses import asdict, dataclass
from string import Template
from typing import Any, Final

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from api import preferences
from api.auth import limited
from api.deps import ServicesDep, UnitOfWork
from api.identity import ClientDep
from api.routes.pages import AcceptLanguage, Frame, language_of
from api.routing import router as make_router
from api.schemas.unsubscribe import UnsubscribedOut
from core import unsubscribe
from domain.notification import Category, Channel

router = make_router("/unsubscribe", "notifications")
page = APIRouter(include_in_schema=False)
_NOT_OURS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "Not a link of ours, or nothing that can be switched off."}
}


@router.post("/{token}", operation_id="unsubscribe", dependencies=[Depends(limited("anonymous"))], responses=_NOT_OURS)
async def unsubscribe_with_one_click(
    token: str, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> UnsubscribedOut:
    """Stop what the mail was about, without signing in. Any body is welcome (mail programs send the form
    `List-Unsubscribe=One-Click`) and none is read; repeating it is 200 again."""
    return await preferences.follow(session, services, client, token, wanted=False)


@router.post(
    "/{token}/undo", operation_id="resubscribe", dependencies=[Depends(limited("anonymous"))], responses=_NOT_OURS
)
async def resubscribe(token: str, client: ClientDep, session: UnitOfWork, services: ServicesDep) -> UnsubscribedOut:
    """Take it back with the same link."""
    return await preferences.follow(session, services, client, token, wanted=True)


# Nothing of the address reaches the markup: the script reads the token from the address bar.
SCRIPT = """
const main = document.querySelector("main"), said = document.querySelector("[role=status]");
const [stop, undo] = document.querySelectorAll("button");
const token = new URLSearchParams(location.search).get("token");
async function post(button, path, words) {
  stop.disabled = undo.disabled = true;
  try {
    const answer = await fetch(main.dataset.post + "/" + encodeURIComponent(token) + path, {method: "POST"});
    if (answer.ok) {
      const {category, channel, subscribed} = await answer.json();
      said.textContent = words.replace("{}", main.dataset[category] + ", " + main.dataset[channel]);
      stop.hidden = !subscribed; undo.hidden = subscribed;
    } else {
      said.textContent = answer.status >= 500 || answer.status === 429 ? main.dataset.later : main.dataset.unknown;
    }
  } catch { said.textContent = main.dataset.later; }
  stop.disabled = undo.disabled = false;
}
stop.addEventListener("click", () => post(stop, "", main.dataset.done));
undo.addEventListener("click", () => post(undo, "/undo", main.dataset.undone));
"""
MAIN = Template(
    """<main data-post="$post" data-done="$done" data-undone="$undone" data-unknown="$unknown" data-later="$later"
  $names>
<h1>$title</h1><p>$text</p>
<button type="button">$label</button>
<button type="button" hidden>$undo</button>
<p role="status" aria-live="polite"></p>
<noscript><p>$noscript</p></noscript>
</main>"""
)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the page says in one language. Ours throughout, and without quotation marks: nothing needs escaping."""

    title: str
    text: str
    label: str
    undo: str
    done: str
    undone: str
    unknown: str
    later: str
    noscript: str


WORDS: Final = {
    "en": _Words(
        title="Stop these messages",
        text="One click, and messages like the one you came from stop. Everything else stays as it is.",
        label="Stop them",
        undo="Send them again",
        done="Done. No more messages: {}.",
        undone="All right. You get them again: {}.",
        unknown="This link is not complete. Please open it from the mail once more.",
        later="That did not work just now. Please try again in a minute.",
        noscript="This page needs JavaScript. You can also switch messages off in the settings of your app.",
    ),
    "de": _Words(
        title="Diese Nachrichten abbestellen",
        text="Ein Klick, und Nachrichten wie die, von der du kommst, hören auf. Alles andere bleibt, wie es ist.",
        label="Abbestellen",
        undo="Wieder senden",
        done="Erledigt. Keine Nachrichten mehr: {}.",
        undone="In Ordnung. Du bekommst sie wieder: {}.",
        unknown="Dieser Link ist nicht vollständig. Bitte öffne ihn noch einmal aus der Mail.",
        later="Das hat gerade nicht geklappt. Bitte versuche es in einer Minute noch einmal.",
        noscript="Diese Seite braucht JavaScript. Abstellen kannst du Nachrichten auch in deiner App.",
    ),
}
NAMES: Final[dict[str, dict[str, str]]] = {
    "en": {
        Category.MEDICATION: "medication",
        Category.VACCINATION: "vaccinations",
        Category.APPOINTMENT: "appointments",
        Category.GROOMING: "grooming",
        Category.FEEDING: "feeding",
        Category.OTHER: "other reminders",
        Category.LOST: "lost pets",
        Category.DIGEST: "the digest",
        Category.CALENDAR: "calendars",
        Category.MEDIA: "photos and papers",
        Category.BILLING: "billing",
        Category.PRIVACY: "privacy",
        Category.SECURITY: "security",
        Category.ACCOUNT: "your account",
        Channel.EMAIL: "by e-mail",
        Channel.SMS: "by text message",
        Channel.PUSH: "on your devices",
        Channel.IN_APP: "in the app",
    },
    "de": {
        Category.MEDICATION: "Medikamente",
        Category.VACCINATION: "Impfungen",
        Category.APPOINTMENT: "Termine",
        Category.GROOMING: "Fellpflege",
        Category.FEEDING: "Fütterung",
        Category.OTHER: "andere Erinnerungen",
        Category.LOST: "vermisste Tiere",
        Category.DIGEST: "die Zusammenfassung",
        Category.CALENDAR: "Kalender",
        Category.MEDIA: "Fotos und Dokumente",
        Category.BILLING: "Abrechnung",
        Category.PRIVACY: "Datenschutz",
        Category.SECURITY: "Sicherheit",
        Category.ACCOUNT: "dein Konto",
        Channel.EMAIL: "per E-Mail",
        Channel.SMS: "per SMS",
        Channel.PUSH: "auf deinen Geräten",
        Channel.IN_APP: "in der App",
    },
}
FRAME: Final = Frame(SCRIPT)


@page.get(unsubscribe.PAGE, operation_id="unsubscribe_page")
async def unsubscribe_page(accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Where the foot of a mail leads. Opening it changes nothing: the button does."""
    language = language_of(accept_language)
    words = WORDS[language]
    # `in_app` is `dataset.in_app`: a data attribute keeps its underscore.
    names = " ".join(f'data-{word}="{name}"' for word, name in NAMES[language].items())
    main = MAIN.substitute(asdict(words), names=names, post=unsubscribe.ENDPOINT)
    return FRAME.page(language, words.title, main)
