"""What Microsoft Graph tells of the calendars that it keeps for us (calendar-sync.md §5.2): changes, and what becomes
of the subscriptions that tell of them."""

import re
from collections.abc import Iterator
from typing import Final

from fastapi import Depends, Request, Response

from api import calendar_pushes, strict_json
from api.auth import limited
from api.calendar_pushes import MOST_ITEMS, Message
from api.deps import ServicesDep
from api.routing import router as make_router
from core.errors import Malformed
from core.logging import logger

log = logger(__name__)

router = make_router("/webhooks", "operations")

_HARMLESS: Final = re.compile(r"[^<>\x00-\x1f\x7f]{1,2048}")
"""What is sent back to whoever sent it, and means nothing to a browser."""


# Not in the document that clients are made from: only Microsoft may call them.
@router.post(
    "/microsoft-graph",
    operation_id="receive_graph_push",
    include_in_schema=False,
    dependencies=[Depends(limited("pushes"))],
)
@router.post(
    "/microsoft-graph/lifecycle",
    operation_id="receive_graph_lifecycle",
    include_in_schema=False,
    dependencies=[Depends(limited("pushes"))],
)
async def receive_graph_push(request: Request, services: ServicesDep) -> Response:
    """Messages about any of our subscriptions, each with its own secret; always 202, whatever they are worth. A new
    subscription asks first whether this is the right place: the question is the answer."""
    token = request.query_params.get("validationToken")
    if token is not None:
        if not _HARMLESS.fullmatch(token):
            raise Malformed("this is not a question that is answered here")
        return Response(token, 200, media_type="text/plain")
    await calendar_pushes.receive(services.db, "microsoft", _messages(await request.body()))
    return Response(status_code=202)


def _messages(body: bytes) -> Iterator[Message]:
    try:
        document = strict_json.parse(body)
    except Malformed as malformed:
        log.warning("graph_push_unreadable", reason=malformed.problem_code)
        return
    items = document.get("value") if isinstance(document, dict) else None
    for item in items[:MOST_ITEMS] if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield Message.of(item.get("clientState"), item.get("subscriptionId"), reason=item.get("lifecycleEvent"))
