"""What people see in their browser when a sign-in with a provider ends outside of the app."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from fastapi import APIRouter, Depends, Request, Response

from api.auth import limited
from api.deps import ServicesDep
from api.identity import Identity
from api.provider_events import DELETION_PAGE
from api.routes.pages import AcceptLanguage, Frame, language_of
from core.errors import PetfolioError
from domain.oauth import Provider
from models.queries import vendor_events

router = APIRouter(include_in_schema=False)

_FRAME: Final = Frame()


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    text: str
    link: str = ""


SIGN_IN: Final = {
    "en": "Signing in did not work",
    "de": "Die Anmeldung hat nicht geklappt",
}
CALENDAR: Final = {
    "en": "Connecting your calendar did not work",
    "de": "Den Kalender zu verbinden hat nicht geklappt",
}
_BACK: Final = {"en": "Back to Petfolio", "de": "Zurück zu Petfolio"}
_REASONS: Final = {
    "en": {
        "invalid_state": "This was begun in another browser, or too long ago. Please start again.",
        "provider_unavailable": "The service you sign in with does not answer just now. Please try again in a minute.",
        "": "The service you sign in with did not confirm who you are. Please start again.",
    },
    "de": {
        "invalid_state": "Das wurde in einem anderen Browser begonnen, oder vor zu langer Zeit. "
        "Bitte beginne noch einmal.",
        "provider_unavailable": "Der Dienst, mit dem du dich anmeldest, antwortet gerade nicht. "
        "Bitte versuche es in einer Minute noch einmal.",
        "": "Der Dienst, mit dem du dich anmeldest, hat nicht bestätigt, wer du bist. Bitte beginne noch einmal.",
    },
}
_FORGOTTEN: Final = {
    "en": _Words(
        "Your Facebook data",
        "Your request arrived on {:%Y-%m-%d} at {:%H:%M} UTC. What Petfolio had from Facebook is deleted. If you "
        "signed in with nothing else, your account is closed and will be erased; a mail tells you when, and how to "
        "keep it.",
    ),
    "de": _Words(
        "Deine Daten von Facebook",
        "Deine Anfrage kam am {:%d.%m.%Y} um {:%H:%M} Uhr UTC an. Was Petfolio von Facebook hatte, ist gelöscht. "
        "Falls du dich nur damit angemeldet hast, ist dein Konto geschlossen und wird gelöscht; wann, und wie du es "
        "behältst, steht in einer Mail.",
    ),
}
_UNKNOWN: Final = {
    "en": _Words("Your Facebook data", "There is no request with this code."),
    "de": _Words("Deine Daten von Facebook", "Zu diesem Code gibt es keine Anfrage."),
}


def wants_page(request: Request) -> bool:
    """Whether a browser shows the answer to a person."""
    return "text/html" in request.headers.get("accept", "")


def failure_page(
    request: Request, identity: Identity, error: PetfolioError, titles: Mapping[str, str] = SIGN_IN
) -> Response:
    """Why the browser is not back in the app, under the status of the error."""
    language = language_of(request.headers.get("accept-language", ""))
    reasons = _REASONS[language]
    link = f'<p><a href="{escape(identity.settings.oauth.app_url or "/")}">{_BACK[language]}</a></p>'
    words = _Words(titles[language], reasons.get(error.problem_code, reasons[""]), link)
    headers = {"Retry-After": "60"} if error.http_status == 503 else {}
    return _page(words, language, error.http_status, headers)


@router.get(DELETION_PAGE + "/{code}", operation_id="data_deletion_page", dependencies=[Depends(limited("anonymous"))])
async def data_deletion(code: str, services: ServicesDep, accept_language: AcceptLanguage = "") -> Response:
    """Where Facebook sends people who asked it to have us forget them."""
    language = language_of(accept_language)
    at = await vendor_events.processed_at(services.db.reads, Provider.FACEBOOK, code.replace("\0", ""))
    return _page(_UNKNOWN[language], language, 404) if at is None else _page(_told(_FORGOTTEN[language], at), language)


def _told(words: _Words, at: datetime) -> _Words:
    return _Words(words.title, words.text.format(at, at))


def _page(words: _Words, language: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    main = f"<main><h1>{words.title}</h1><p>{words.text}</p>{words.link}</main>"
    return _FRAME.page(language, words.title, main, status, headers)
