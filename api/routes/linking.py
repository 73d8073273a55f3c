"""`/users/identities`: the accounts elsewhere that open one's own."""

from uuid import UUID

from fastapi import Response

from api import linking, oauth
from api.auth import CurrentUser
from api.deps import ServicesDep
from api.identity import ClientDep, IdentityDep
from api.json_response import computed
from api.providers import ChosenProvider
from api.routes.oauth import OFF
from api.routing import router as make_router
from api.schemas.oauth import CodeIn, IdentitiesOut, IdentityOut, LinkIn, LinkOut

router = make_router("/users/identities", "users")


@router.get("", operation_id="list_identities", response_model=IdentitiesOut)
async def list_identities(caller: CurrentUser, identity: IdentityDep) -> Response:
    """What opens my account besides a password."""
    return computed({"items": await linking.show(identity, caller)})


@router.post("/{provider}/start", operation_id="start_linking", responses=OFF)
async def start_linking(caller: CurrentUser, body: LinkIn, provider: ChosenProvider, identity: IdentityDep) -> LinkOut:
    """Link another one: open the `url` in a browser, which comes back to `next` with `#code=…`. 403 `step_up_required`
    when the login is older than five minutes."""
    path = oauth.check_next(identity, body.next)
    url = await linking.start(identity, caller, provider.name, path, body.code_challenge)
    return LinkOut(url=url, expires_in=identity.settings.oauth.state_seconds)


@router.post(
    "",
    operation_id="finish_linking",
    response_model=IdentityOut,
    responses={
        400: {"description": "`invalid_code`: used, too old, never ours, or begun in another session."},
        409: {"description": "`identity_taken`: it opens another account."},
    },
)
async def finish_linking(body: CodeIn, caller: CurrentUser, identity: IdentityDep, client: ClientDep) -> Response:
    """Link what the browser came back with. In the session that began it."""
    return computed(await linking.link(identity, client, caller, body.code, body.code_verifier))


@router.delete(
    "/{identity_id}",
    operation_id="unlink_identity",
    status_code=204,
    responses={409: {"description": "`last_credential`: nothing else opens the account."}},
)
async def unlink_identity(identity_id: UUID, caller: CurrentUser, services: ServicesDep, client: ClientDep) -> None:
    """It opens my account no more. Other sessions end, and the provider is told."""
    await linking.unlink(services.identity, services.providers, client, caller, identity_id)
