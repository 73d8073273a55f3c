"""What tests of households share: members without a mail in between, and the activities that mail and move."""

import secrets
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from temporalio.testing import ActivityEnvironment

from activities.invitation import InvitationActivities
from activities.strangers import StrangerMail
from activities.transfer import TransferActivities
from core.db import Database
from domain.access import Role
from integrations.notify.memory import MemoryChannel
from models.queries import households
from temporal.contracts.invitation import MailInvitation, ReviewInvitation
from temporal.contracts.transfer import MovePet, ResealPet
from tests.api.signing_in import Api, Person

PUBLIC_URL = "https://petfolio.test"


async def home_of(person: Person) -> UUID:
    """The household that registration made."""
    found = await households.personal_household(person.api.identity.db.reads, person.user_id)
    assert found is not None
    return found


async def member(api: Api, household_id: UUID, role: Role = Role.CARETAKER) -> Person:
    """Somebody new who belongs to the household."""
    person = await api.person()
    async with api.identity.db.sessions.begin() as session:
        await households.join(session, household_id, person.user_id, role)
    return person


async def pet_of(owner: Person, **fields: Any) -> dict[str, Any]:
    """A new pet of theirs."""
    answer = await owner.request("POST", "/pets", {"name": "Milo", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@dataclass
class Post:
    """The worker's side: the activities on a mailbox in memory."""

    db: Database
    mailbox: MemoryChannel
    mail: StrangerMail
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @classmethod
    def of(cls, api: Api) -> "Post":
        mailbox = MemoryChannel()
        return cls(api.identity.db, mailbox, StrangerMail(api.identity.cipher, mailbox, PUBLIC_URL))

    @property
    def invitations(self) -> InvitationActivities:
        return InvitationActivities(self.db.sessions, self.mail, self.key)

    @property
    def transfers(self) -> TransferActivities:
        return TransferActivities(self.db.sessions, self.mail)

    async def deliver(self, invitation: dict[str, Any]) -> str:
        """Send the mail that is to be sent; answers its token."""
        row_id = UUID(invitation["id"])
        now = await self.db.reads.fetchval("SELECT clock_timestamp()")
        plan = await self.invitations.review_invitation(ReviewInvitation(row_id, now))
        assert plan.mailing is not None
        await self.invitations.mail_invitation(MailInvitation(row_id, plan.mailing))
        text = self.mailbox.sent[uuid5(row_id, str(plan.mailing))].text
        return text.partition("/invitation?token=")[2].split()[0]

    async def move(self, transfer: dict[str, Any]) -> None:
        """What the workflow does once the offer is accepted."""
        await self.transfers.move_pet(MovePet(UUID(transfer["id"])))
        await ActivityEnvironment().run(self.transfers.reseal_pet, ResealPet(UUID(transfer["id"]), page_size=2))
