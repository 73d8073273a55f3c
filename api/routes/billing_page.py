"""Where the Checkout page leads to when the app has no place of its own for that."""

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Depends, Query, Response

from api import checkout
from api.auth import limited
from api.billing_services import BillingOn
from api.deps import ServicesDep
from api.routes.pages import AcceptLanguage, Frame, language_of

router = APIRouter(include_in_schema=False)
_FRAME: Final = Frame()


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    text: str


_PAID: Final = {
    "en": _Words(
        "Thank you",
        "Your plan begins as soon as your payment has come through: with a card now, with a bank debit in some days. "
        "You can close this page.",
    ),
    "de": _Words(
        "Danke",
        "Dein Tarif beginnt, sobald deine Zahlung da ist: mit einer Karte gleich, mit einer Lastschrift in einigen "
        "Tagen. Du kannst diese Seite schließen.",
    ),
}
_LEFT: Final = {
    "en": _Words("Nothing was paid", "Your plan is what it was. You can close this page."),
    "de": _Words("Nichts wurde bezahlt", "Dein Tarif ist, was er war. Du kannst diese Seite schließen."),
}


@router.get(checkout.RETURN_PAGE, operation_id="checkout_page", dependencies=[Depends(limited("anonymous"))])
async def checkout_page(
    _: BillingOn,
    services: ServicesDep,
    session_id: str = Query(default="", max_length=255),
    accept_language: AcceptLanguage = "",
) -> Response:
    """Says thank you, to anybody and about nobody, and has the account read whose page that was."""
    language = language_of(accept_language)
    words = (_PAID if session_id else _LEFT)[language]
    if session_id:
        await checkout.noticed(services, session_id)
    return _FRAME.page(language, words.title, f"<main><h1>{words.title}</h1><p>{words.text}</p></main>")
