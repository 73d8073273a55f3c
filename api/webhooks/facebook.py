"""What Facebook asks of us: to forget what we have from it about a person."""

from urllib.parse import parse_qsl

from fastapi import Depends, Request, Response

from api import provider_events
from api.auth import limited
from api.deps import ServicesDep
from api.identity import ClientDep
from api.json_response import computed
from api.providers import ProviderOff
from api.routing import router as make_router
from core.errors import Malformed
from domain.oauth import Provider
from integrations.identity.facebook import FacebookProvider

router = make_router("/webhooks", "operations")


# Not in the document that clients are made from: only Facebook may call it.
@router.post(
    "/facebook/data-deletion",
    operation_id="receive_facebook_deletion",
    include_in_schema=False,
    dependencies=[Depends(limited("anonymous"))],
)
async def receive_facebook_deletion(request: Request, services: ServicesDep, client: ClientDep) -> Response:
    """A form with a `signed_request`; answers where its status is shown, and the code of it."""
    facebook = services.providers.get(Provider.FACEBOOK)
    if not isinstance(facebook, FacebookProvider):
        raise ProviderOff("there is nothing here")
    try:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=20))
    except ValueError:
        raise Malformed("this is not a message that is accepted here") from None
    code = await provider_events.receive_deletion(services.identity, client, facebook, form.get("signed_request", ""))
    status = f"{services.settings.public_url}{provider_events.DELETION_PAGE}/{code}"
    return computed({"url": status, "confirmation_code": code})
