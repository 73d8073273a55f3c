"""The page behind the link of a reset mail: a form for the new password. Opening it changes nothing."""

from dataclasses import asdict, dataclass
from string import Template
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.routes.pages import AcceptLanguage, Frame, language_of
from domain.password import MIN_ALONE, MIN_WITH_SECOND_FACTOR, Weakness

router = APIRouter(include_in_schema=False)

ENDPOINT: Final = "/api/v1/auth/password/reset"
# Nothing of the address and nothing that was typed reaches the markup: the script says one of the page's own sentences.
SCRIPT = """
const form = document.querySelector("form"), said = document.querySelector("[role=status]");
const [password, button] = [form.querySelector("input"), form.querySelector("button")];
const token = new URLSearchParams(location.search).get("token");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const answer = await fetch(form.dataset.post, {
      method: "POST", headers: {"Content-Type": "application/json"},
      body: JSON.stringify({token, password: password.value}),
    });
    const code = answer.status === 422 ? (await answer.json()).code : "";
    said.textContent = answer.ok ? form.dataset.done
      : answer.status >= 500 || answer.status === 429 ? form.dataset.later
      : form.dataset[code] || form.dataset.expired;
    if (answer.ok) { form.hidden = true; history.replaceState(null, "", location.pathname); }
  } catch { said.textContent = form.dataset.later; }
  button.disabled = false;
});
"""
MAIN = Template(
    """<main><h1>$title</h1>
<form data-post="$post" data-done="$done" data-expired="$expired" data-later="$later" $reasons>
<p><label for="password">$label</label></p>
<p><input id="password" type="password" autocomplete="new-password" required aria-describedby="rule"></p>
<p id="rule">$rule</p>
<button type="submit">$save</button>
</form>
<p role="status" aria-live="polite"></p>
<noscript><p>$noscript</p></noscript>
</main>"""
)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the page says in one language. Ours throughout, and without quotation marks: nothing needs escaping."""

    title: str
    label: str
    rule: str
    save: str
    done: str
    expired: str
    later: str
    noscript: str


WORDS: Final = {
    "en": _Words(
        title="Choose a new password",
        label="New password",
        rule=f"At least {MIN_ALONE} characters, {MIN_WITH_SECOND_FACTOR} if you have a second factor. Several unusual "
        "words are easy to keep and hard to guess.",
        save="Save",
        done="Your password is changed, and all your devices are signed out. Sign in with the new one.",
        expired="This link has expired or was used before. Ask for a new mail where you sign in.",
        later="That did not work just now. Please try again in a minute.",
        noscript="This page needs JavaScript to send your new password.",
    ),
    "de": _Words(
        title="Neues Passwort setzen",
        label="Neues Passwort",
        rule=f"Mindestens {MIN_ALONE} Zeichen, mit zweitem Faktor {MIN_WITH_SECOND_FACTOR}. Mehrere ungewöhnliche "
        "Wörter sind leicht zu merken und schwer zu erraten.",
        save="Speichern",
        done="Dein Passwort ist geändert, und alle deine Geräte sind abgemeldet. Melde dich mit dem neuen an.",
        expired="Dieser Link ist abgelaufen oder wurde schon benutzt. Fordere bei der Anmeldung eine neue Mail an.",
        later="Das hat gerade nicht geklappt. Bitte versuche es in einer Minute noch einmal.",
        noscript="Diese Seite braucht JavaScript, um dein neues Passwort zu senden.",
    ),
}
REASONS: Final[dict[str, dict[str, str]]] = {
    "en": {
        Weakness.TOO_SHORT: "That is too short.",
        Weakness.TOO_LONG: "That is too long: 128 characters are enough.",
        Weakness.CONTEXTUAL: "That is made of your name, your address, your pets or our name. "
        "Others would try it first.",
        Weakness.COMMON: "Very many people use this password.",
        Weakness.BREACHED: "This password is in a list that was stolen elsewhere.",
        Weakness.GUESSABLE: "That is easy to guess: take more words, or more unusual ones.",
    },
    "de": {
        Weakness.TOO_SHORT: "Das ist zu kurz.",
        Weakness.TOO_LONG: "Das ist zu lang: 128 Zeichen genügen.",
        Weakness.CONTEXTUAL: "Das besteht aus deinem Namen, deiner Adresse, deinen Tieren oder unserem Namen. Das "
        "würden andere zuerst versuchen.",
        Weakness.COMMON: "Dieses Passwort benutzen sehr viele.",
        Weakness.BREACHED: "Dieses Passwort steht in einer Liste, die anderswo gestohlen wurde.",
        Weakness.GUESSABLE: "Das ist leicht zu erraten: nimm mehr oder ungewöhnlichere Wörter.",
    },
}
FRAME: Final = Frame(SCRIPT)


@router.get("/reset-password", operation_id="reset_password_page")
async def reset_password(accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Where the link of the reset mail leads."""
    language = language_of(accept_language)
    words = WORDS[language]
    # `too_short` is `dataset.too_short`: a data attribute keeps its underscore.
    reasons = " ".join(f'data-{reason}="{sentence}"' for reason, sentence in REASONS[language].items())
    main = MAIN.substitute(asdict(words), reasons=reasons, post=ENDPOINT)
    return FRAME.page(language, words.title, main)
