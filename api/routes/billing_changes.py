"""/billing: another plan, an end, and money back."""

from typing import Any, Final

from fastapi import Response

from api import plan_changes, refunds
from api.auth import CurrentUser
from api.billing_services import AskingStripe, BillingOn
from api.deps import PagingDep, ServicesDep, UnitOfWork
from api.idempotency import Idempotent
from api.identity import ClientDep
from api.json_response import computed, listing
from api.operations import OperationId
from api.routing import router as make_router
from api.schemas.billing import SettledOut
from api.schemas.billing_changes import ChangeIn, PreviewIn, PreviewOut, RefundIn, RefundOut, RefundPage
from models.queries import billing_views

router = make_router("/billing", "billing")
_NO_CHANGE: Final[dict[int | str, dict[str, Any]]] = {
    409: {
        "description": "`not_subscribed`: subscribe first. `payment_due`: pay what is owed first. "
        "`same_plan`: it is your plan already. `cancel_planned`: resume first. `subscription_changed`: look again."
    }
}
_NO_END: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "`not_subscribed`: there is nothing to end. `subscription_changed`: look again."}
}
_NO_REFUND: Final[dict[int | str, dict[str, Any]]] = {
    409: {
        "description": "`refund_window_over`, `refund_currency`, `charge_disputed`, `already_refunded`, "
        "`refund_too_high`, `refund_amount`, `refund_no_subscription`."
    }
}


@router.post(
    "/plan-change/preview", operation_id="preview_plan_change", response_model=PreviewOut, responses=_NO_CHANGE
)
async def preview_plan_change(
    body: PreviewIn, caller: CurrentUser, payments: AskingStripe, services: ServicesDep
) -> Response:
    """What another plan would cost now, or when it would begin. Changes nothing."""
    return computed(await plan_changes.preview(services, payments, caller, body.plan))


@router.post("/plan-change", operation_id="change_plan", response_model=SettledOut, responses=_NO_CHANGE)
async def change_plan(
    body: ChangeIn,
    caller: CurrentUser,
    client: ClientDep,
    payments: AskingStripe,
    services: ServicesDep,
    op_id: OperationId,
) -> Response:
    """Change to a larger plan now, or to a smaller one when your period ends; your own plan takes a planned change
    back. If the payment fails, your plan stays as it was, and `pending_change_until` says until when you can pay."""
    return computed(await plan_changes.change(services, payments, client, caller, body, op_id))


@router.post("/cancel", operation_id="cancel_subscription", response_model=SettledOut, responses=_NO_END)
async def cancel_subscription(
    caller: CurrentUser, client: ClientDep, payments: AskingStripe, services: ServicesDep, op_id: OperationId
) -> Response:
    """End your subscription when what you paid for ends. Nothing of yours is deleted: what the free plan does not hold
    can be read. Repeating it changes nothing."""
    return computed(await plan_changes.cancel(services, payments, client, caller, op_id))


@router.post("/resume", operation_id="resume_subscription", response_model=SettledOut, responses=_NO_END)
async def resume_subscription(
    caller: CurrentUser, client: ClientDep, payments: AskingStripe, services: ServicesDep, op_id: OperationId
) -> Response:
    """Go on after all, while it has not ended yet. Repeating it changes nothing."""
    return computed(await plan_changes.resume(services, payments, client, caller, op_id))


@router.post("/refunds", operation_id="request_refund", status_code=202, response_model=RefundOut, responses=_NO_REFUND)
async def request_refund(
    body: RefundIn,
    caller: CurrentUser,
    client: ClientDep,
    _: AskingStripe,
    session: UnitOfWork,
    services: ServicesDep,
    __: Idempotent,
) -> Response:
    """Have a payment paid back, all of it or a part, within 14 days. With all of it the subscription that it was for
    ends first. It is on its way when this is answered, and its workflow tells how far."""
    asked = await refunds.ask(session, services, client, caller, body)
    answer = computed(asked, 202)
    answer.headers["Location"] = asked["workflow"]
    return answer


@router.get("/refunds", operation_id="list_refunds", response_model=RefundPage)
async def list_refunds(caller: CurrentUser, _: BillingOn, services: ServicesDep, paging: PagingDep) -> Response:
    """Your refunds, newest first."""
    page = paging.page(f"refunds:{caller.user_id}")
    part = page.part_by_id(await billing_views.refunds(services.db, caller.user_id, page.after_id, page.rows))
    return listing([refunds.present(row, caller.user_id) for row in part.items], part)
