"""The pages that mails lead to. A GET changes nothing: mail scanners follow links. The button does."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from string import Template
from typing import Annotated, Final

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

# The token stays in the address bar's query and is read there by the script: it is in no markup and in no log of ours.
SCRIPT = """
const button = document.querySelector("button"), said = document.querySelector("[role=status]");
const token = new URLSearchParams(location.search).get("token");
button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    const answer = await fetch(button.dataset.post, {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({token}),
    });
    said.textContent = answer.ok ? button.dataset.done
      : answer.status >= 500 || answer.status === 429 ? button.dataset.later : button.dataset.expired;
    button.hidden = answer.ok;
    if (answer.ok) history.replaceState(null, "", location.pathname);
    button.disabled = answer.ok || answer.status < 500;
  } catch { said.textContent = button.dataset.later; button.disabled = false; }
});
"""
STYLE = """
:root { color-scheme: light dark; font: 18px/1.5 system-ui, sans-serif; }
body { margin: 0; display: grid; place-items: center; min-height: 100vh; }
main { max-width: 28em; padding: 24px; }
h1 { font-size: 1.5em; }
button { font: inherit; padding: 12px 20px; border: 0; border-radius: 8px; background: #2f6f5e; color: #fff; }
button:disabled { opacity: .5; }
button:focus-visible { outline: 3px solid #e8a33d; outline-offset: 2px; }
"""
_FRAME: Final = Template(
    """<!doctype html>
<html lang="$language">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>$style</style></head>
<body>$main$script</body></html>"""
)


class Frame:
    """What is around the `<main>` of a page. The page may run exactly this script, look exactly like this, and talk to
    us; `sources` has the directives of a page that does something else."""

    def __init__(self, script: str = "", style: str = STYLE, sources: Mapping[str, str] | None = None) -> None:
        self._script, self._style = f"<script>{script}</script>" if script else "", style
        allowed = {
            "default-src": "'none'",
            "script-src": f"'sha256-{_hash(script)}'",
            "style-src": f"'sha256-{_hash(style)}'",
            "connect-src": "'self'",
            **(sources or {}),
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        self._policy = "; ".join(f"{directive} {value}" for directive, value in allowed.items())

    def page(
        self, language: str, title: str, main: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> HTMLResponse:
        """`main` is markup: what people typed is escaped in it. `title` is text of ours, empty for the front page."""
        name = f"{title} – Petfolio" if title else "Petfolio"
        html = _FRAME.substitute(language=language, title=name, style=self._style, main=main, script=self._script)
        own = {"Content-Security-Policy": self._policy, "Content-Language": language}
        return HTMLResponse(html, status, own | dict(headers or {}))


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_MAIN: Final = Template(
    """<main><h1>$title</h1><p>$text</p>
<button type="button" data-post="$post" data-done="$done" data-expired="$expired" data-later="$later">$label</button>
<p role="status" aria-live="polite"></p>
<noscript><p>$noscript</p></noscript>
</main>"""
)
_CONFIRMING: Final = Frame(SCRIPT)


@dataclass(frozen=True, slots=True)
class _Words:
    """What one page says in one language. Ours throughout, and without quotation marks: nothing needs escaping."""

    language: str
    title: str
    text: str
    label: str
    done: str
    expired: str
    later: str
    noscript: str

    def page(self, post: str) -> HTMLResponse:
        """The page whose button posts the token there."""
        return _CONFIRMING.page(self.language, self.title, _MAIN.substitute(asdict(self), post=post))


_ENGLISH = partial(
    _Words,
    language="en",
    later="That did not work just now. Please try again in a minute.",
    noscript="This page needs JavaScript to send your confirmation.",
)
_GERMAN = partial(
    _Words,
    language="de",
    later="Das hat gerade nicht geklappt. Bitte versuche es in einer Minute noch einmal.",
    noscript="Diese Seite braucht JavaScript, um deine Bestätigung zu senden.",
)
VERIFY: Final = {
    "en": _ENGLISH(
        title="Confirm your e-mail address",
        text="One click, and your account is ready.",
        label="Confirm my address",
        done="Your address is confirmed. You can sign in now.",
        expired="This link has expired or was used before. If you cannot sign in, sign up again with the same address "
        "to get a new one.",
    ),
    "de": _GERMAN(
        title="Bestätige deine E-Mail-Adresse",
        text="Ein Klick, und dein Konto ist bereit.",
        label="Adresse bestätigen",
        done="Deine Adresse ist bestätigt. Du kannst dich jetzt anmelden.",
        expired="Dieser Link ist abgelaufen oder wurde schon benutzt. Falls du dich nicht anmelden kannst, registriere "
        "dich noch einmal mit derselben Adresse; dann bekommst du einen neuen.",
    ),
}
CONFIRM_EMAIL: Final = {
    "en": _ENGLISH(
        title="Confirm your new e-mail address",
        text="One click, and your account moves to this address.",
        label="Confirm my new address",
        done="Your account has this address now. Sign in with it.",
        expired="This link has expired or was used before, or the address belongs to another account by now. Ask for a "
        "new one in your app.",
    ),
    "de": _GERMAN(
        title="Bestätige deine neue E-Mail-Adresse",
        text="Ein Klick, und dein Konto zieht zu dieser Adresse um.",
        label="Neue Adresse bestätigen",
        done="Dein Konto hat jetzt diese Adresse. Melde dich mit ihr an.",
        expired="Dieser Link ist abgelaufen oder wurde schon benutzt, oder die Adresse gehört inzwischen zu einem "
        "anderen Konto. Fordere in deiner App einen neuen an.",
    ),
}
CANCEL_ERASURE: Final = {
    "en": _ENGLISH(
        title="Keep your account",
        text="Your account is closed and waiting to be erased. You can still take that back.",
        label="Keep my account",
        done="Your account stays. You can sign in again.",
        expired="This link has expired or was used before.",
    ),
    "de": _GERMAN(
        title="Konto behalten",
        text="Dein Konto ist geschlossen und wird bald gelöscht. Noch kannst du das zurücknehmen.",
        label="Konto behalten",
        done="Dein Konto bleibt. Du kannst dich wieder anmelden.",
        expired="Dieser Link ist abgelaufen oder wurde schon benutzt.",
    ),
}

HOME_TEXT: Final = {
    "en": "We remind you of what your pets need, when they need it. This is the address our mails come from; you sign "
    "in with your app.",
    "de": "Wir erinnern dich an das, was deine Tiere brauchen, wenn sie es brauchen. Von dieser Adresse kommen unsere "
    "Mails; anmelden kannst du dich in deiner App.",
}

AcceptLanguage = Annotated[str, Header()]


@router.get("/", operation_id="home_page")
async def home(accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Where the address at the foot of every mail leads."""
    language = language_of(accept_language)
    return Frame().page(language, "", f"<main><h1>Petfolio</h1><p>{HOME_TEXT[language]}</p></main>")


@router.get("/verify-email", operation_id="verify_email_page")
async def verify_email(accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Where the link of the verification mail leads."""
    return VERIFY[language_of(accept_language)].page("/api/v1/auth/verify-email")


@router.get("/confirm-email", operation_id="confirm_email_page")
async def confirm_email(accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Where the link to a new address leads."""
    return CONFIRM_EMAIL[language_of(accept_language)].page("/api/v1/auth/confirm-email")


@router.get("/cancel-erasure", operation_id="cancel_erasure_page")
async def cancel_erasure(accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Where the link of the erasure notice leads."""
    return CANCEL_ERASURE[language_of(accept_language)].page("/api/v1/users/erasure/cancel")


def language_of(accepted: str) -> str:
    """The first of ours that the browser names; weights only ever repeat the order (RFC 9110 §12.5.4)."""
    named = (part.strip()[:2].lower() for part in accepted.split(","))
    return next((language for language in named if language in VERIFY), "en")
