"""What Stripe tells: verify, write down, answer (billing.md §4.1)."""

from fastapi import Request, Response

from api import stripe_events
from api.billing_services import BillingOn
from api.deps import ServicesDep
from api.routing import router as make_router

router = make_router("/webhooks", "operations")


# Not in the document that clients are made from: only Stripe may call it.
@router.post("/stripe", operation_id="receive_stripe_event", include_in_schema=False)
async def receive_stripe_event(request: Request, billing: BillingOn, services: ServicesDep) -> Response:
    """An event, in either format. 400 for what Stripe did not sign, 503 while it cannot be kept: Stripe tries again."""
    await stripe_events.receive(
        services.db,
        billing.webhook_secrets,
        livemode=billing.livemode,
        raw=await request.body(),
        header=request.headers.get("stripe-signature"),
    )
    return Response(status_code=200)
