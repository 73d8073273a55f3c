"""`/auth`: signing up, in and out. The mechanisms are in `api/accounts.py` and `api/sessions.py`."""

from typing import Any, Final
from uuid import UUID

from fastapi import Depends, Response, status

from api import accounts, email_change, password_change, sessions, sign_in
from api.auth import CurrentUser, limited
from api.identity import ClientDep, IdentityDep
from api.routing import router as make_router
from api.schemas.auth import (
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

router = make_router("/auth", "auth")

_JSON = "application/json"
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
    responses={401: {"description": "`invalid_credentials`: whatever was wrong with them."}},
)
async def login(body: LoginIn, identity: IdentityDep, client: ClientDep) -> Response:
    """Open a session. 401 `invalid_credentials` whatever is wrong, 429 when it is tried too often."""
    answer = await sign_in.with_password(identity, client, body.email.canonical, body.password)
    return sign_in.respond(client, answer)


@router.post(
    "/refresh-token",
    operation_id="refresh_token",
    response_model=TokensOut,
    dependencies=[Depends(limited("anonymous"))],
    responses={401: {"description": "`invalid_grant`: not the live token of a live session."}},
)
async def refresh_token(body: RefreshIn, identity: IdentityDep, client: ClientDep) -> Response:
    """Fresh tokens. Repeated within seconds it gets the same answer; an older token ends the session."""
    return Response(await sessions.refresh(identity, client, body.refresh_token), media_type=_JSON)


@router.post("/logout", operation_id="logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout(caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> None:
    """End this session."""
    await sessions.sign_out(identity, client, caller)


@router.post("/logout-all", operation_id="logout_all", status_code=status.HTTP_204_NO_CONTENT)
async def logout_all(caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> None:
    """End every session, this one included."""
    await sessions.sign_out_everywhere(identity, client, caller)


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
