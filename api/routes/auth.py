"""`/auth`: signing up, in and out. The mechanisms are in `api/accounts.py` and `api/sessions.py`."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Body, Depends, Request, Response, status

from api import accounts, email_change, password_change, sessions, sign_in, step_up
from api.auth import CurrentUser, Leaving, limited
from api.browser import CLEARED, COOKIE, FOREIGN, SESSION_HEADER, refresh_cookie
from api.identity import ClientDep, IdentityDep
from api.routing import router as make_router
from api.schemas.auth import (
    AccessOut,
    ForgotIn,
    LoginIn,
    MailedOut,
    RefreshIn,
    RegisterIn,
    ResetIn,
    SessionOut,
    SessionsOut,
    TokenIn,
    TokensOut,
)
from api.schemas.mfa import ChallengeOut
from api.schemas.step_up import StepUpIn

router = make_router("/auth", "auth")

_NO_LINK: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "`invalid_mail_token`: used, expired, replaced by a newer mail, or never ours."}
}


@router.post(
    "/register",
    operation_id="register",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Depends(limited("registration"))],
)
async def register(body: RegisterIn, identity: IdentityDep, client: ClientDep) -> MailedOut:
    """Sign up. The answer is the same whether or not the address has an account; the mail tells its owner. 422 with
    every reason against the password: `too_short`, `too_long`, `contextual`, `common`, `breached`, `guessable`."""
    await accounts.register(identity, client, body.registration())
    return MailedOut()


@router.post(
    "/verify-email",
    operation_id="verify_email",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(limited("anonymous"))],
    responses=_NO_LINK,
)
async def verify_email(body: TokenIn, identity: IdentityDep, client: ClientDep) -> None:
    """Confirm the address with the token of the mailed link. 400 `invalid_mail_token` for any other token."""
    await accounts.verify_email(identity, client, body.token)


@router.post(
    "/password/forgot",
    operation_id="forgot_password",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Depends(limited("anonymous"))],
)
async def forgot_password(body: ForgotIn, identity: IdentityDep, client: ClientDep) -> MailedOut:
    """Ask for a link to set a new password. The answer is always the same; at most three mails an hour are sent."""
    await password_change.forgot(identity, client, body.email.canonical)
    return MailedOut()


@router.post(
    "/password/reset",
    operation_id="reset_password",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(limited("anonymous"))],
    responses=_NO_LINK,
)
async def reset_password(body: ResetIn, identity: IdentityDep, client: ClientDep) -> None:
    """Set a new password with the token of the mailed link. Ends every session and signs nobody in; second factors
    stay. A refused password (422) leaves the link good."""
    await password_change.reset(identity, client, body.token, body.password)


@router.post(
    "/confirm-email",
    operation_id="confirm_email",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(limited("anonymous"))],
    responses=_NO_LINK,
)
async def confirm_email(body: TokenIn, identity: IdentityDep, client: ClientDep) -> None:
    """Move the account to the address that the link was mailed to. Ends every session but the one that asked."""
    await email_change.confirm(identity, client, body.token)


@router.post(
    "/login",
    operation_id="login",
    response_model=TokensOut,
    dependencies=[Depends(limited("login"))],
    responses={
        202: {
            "model": ChallengeOut,
            "description": "Right, and not enough: answer it at `/auth/mfa/challenge`.",
        },
        401: {"description": "`invalid_credentials`: whatever was wrong with them."},
        **FOREIGN,
    },
    openapi_extra=SESSION_HEADER,
)
async def login(body: LoginIn, identity: IdentityDep, client: ClientDep) -> Response:
    """Open a session, or 202 with a challenge for the second factor. 401 `invalid_credentials` whatever is wrong, 429
    when it is tried too often."""
    answer = await sign_in.with_password(identity, client, body.email.canonical, body.password)
    return sign_in.respond(answer)


@router.post(
    "/refresh-token",
    operation_id="refresh_token",
    response_model=TokensOut,
    dependencies=[Depends(limited("anonymous"))],
    responses={401: {"description": "`invalid_grant`: not the live token of a live session."}, **FOREIGN},
)
async def refresh_token(
    request: Request, identity: IdentityDep, client: ClientDep, body: Annotated[RefreshIn, Body()] = RefreshIn()
) -> Response:
    """Fresh tokens, for a refresh token in the body or in the cookie. Repeated within seconds it gets the same answer;
    an older token ends the session. A refusal leaves the cookie as it is: a parallel call may just have renewed it."""
    given = body.refresh_token
    raw = given or refresh_cookie(request, identity.settings) or ""
    return sign_in.respond(await sessions.refresh(identity, client, raw, in_cookie=given is None))


@router.post(
    "/step-up",
    operation_id="step_up",
    response_model=AccessOut,
    responses={403: {"description": "`password_wrong`, `code_wrong`, …: the session stays as it is."}},
)
async def prove_again(body: StepUpIn, caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> Response:
    """Prove again that it is you, when an operation asks for that with 403 `step_up_required`. The new access token is
    good for such operations for five minutes."""
    return sign_in.respond(await step_up.step_up(identity, client, caller, *body.proof()))


@router.post("/logout", operation_id="logout", status_code=status.HTTP_204_NO_CONTENT, responses=FOREIGN)
async def logout(request: Request, caller: Leaving, identity: IdentityDep, client: ClientDep) -> Response:
    """End this session. A browser whose access token has expired is known by its cookie, and loses it."""
    if caller is None:
        await sessions.sign_out_browser(identity, client, request.cookies[COOKIE])
    else:
        await sessions.sign_out(identity, client, caller)
    return _left(request)


@router.post("/logout-all", operation_id="logout_all", status_code=status.HTTP_204_NO_CONTENT)
async def logout_all(request: Request, caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> Response:
    """End every session, this one included."""
    await sessions.sign_out_everywhere(identity, client, caller)
    return _left(request)


@router.get("/sessions", operation_id="list_sessions")
async def list_sessions(caller: CurrentUser, identity: IdentityDep) -> SessionsOut:
    """The devices that are signed in."""
    found = await sessions.live(identity, caller)
    return SessionsOut(items=[SessionOut.of(session, caller.session_id) for session in found])


@router.delete("/sessions", operation_id="end_other_sessions", status_code=status.HTTP_204_NO_CONTENT)
async def end_other_sessions(caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> None:
    """End every session but this one."""
    await sessions.end_other_sessions(identity, client, caller)


@router.delete("/sessions/{session_id}", operation_id="end_session", status_code=status.HTTP_204_NO_CONTENT)
async def end_session(session_id: UUID, caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> None:
    """End one session of one's own; 404 for anybody else's."""
    await sessions.end_session(identity, client, caller, session_id, reason="session_ended")


def _left(request: Request) -> Response:
    """Only a browser has a cookie to lose."""
    headers = {"Set-Cookie": CLEARED} if COOKIE in request.cookies else None
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers)
