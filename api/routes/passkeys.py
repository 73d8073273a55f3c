"""`/auth/passkeys`: signing in with one, and those that one has."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Depends, Response, status

from api import ceremonies, passkeys, sign_in
from api.auth import CurrentUser, limited
from api.browser import FOREIGN, SESSION_HEADER
from api.identity import ClientDep, IdentityDep
from api.routing import router as make_router
from api.schemas.auth import TokensOut
from api.schemas.mfa import (
    CreationOptionsOut,
    PasskeyIn,
    PasskeyNameIn,
    PasskeyOut,
    PasskeySignInIn,
    PasskeysOut,
    RemovalIn,
    RequestOptionsOut,
)

router = make_router("/auth/passkeys", "second factors")


@router.post(
    "/options",
    operation_id="passkey_sign_in_options",
    response_model=RequestOptionsOut,
    dependencies=[Depends(limited("anonymous"))],
)
async def passkey_sign_in_options(identity: IdentityDep) -> dict[str, Any]:
    """What a passkey has to sign to sign its owner in; whoever that is."""
    return await ceremonies.request_options(identity, ceremonies.SIGN_IN)


@router.post(
    "/sign-in",
    operation_id="passkey_sign_in",
    response_model=TokensOut,
    dependencies=[Depends(limited("login"))],
    responses={401: {"description": "`invalid_credentials`: whatever was wrong with it."}, **FOREIGN},
    openapi_extra=SESSION_HEADER,
)
async def passkey_sign_in(body: PasskeySignInIn, identity: IdentityDep, client: ClientDep) -> Response:
    """Open a session without a password. The passkey must have verified its owner, and counts as both factors."""
    answer = await sign_in.with_passkey(identity, client, body.credential.credential())
    return sign_in.respond(answer)


@router.post(
    "/step-up-options",
    operation_id="passkey_options_for_step_up",
    response_model=RequestOptionsOut,
    responses={409: {"description": "`no_passkey`: the account has none."}},
)
async def passkey_options_for_step_up(caller: CurrentUser, identity: IdentityDep) -> dict[str, Any]:
    """What a passkey has to sign to prove that it is still its owner who holds this session."""
    return await passkeys.options_for(identity, caller.user_id, ceremonies.step_up_of(caller.session_id))


@router.get("", operation_id="list_passkeys", response_model=PasskeysOut)
async def list_passkeys(caller: CurrentUser, identity: IdentityDep) -> dict[str, Any]:
    """The caller's passkeys."""
    return {"items": await passkeys.show(identity, caller)}


@router.post(
    "/registration-options",
    operation_id="begin_passkey",
    response_model=CreationOptionsOut,
    responses={409: {"description": "`too_many_passkeys`: ten are registered."}},
)
async def begin_passkey(caller: CurrentUser, identity: IdentityDep) -> dict[str, Any]:
    """What a browser makes a passkey from."""
    return await passkeys.begin(identity, caller)


@router.post(
    "",
    operation_id="register_passkey",
    status_code=status.HTTP_201_CREATED,
    response_model=PasskeyOut,
    responses={
        409: {"description": "`passkey_known`: it is registered already. `too_many_passkeys`: ten are."},
    },
)
async def register_passkey(
    body: PasskeyIn, caller: CurrentUser, identity: IdentityDep, client: ClientDep, response: Response
) -> dict[str, Any]:
    """Add the passkey that was made from the options, which count once. Other sessions end."""
    made = await passkeys.register(identity, client, caller, body.credential.credential(), body.name)
    response.headers["Location"] = f"/api/v1/auth/passkeys/{made['id']}"
    return made


@router.patch("/{passkey_id:uuid}", operation_id="rename_passkey", response_model=PasskeyOut)
async def rename_passkey(
    passkey_id: UUID, body: PasskeyNameIn, caller: CurrentUser, identity: IdentityDep
) -> dict[str, Any]:
    """Call it something else."""
    return await passkeys.rename(identity, caller, passkey_id, body.name)


@router.delete(
    "/{passkey_id:uuid}",
    operation_id="remove_passkey",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={
        409: {
            "description": "`password_too_short_without_mfa`: send a `new_password` along; `last_credential`: nothing "
            "else opens the account."
        },
    },
)
async def remove_passkey(
    passkey_id: UUID,
    caller: CurrentUser,
    identity: IdentityDep,
    client: ClientDep,
    body: Annotated[RemovalIn, Body()] = RemovalIn(),
) -> None:
    """Do without it. Other sessions end; with the last factor go the recovery codes."""
    await passkeys.remove(identity, client, caller, passkey_id, body.new_password)
