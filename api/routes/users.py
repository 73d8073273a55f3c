"""`/users`: the caller's own account."""

from typing import Annotated

from fastapi import Body, Depends, Request, Response

from api import accounts, email_change, password_change, profile
from api.auth import CurrentUser, limited
from api.deps import UnitOfWork
from api.etag import IfMatch
from api.identity import ClientDep, IdentityDep
from api.json_response import document
from api.routing import router as make_router
from api.schemas.auth import MailedOut
from api.schemas.users import CancelIn, EmailIn, ErasureIn, ErasureOut, PasswordIn, ProfileOut, ProfileUpdate

router = make_router("/users", "users")


@router.get("/profile", operation_id="get_profile", response_model=ProfileOut)
async def get_profile(request: Request, caller: CurrentUser, identity: IdentityDep) -> Response:
    """Who I am."""
    shown = await profile.show(identity, caller)
    return document(request, shown, shown["version"])


@router.put("/profile", operation_id="replace_profile", response_model=ProfileOut)
@router.patch("/profile", operation_id="change_profile", response_model=ProfileOut)
async def change_profile(
    request: Request,
    body: ProfileUpdate,
    caller: CurrentUser,
    if_match: IfMatch,
    session: UnitOfWork,
    identity: IdentityDep,
) -> Response:
    """Change what is sent. Reminders that follow me follow a new time zone at once."""
    shown = await profile.change(session, identity, caller, body, if_match)
    return document(request, shown, shown["version"])


@router.put(
    "/password",
    operation_id="change_password",
    status_code=204,
    responses={403: {"description": "`password_wrong`, or `step_up_required`: the login is older than five minutes."}},
)
async def change_password(body: PasswordIn, caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> None:
    """Set a new password; every other session ends. 422 with every reason against it, as for `register`."""
    await password_change.change(identity, client, caller, body.password, body.current_password)


@router.post(
    "/email",
    operation_id="change_email",
    status_code=202,
    responses={
        403: {"description": "`step_up_required`: the login is older than five minutes."},
        409: {"description": "`same_email`: it is the address the account has."},
    },
)
async def change_email(body: EmailIn, caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> MailedOut:
    """Move to another address: it counts once the mail sent there is confirmed. The answer is the same where that
    address has an account already."""
    await email_change.ask(identity, client, caller, body.email.address, body.email.canonical)
    return MailedOut()


@router.delete(
    "/account",
    operation_id="request_erasure",
    status_code=202,
    responses={403: {"description": "`password_wrong`, or `step_up_required`: the login is older than five minutes."}},
)
async def request_erasure(
    caller: CurrentUser,
    identity: IdentityDep,
    client: ClientDep,
    body: Annotated[ErasureIn, Body()] = ErasureIn(),
) -> ErasureOut:
    """Forget me. The account is blocked at once; a mailed link takes it back until `execute_at`."""
    request = await accounts.request_erasure(identity, client, caller, body.password)
    return ErasureOut.model_validate(request, from_attributes=True)


@router.get("/erasure", operation_id="get_erasure", responses={404: {"description": "It was never asked for."}})
async def get_erasure(caller: CurrentUser, identity: IdentityDep) -> ErasureOut:
    """The last wish to be forgotten. 404 when there was none."""
    return ErasureOut.model_validate(await accounts.last_erasure(identity, caller), from_attributes=True)


@router.post(
    "/erasure/cancel",
    operation_id="cancel_erasure",
    status_code=204,
    dependencies=[Depends(limited("anonymous"))],
    responses={400: {"description": "`invalid_mail_token`: used, expired, replaced by a newer mail, or never ours."}},
)
async def cancel_erasure(body: CancelIn, identity: IdentityDep, client: ClientDep) -> None:
    """Take it back with the token of the mailed link; then sign in anew."""
    await accounts.cancel_erasure(identity, client, body.token)
