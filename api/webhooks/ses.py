"""What SES tells about mails, through SNS: verify, write down, answer (architecture.md, One request)."""

from fastapi import Request

from api import mail_feedback
from api.deps import ServicesDep, UnitOfWork
from api.routing import router as make_router

router = make_router("/webhooks", "operations")


# Not in the document that clients are made from: only SNS may call it.
@router.post("/ses", operation_id="receive_ses_feedback", status_code=204, include_in_schema=False)
async def receive_ses_feedback(request: Request, services: ServicesDep, session: UnitOfWork) -> None:
    """A notification, or the confirmation of a subscription. SNS posts JSON as `text/plain`."""
    await mail_feedback.receive(session, services, await request.body())
