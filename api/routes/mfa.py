"""`/auth/mfa`: second factors, and the challenge that signing in answers where there is one."""

from typing import Annotated, Any

from fastapi import Body, Depends, Response, status

from api import challenges, factors, passkeys, sign_in
from api.auth import CurrentUser, limited
from api.browser import FOREIGN, SESSION_HEADER
from api.identity import ClientDep, IdentityDep
from api.routing import router as make_router
from api.schemas.auth import TokensOut
from api.schemas.mfa import (
    ChallengeAnswerIn,
    ChallengeIn,
    CodeIn,
    RecoveryCodesOut,
    RemovalIn,
    RequestOptionsOut,
    SecondFactorsOut,
    TotpOut,
)

router = make_router("/auth/mfa", "second factors")


@router.get("", operation_id="get_second_factors")
async def get_second_factors(caller: CurrentUser, identity: IdentityDep) -> SecondFactorsOut:
    """What signing in takes beside the password."""
    return SecondFactorsOut.model_validate(await factors.overview(identity, caller))


@router.post(
    "/totp",
    operation_id="enrol_totp",
    responses={409: {"description": "`totp_already_enrolled`: remove the present app first."}},
)
async def enrol_totp(caller: CurrentUser, identity: IdentityDep) -> TotpOut:
    """Begin with an authenticator app. It counts once `confirm` has seen a code of it; beginning again starts over."""
    return TotpOut.model_validate(await factors.enrol_totp(identity, caller))


@router.post(
    "/totp/confirm",
    operation_id="confirm_totp",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={409: {"description": "`totp_not_begun`: no app waits for its first code."}},
)
async def confirm_totp(body: CodeIn, caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> None:
    """The app works: from now on it is asked for. Other sessions end. Make recovery codes next."""
    await factors.confirm_totp(identity, client, caller, body.code.replace(" ", ""))


@router.delete(
    "/totp",
    operation_id="remove_totp",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={
        404: {"description": "There is no authenticator app."},
        409: {"description": "`password_too_short_without_mfa`: send a `new_password` along."},
    },
)
async def remove_totp(
    caller: CurrentUser, identity: IdentityDep, client: ClientDep, body: Annotated[RemovalIn, Body()] = RemovalIn()
) -> None:
    """Do without the app. Other sessions end; with the last factor go the recovery codes."""
    await factors.remove_totp(identity, client, caller, body.new_password)


@router.post(
    "/recovery-codes",
    operation_id="make_recovery_codes",
    responses={409: {"description": "`no_second_factor`: there is nothing that they could stand in for."}},
)
async def make_recovery_codes(caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> RecoveryCodesOut:
    """Ten codes for the day on which the app or the passkey is lost. Those made before no longer count."""
    return RecoveryCodesOut(codes=await factors.make_recovery_codes(identity, client, caller))


@router.post(
    "/challenge",
    operation_id="answer_mfa_challenge",
    response_model=TokensOut,
    dependencies=[Depends(limited("login"))],
    responses={
        401: {"description": "`second_factor_refused`: wrong, or used before. `invalid_challenge`: begin anew."},
        429: {"description": "`challenge_exhausted` after five attempts: begin anew. Else see `Retry-After`."},
        **FOREIGN,
    },
    openapi_extra=SESSION_HEADER,
)
async def answer_mfa_challenge(body: ChallengeAnswerIn, identity: IdentityDep, client: ClientDep) -> Response:
    """Finish signing in. A challenge lives five minutes and takes five attempts, a code counts once."""
    answer = await sign_in.with_second_factor(identity, client, body.challenge, body.proof())
    return sign_in.respond(answer)


@router.post(
    "/challenge/passkey-options",
    operation_id="passkey_options_for_challenge",
    response_model=RequestOptionsOut,
    dependencies=[Depends(limited("anonymous"))],
    responses={
        401: {"description": "`invalid_challenge`: begin with the first factor again."},
        409: {"description": "`no_passkey`: the account has none."},
    },
)
async def passkey_options_for_challenge(body: ChallengeIn, identity: IdentityDep) -> dict[str, Any]:
    """What a passkey has to sign to answer this challenge."""
    user_id = await challenges.waiting_user(identity, body.challenge)
    return await passkeys.options_for(identity, user_id, challenges.scope_of(body.challenge))
