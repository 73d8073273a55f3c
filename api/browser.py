"""Browsers: the refresh token lies in a cookie that no script can read, and counts from pages of ours only (§2.2, 5.2).

A client chooses that when it signs in, with `Petfolio-Session: cookie`. From then on its refresh token is in no body.
"""

from typing import Any, Final

from fastapi import Request

from core.errors import Forbidden, Malformed
from core.settings import Settings

HEADER: Final = "Petfolio-Session"
COOKIE: Final = "__Host-rt"
"""The prefix makes browsers insist on what follows, and on no `Domain`: no other host of ours can plant it."""
SCOPE: Final = "Path=/; Secure; HttpOnly; SameSite=Strict"
"""For this host alone, over TLS, out of reach of scripts and of other sites."""
CLEARED: Final = f"{COOKIE}=; Max-Age=0; {SCOPE}"
"""The value of `Set-Cookie` that takes the cookie away."""
FOREIGN: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "`foreign_origin`: with a cookie, and not from a page of ours."}
}
"""What every operation refuses that takes or gives the cookie."""
SESSION_HEADER: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "`cookie`, from a page of ours: the refresh token comes in the cookie `__Host-rt` and not "
            "in the body, and the session ends after 14 days.",
            "schema": {"type": "string", "enum": ["bearer", "cookie"], "default": "bearer"},
        }
    ]
}
"""`openapi_extra` of every way to sign in."""


class ForeignOrigin(Forbidden):
    """403: a browser asks with our cookie, or for one, from a page that is not ours."""

    code = "foreign_origin"


def wants_cookie(request: Request, settings: Settings) -> bool:
    """Whether who signs in wants the refresh token in a cookie. Raises `Malformed` and `ForeignOrigin`."""
    match request.headers.getlist(HEADER):
        case [] | ["bearer"]:
            return False
        case ["cookie"]:
            require_own_page(request, settings)
            return True
        case _:
            raise Malformed(f"{HEADER} is `bearer` or `cookie`.", code="unknown_session_mode")


def refresh_cookie(request: Request, settings: Settings) -> str | None:
    """The refresh token of a browser. Raises `ForeignOrigin`: a cookie comes along whoever wrote the page."""
    raw = request.cookies.get(COOKIE)
    if raw:
        require_own_page(request, settings)
    return raw or None


def require_own_page(request: Request, settings: Settings) -> None:
    """Raises `ForeignOrigin` unless the page is of our own origin or of an allowed one.

    Browsers send `Origin` with every POST, and where one does not, `Sec-Fetch-Site`, which no script can set.
    """
    origins = request.headers.getlist("origin")
    if origins:
        ours = {settings.origins[0], *settings.api.cors_origins}
        trusted = len(origins) == 1 and origins[0] in ours
    else:
        trusted = request.headers.getlist("sec-fetch-site") == ["same-origin"]
    if not trusted:
        raise ForeignOrigin("Cookies are taken from pages of Petfolio only.")


def set_cookie(raw: str, seconds: int) -> str:
    """The value of `Set-Cookie` that hands a browser its refresh token."""
    return f"{COOKIE}={raw}; Max-Age={seconds}; {SCOPE}"
