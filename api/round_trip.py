"""A browser that is sent to a provider, and must be the same one when it is back: known by a cookie (RFC 9700 §4.7)."""

import re
from typing import Final, Literal

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS: Final = 600


def browser_of(request: Request, cookie: str) -> str | None:
    """What the browser was given when it left; None for one that has never been here."""
    value = request.cookies.get(cookie, "")
    return value if _BROWSER.fullmatch(value) else None


def sent(url: str, cookie: str, browser: str, *, samesite: Literal["lax", "none"] = "lax") -> Response:
    """To the provider. `samesite`: a cross-site POST brings no other cookie than `none`."""
    response = RedirectResponse(url, 303)
    response.set_cookie(cookie, browser, max_age=_SECONDS, secure=True, httponly=True, samesite=samesite)
    return response
