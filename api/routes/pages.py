"""The pages that mailed links open. A GET changes nothing: mail scanners follow links. The button does."""

import base64
import hashlib
from dataclasses import dataclass
from string import Template

from fastapi import APIRouter
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
PAGE = Template(
    """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title – Petfolio</title><style>$style</style></head>
<body><main><h1>$title</h1><p>$text</p>
<button type="button" data-post="$post" data-done="$done" data-expired="$expired" data-later="$later">$label</button>
<p role="status" aria-live="polite"></p>
<noscript><p>This page needs JavaScript to send your confirmation.</p></noscript>
</main><script>$script</script></body></html>"""
)


@dataclass(frozen=True, slots=True)
class _Page:
    """Words of one page. They are ours, so nothing needs escaping."""

    title: str
    text: str
    label: str
    post: str
    done: str
    expired: str
    later: str = "That did not work just now. Please try again in a minute."

    def response(self) -> HTMLResponse:
        """The page, allowed to run exactly its own script and style."""
        html = PAGE.substitute({name: getattr(self, name) for name in self.__slots__}, style=STYLE, script=SCRIPT)
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; script-src 'sha256-{_hash(SCRIPT)}'; style-src 'sha256-{_hash(STYLE)}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
VERIFY = _Page(
    title="Confirm your e-mail address",
    text="One click, and your account is ready.",
    label="Confirm my address",
    post="/api/v1/auth/verify-email",
    done="Your address is confirmed. You can sign in now.",
    expired="This link has expired or was used before. Sign up again with the same address to get a new one.",
)
CANCEL_ERASURE = _Page(
    title="Keep your account",
    text="Your account is closed and waiting to be erased. You can still take that back.",
    label="Keep my account",
    post="/api/v1/users/erasure/cancel",
    done="Your account stays. You can sign in again.",
    expired="This link has expired or was used before.",
)


@router.get("/verify-email")
async def verify_email() -> HTMLResponse:
    """Where the link of the verification mail leads."""
    return VERIFY.response()


@router.get("/cancel-erasure")
async def cancel_erasure() -> HTMLResponse:
    """Where the link of the erasure notice leads."""
    return CANCEL_ERASURE.response()
