"""/upload: a page from which a browser sends a file straight to storage, and sees how far it is.

Its scripts are files of ours (`api/scripts/`); besides us it talks to the store alone, and shows pictures from where
published files are read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from html import escape
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from api.deps import ServicesDep
from api.routes.pages import STYLE, AcceptLanguage, Frame, language_of
from core.errors import NotFound
from domain.media import keys
from domain.media.limits import KINDS
from domain.media.reasons import GERMAN, SENTENCES
from integrations.storage.protocol import ObjectStorage

page = APIRouter(include_in_schema=False)

_SCRIPTS: Final[Mapping[str, str]] = {
    path.name: path.read_text() for path in (Path(__file__).parent.parent / "scripts").glob("*.js")
}
PAGE_STYLE: Final = (
    STYLE
    + """
fieldset { border: 0; padding: 0; } label { display: block; margin: 12px 0; }
input:not([type=checkbox]), select { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: 8px; }
progress { display: block; width: 100%; accent-color: #2f6f5e; }
figure { margin: 0; } img { max-width: 100%; height: auto; border-radius: 8px; } [hidden] { display: none; }
"""
)
# The endings are for systems that know no type for HEIC and AVIF.
_ACCEPTED: Final = ",".join((*KINDS, ".heic", ".avif"))
MAIN: Final = Template(
    """<main data-wrong="$wrong" data-factor="$factor" data-later="$later" data-refused="$refused"
  data-unsupported_type="$unsupported_type" data-too_large="$too_large" data-quota_exceeded="$quota_exceeded"
  data-sending="$sending" data-waiting="$waiting" data-checking="$checking" data-verifying="$checking"
  data-scanning="$scanning" data-decoding="$rendering" data-rendering="$rendering" data-publishing="$publishing"
  data-ready="$ready" $reasons><h1>$title</h1>
<form><fieldset>
<label>$email<input name="email" type="email" autocomplete="username" required></label>
<label>$password<input name="password" type="password" autocomplete="current-password" required></label>
<button>$sign_in</button>
</fieldset></form>
<form hidden><fieldset>
<label>$pet<select name="pet" required></select></label>
<label>$purpose<select name="purpose"><option value="profile_photo">$profile_photo</option>
<option value="document">$document</option></select></label>
<label>$file<input name="file" type="file" accept="$accepted" required></label>
<label><input name="keep" type="checkbox"> $keep</label>
<button>$send</button>
</fieldset></form>
<section hidden>
<label>$sent<progress max="1" value="0"></progress></label>
<label>$checked<progress max="1" value="0"></progress></label>
</section>
<p role="status" aria-live="polite"></p>
<figure hidden><img alt=""><figcaption>$sizes<ul></ul></figcaption></figure>
<noscript><p>$noscript</p></noscript>
<script type="module" src="/upload/upload.js"></script>
</main>"""
)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the page says in one language. Ours throughout, and without quotation marks: nothing needs escaping."""

    title: str
    email: str
    password: str
    sign_in: str
    pet: str
    purpose: str
    profile_photo: str
    document: str
    file: str
    keep: str
    send: str
    sent: str
    checked: str
    sizes: str
    wrong: str
    factor: str
    later: str
    refused: str
    unsupported_type: str
    too_large: str
    quota_exceeded: str
    sending: str
    waiting: str
    checking: str
    scanning: str
    rendering: str
    publishing: str
    ready: str
    noscript: str


WORDS: Final = {
    "en": _Words(
        title="Upload a photo or a paper",
        email="E-mail address",
        password="Password",  # noqa: S106 - a label
        sign_in="Sign in",
        pet="For",
        purpose="As",
        profile_photo="Profile photo",
        document="Photo, paper or video",
        file="File",
        keep="Keep the date on which it was taken",
        send="Upload",
        sent="Sent",
        checked="Checked",
        sizes="Published as",
        wrong="The address or the password is wrong.",
        factor="Your account asks for a second factor. Please upload with your app.",
        later="That did not work just now. Press Upload once more: it goes on where it stopped.",
        refused="This cannot be uploaded here. Please begin again.",
        unsupported_type="This kind of file is not taken: choose a photo, a PDF document or a video.",
        too_large="The file is too large: photos may have 25 MB, documents 50 MB, videos 200 MB.",
        quota_exceeded="There is no room left in your plan.",
        sending="On its way …",
        waiting="The line is gone. It goes on by itself as soon as it is back.",
        checking="It has arrived and is being checked …",
        scanning="It is being looked through for harmful things …",
        rendering="It is being made ready in all sizes …",
        publishing="It is being published …",
        ready="Done. It can be seen now.",
        noscript="This page needs JavaScript. You can also upload with your app.",
    ),
    "de": _Words(
        title="Foto oder Dokument hochladen",
        email="E-Mail-Adresse",
        password="Passwort",  # noqa: S106 - a label
        sign_in="Anmelden",
        pet="Für",
        purpose="Als",
        profile_photo="Profilbild",
        document="Foto, Dokument oder Video",
        file="Datei",
        keep="Das Aufnahmedatum behalten",
        send="Hochladen",
        sent="Gesendet",
        checked="Geprüft",
        sizes="Veröffentlicht als",
        wrong="Die Adresse oder das Passwort ist falsch.",
        factor="Dein Konto verlangt einen zweiten Faktor. Bitte lade mit deiner App hoch.",
        later="Das hat gerade nicht geklappt. Drücke noch einmal auf Hochladen: Es geht weiter, wo es stehen blieb.",
        refused="Das kann hier nicht hochgeladen werden. Bitte beginne noch einmal.",
        unsupported_type="Diese Art von Datei nehmen wir nicht: Wähle ein Foto, ein PDF oder ein Video.",
        too_large="Die Datei ist zu groß: Fotos dürfen 25 MB haben, Dokumente 50 MB, Videos 200 MB.",
        quota_exceeded="In deinem Tarif ist kein Platz mehr.",
        sending="Unterwegs …",
        waiting="Die Verbindung ist weg. Es geht von selbst weiter, sobald sie wieder da ist.",
        checking="Es ist angekommen und wird geprüft …",
        scanning="Es wird nach Schädlichem durchsucht …",
        rendering="Es wird in allen Größen vorbereitet …",
        publishing="Es wird veröffentlicht …",
        ready="Fertig. Jetzt ist es zu sehen.",
        noscript="Diese Seite braucht JavaScript. Du kannst auch mit deiner App hochladen.",
    ),
}


@page.get("/upload", operation_id="upload_page")
async def upload_page(services: ServicesDep, accept_language: AcceptLanguage = "") -> HTMLResponse:
    """For whoever signs in on it."""
    language = language_of(accept_language)
    words, sentences = WORDS[language], GERMAN if language == "de" else SENTENCES
    reasons = " ".join(f'data-{code}="{escape(sentence)}"' for code, sentence in sentences.items())
    frame = Frame(style=PAGE_STYLE, sources=_sources(services.storage))
    return frame.page(language, words.title, MAIN.substitute(asdict(words), accepted=_ACCEPTED, reasons=reasons))


@page.get("/upload/{name}", operation_id="upload_script")
async def upload_script(name: str) -> Response:
    """A script of the page's. Raises `NotFound`."""
    if name not in _SCRIPTS:
        raise NotFound("no such script")
    return Response(_SCRIPTS[name], media_type="text/javascript")


def _sources(storage: ObjectStorage) -> Mapping[str, str]:
    """Where files go and where they are read is said by what is signed for them: stores differ in their host names."""
    nobody, soon = UUID(int=0), timedelta(seconds=1)
    key = keys.upload(nobody, nobody)
    form = storage.upload_form(key, content_type="image/jpeg", size=1, sha256="00" * 32, expires_in=soon)
    part = storage.part_urls(key, "none", {1: 1}, expires_in=soon)[1]
    shown = storage.download_url(
        keys.published(nobody, nobody, "none"), content_type="image/webp", disposition="inline", expires_in=soon
    )
    taking = sorted({_origin(form.url), _origin(part)})
    return {"script-src": "'self'", "connect-src": " ".join(("'self'", *taking)), "img-src": _origin(shown)}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
