"""The codec server of the Temporal UI: opens payloads for operators. Decode only, and every call is audited.

For operators who are signed in, and for the token `PETFOLIO_CODEC_TOKEN` if there is one; both come as a bearer token.
The local stack opens it: the development server's UI sends no credentials, so there it is exempt, on loopback only
(temporal.md §4.3).
"""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload

from api.auth import admit
from api.deps import ServicesDep, UnitOfWork
from api.routing import Route
from api.schemas.codec import PayloadJson, PayloadsJson
from core.crypto import CiphertextInvalid
from core.errors import Invalid, Unauthorized
from core.settings import Settings
from models.queries import audit, users
from temporal.codec import SubjectCodec, owner

PATH = "/temporal/codec/decode"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_AUDITED_OWNERS = 20

router = APIRouter(tags=["operations"], route_class=Route, include_in_schema=False)


class CodecExposed(RuntimeError):
    """The process must not start: payloads of everybody would be readable from outside."""


def install(app: FastAPI, settings: Settings) -> None:
    """Let the Temporal UI call it from its own origin. Raises `CodecExposed`."""
    if settings.codec_open_on_loopback and settings.api.host not in _LOOPBACK:
        raise CodecExposed("PETFOLIO_CODEC_OPEN_ON_LOOPBACK needs an api that listens on loopback only")
    if settings.temporal_ui_url:
        app.add_middleware(UiOrigin, origins=_origins(settings.temporal_ui_url))


class UiOrigin:
    """CORS for this one path and one origin; the api's own rules know neither."""

    def __init__(self, app: ASGIApp, origins: list[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=["Authorization", "Content-Type", "X-Namespace"],
            allow_credentials=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shared = scope["type"] == "http" and scope["path"] == PATH
        await (self._shared if shared else self._app)(scope, receive, send)


async def operator(request: Request, services: ServicesDep) -> str:
    """Who asks, in the words of the audit log. Raises `Unauthorized`."""
    settings = services.settings
    # A page that had its own name resolve to 127.0.0.1 would send that name as the host.
    if settings.codec_open_on_loopback and request.url.hostname in _LOOPBACK:
        return "operator:loopback"
    sent = request.headers.get("authorization", "")
    wanted = f"Bearer {settings.codec_token.get_secret_value()}" if settings.codec_token else None
    if wanted is not None and hmac.compare_digest(sent.encode(), wanted.encode()):
        return "operator:token"
    caller, _ = await admit(services.identity, sent.removeprefix("Bearer "))
    if not await users.is_staff(services.db.reads, caller.user_id):
        raise Unauthorized("the codec server is for operators")
    return f"user:{caller.user_id}"


Operator = Annotated[str, Depends(operator)]


@router.post(PATH, operation_id="decode_payloads")
async def decode_payloads(
    request: Request, body: PayloadsJson, who: Operator, services: ServicesDep, session: UnitOfWork
) -> PayloadsJson:
    """Open payloads; those whose key was destroyed come back as the word `erased`."""
    sealed = [Payload(metadata=payload.metadata, data=payload.data) for payload in body.payloads]
    try:
        opened = await SubjectCodec(services.keys, readable=True).decode(sealed)
    except CiphertextInvalid as error:
        raise Invalid("a payload does not open", code="payload_invalid") from error
    owners = sorted({name for payload in sealed if (name := owner(payload))})
    await audit.record_operator(
        session,
        operator=who,
        action="temporal.decode",
        object=f"{len(sealed)} payloads of {' '.join(owners[:_AUDITED_OWNERS])}",
        request_id=request.state.request_id,
    )
    return PayloadsJson.model_construct(
        payloads=[PayloadJson.model_construct(metadata=dict(it.metadata), data=it.data) for it in opened]
    )


def _origins(ui_url: str) -> list[str]:
    """The UI's origin; on loopback by either of its names."""
    origin = ui_url.rstrip("/")
    return [origin, origin.replace("//localhost:", "//127.0.0.1:")]
