"""What Apple tells about people who sign in with it."""

from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, StringConstraints, ValidationError

from api import provider_events
from api.auth import limited
from api.deps import ServicesDep
from api.identity import ClientDep
from api.providers import ProviderOff
from api.routing import router as make_router
from core.errors import Malformed
from domain.oauth import Provider
from integrations.identity.apple import AppleProvider

router = make_router("/webhooks", "operations")


class _Notice(BaseModel):
    payload: Annotated[str, StringConstraints(max_length=16_384)]


# Not in the document that clients are made from: only Apple may call it.
@router.post(
    "/apple",
    operation_id="receive_apple_event",
    status_code=204,
    include_in_schema=False,
    dependencies=[Depends(limited("anonymous"))],
)
async def receive_apple_event(request: Request, services: ServicesDep, client: ClientDep) -> None:
    """A server notification: JSON whose `payload` Apple signed."""
    apple = services.providers.get(Provider.APPLE)
    if not isinstance(apple, AppleProvider):
        raise ProviderOff("there is nothing here")
    try:
        notice = _Notice.model_validate_json(await request.body())
    except ValidationError:
        raise Malformed("this is not a message that is accepted here") from None
    await provider_events.receive_apple(services.identity, client, apple, notice.payload)
