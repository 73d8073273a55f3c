"""Checkout Sessions as far as payments know them: what a bank says days later about one that was left unpaid."""

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.objects import Document


def payment_settled(account: Account, invoice: Document) -> None:
    """The bank has answered about the invoice of a session."""
    for session in account.objects.find("checkout.session", lambda each: each["invoice"] == invoice["id"]):
        if session["status"] != "complete" or session["payment_status"] != "unpaid":
            continue
        if invoice["status"] == "paid":
            session["payment_status"] = "paid"
            account.emit("checkout.session.async_payment_succeeded", session)
        else:
            account.emit("checkout.session.async_payment_failed", session)
