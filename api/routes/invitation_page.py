"""The page that the mail of an invitation leads to. A GET changes nothing: whoever answers signs in first."""

from dataclasses import asdict, dataclass
from string import Template
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.routes.pages import AcceptLanguage, Frame, language_of

page = APIRouter(include_in_schema=False)

# The token stays in the address bar; the password goes to our own sign-in and nowhere else, and the session that comes
# of it ends with the answer.
SCRIPT = """
const form = document.querySelector("form"), said = document.querySelector("[role=status]"), words = form.dataset;
const token = new URLSearchParams(location.search).get("token"), json = {"Content-Type": "application/json"};
const post = (path, body, headers) => fetch("/api/v1" + path, {
  method: "POST", headers: {...json, ...headers}, body: JSON.stringify(body) });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = form.querySelector("fieldset"), choice = event.submitter.value;
  const login = {email: form.email.value, password: form.password.value};
  fields.disabled = true;
  try {
    const entered = await post("/auth/login", login);
    if (entered.status === 200) {
      const mine = {Authorization: "Bearer " + (await entered.json()).access_token};
      const answer = await post("/invitations/" + choice, {token}, mine);
      await post("/auth/logout", {}, mine);
      said.textContent = answer.ok ? words[choice] : answer.status === 409 ? words.full
        : answer.status < 500 ? words.refused : words.later;
      fields.hidden = answer.ok;
    } else {
      said.textContent = entered.status === 202 ? words.factor
        : entered.status >= 500 || entered.status === 429 ? words.later : words.wrong;
    }
  } catch { said.textContent = words.later; }
  form.password.value = "";
  fields.disabled = false;
});
"""
MAIN: Final = Template(
    """<main><h1>$title</h1><p>$text</p><p>$no_account</p>
<form data-accept="$accepted" data-decline="$declined" data-refused="$refused" data-full="$full" data-factor="$factor"
  data-wrong="$wrong" data-later="$later">
<fieldset>
<p><label>$email<br><input name="email" type="email" autocomplete="username" required></label></p>
<p><label>$password<br><input name="password" type="password" autocomplete="current-password" required></label></p>
<button type="submit" value="accept">$accept</button> <button type="submit" value="decline">$decline</button>
</fieldset></form>
<p role="status" aria-live="polite"></p>
<noscript><p>$noscript</p></noscript>
</main>"""
)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the page says in one language. Ours throughout, and without quotation marks: nothing needs escaping."""

    title: str
    text: str
    no_account: str
    email: str
    password: str
    accept: str
    decline: str
    accepted: str
    declined: str
    refused: str
    full: str
    factor: str
    wrong: str
    later: str
    noscript: str


WORDS: Final = {
    "en": _Words(
        title="You are invited to a household",
        text="Sign in with the address this invitation was sent to, and say whether you want to join.",
        no_account="No account yet? Sign up with that address in your app, then open the link in the mail once more.",
        email="E-mail address",
        password="Password",  # noqa: S106 - a label
        accept="Accept",
        decline="Decline",
        accepted="Welcome. You will find the household in your app.",
        declined="All right. You will not hear of it again.",
        refused="This invitation is not valid, or no longer, or it was sent to another address.",
        full="There is no room: the household is full, or you belong to too many.",
        factor="Your account asks for a second factor. Please open the link in your app.",
        wrong="The address or the password is wrong.",
        later="That did not work just now. Please try again in a minute.",
        noscript="This page needs JavaScript. You can also open the link in your app.",
    ),
    "de": _Words(
        title="Du bist in einen Haushalt eingeladen",
        text="Melde dich mit der Adresse an, an die diese Einladung ging, und sage, ob du dabei sein möchtest.",
        no_account="Noch kein Konto? Registriere dich in deiner App mit dieser Adresse und öffne den Link dann noch "
        "einmal.",
        email="E-Mail-Adresse",
        password="Passwort",  # noqa: S106 - a label
        accept="Annehmen",
        decline="Ablehnen",
        accepted="Willkommen. Du findest den Haushalt in deiner App.",
        declined="In Ordnung. Du hörst nichts mehr davon.",
        refused="Diese Einladung gilt nicht oder nicht mehr, oder sie ging an eine andere Adresse.",
        full="Es ist kein Platz mehr: Der Haushalt ist voll, oder du gehörst schon zu vielen.",
        factor="Dein Konto verlangt einen zweiten Faktor. Bitte öffne den Link in deiner App.",
        wrong="Die Adresse oder das Passwort ist falsch.",
        later="Das hat gerade nicht geklappt. Bitte versuche es in einer Minute noch einmal.",
        noscript="Diese Seite braucht JavaScript. Du kannst den Link auch in deiner App öffnen.",
    ),
}
FRAME: Final = Frame(SCRIPT)


@page.get("/invitation", operation_id="invitation_page")
async def invitation(accept_language: AcceptLanguage = "") -> HTMLResponse:
    """Where the link of an invitation leads."""
    language = language_of(accept_language)
    words = WORDS[language]
    return FRAME.page(language, words.title, MAIN.substitute(asdict(words)))
