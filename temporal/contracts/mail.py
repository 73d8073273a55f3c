"""One mail to one person. Id `user/{user_id}/mail/{delivery_id}`; started once, by an outbox row of kind `mail`."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

WORKFLOW: Final = "MailWorkflow"
KIND: Final = "mail"
"""Outbox kind."""


@dataclass(frozen=True, slots=True)
class SendMail:
    """Which row of `deliveries`; everything else is read from it when the mail is sent."""

    delivery_id: UUID
