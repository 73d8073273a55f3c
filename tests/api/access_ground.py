"""A household with everybody who may come to it, made without a mail or a password in between, and things in it.

Everything that a person could read there is called *Canary*: who may not see it must not find that word anywhere.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import httpx

from core.crypto import Subject
from core.ids import new_id
from domain.access import Access, Right, Role
from models.household import BreakGlass, Grant, GrantKind, Household
from models.queries import households
from models.session import Session
from models.user import User
from tests.api.signing_in import Api, bearer

CANARY: Final = "Canary"
OK: Final = frozenset({200, 201, 202, 204})
LONG: Final = timedelta(days=1)


class Caller(StrEnum):
    """Every kind of caller there is."""

    ANONYMOUS = "anonymous"
    VET_LINK = "vet link"
    """Whoever holds a link that a vet was given, and tries it as an access token."""
    STRANGER = "stranger"
    OPERATOR = "operator"
    """Staff without having broken the glass."""
    SITTER_ACTS = "sitter who may act"
    SITTER_WRITES = "sitter who may write"
    CARETAKER = "caretaker"
    ADMIN = "admin"
    """Staff who broke the glass."""
    OWNER = "owner"


ACCESS: Final[Mapping[Caller, Access]] = {
    Caller.SITTER_ACTS: Access(Role.SITTER, frozenset({Right.ACT})),
    Caller.SITTER_WRITES: Access(Role.SITTER, frozenset({Right.ADD_RECORD})),
    Caller.CARETAKER: Access(Role.CARETAKER),
    Caller.ADMIN: Access(Role.ADMIN),
    Caller.OWNER: Access(Role.OWNER),
}
"""By what those who come to the household do so; the others may not know that it exists."""
UNKNOWN: Final = frozenset({Caller.ANONYMOUS, Caller.VET_LINK})
"""Who has no access token."""

Maker = Callable[["Ground"], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Example:
    """A request. `names_nothing`: it names no thing of a household, so that strangers are answered with what is theirs.

    `answers`: the statuses for those who may call it.
    """

    method: str
    path: str
    body: Any = None
    answers: frozenset[int] = OK
    names_nothing: bool = False


def refused(method: str, path: str, *statuses: int, body: Any = None) -> Example:
    """A request that is let in and then refused for what it says: a token that is none, an id that is nobody's."""
    return Example(method, path, body, frozenset(statuses))


def listing(path: str) -> Example:
    """A list of whatever the caller may see."""
    return Example("GET", path, names_nothing=True)


@dataclass
class Ground:
    """One household with its owner and a pet. `makers` make the other things that a request names, once each."""

    api: Api
    makers: Mapping[str, Maker]
    household_id: UUID = field(default_factory=new_id)
    owner_id: UUID = field(default_factory=new_id)
    things: dict[str, str] = field(default_factory=dict)
    tokens: dict[Caller, str | None] = field(default_factory=dict)

    @classmethod
    async def prepare(cls, api: Api, makers: Mapping[str, Maker]) -> "Ground":
        ground = cls(api, makers)
        identity = api.identity
        await ground.add_person(ground.owner_id)
        subject = Subject.household(ground.household_id)
        await identity.keys.create(subject)
        name = await identity.cipher.seal(subject, "households.name_ct", ground.household_id, f"{CANARY} Castle")
        home = Household(id=ground.household_id, name_ct=name, home_tzid="Europe/Berlin")
        async with identity.db.sessions.begin() as session:
            await households.create(session, home, ground.owner_id)
        ground.tokens[Caller.OWNER] = await ground.sign_in(ground.owner_id)
        ground.things["household"] = str(ground.household_id)
        await ground.make("pet")
        return ground

    async def add_person(self, user_id: UUID, *, staff: bool = False) -> None:
        """An account whose address is confirmed."""
        identity, owner = self.api.identity, Subject.user(user_id)
        await identity.keys.create(owner)
        address = f"{user_id}@{CANARY}.test"
        user = User(
            id=user_id,
            email_ct=await identity.cipher.seal(owner, "users.email_ct", user_id, address),
            email_bidx=identity.blind_index(address.casefold()),
            first_name_ct=await identity.cipher.seal(owner, "users.first_name_ct", user_id, CANARY),
            email_verified_at=datetime.now(UTC),
            is_staff=staff,
        )
        async with identity.db.sessions.begin() as session:
            session.add(user)

    async def sign_in(self, user_id: UUID, *, ago: timedelta = timedelta(0)) -> str:
        """The access token of a session that was opened so long ago."""
        session_id, at = new_id(), datetime.now(UTC) - ago
        row = Session(
            id=session_id,
            user_id=user_id,
            epoch=1,
            rt_hash=hashlib.sha256(session_id.bytes).digest(),
            auth_time=at,
            amr=["pwd"],
            last_seen=at,
            idle_expires_at=at + LONG,
            absolute_expires_at=at + LONG,
        )
        async with self.api.identity.db.sessions.begin() as session:
            session.add(row)
        return self.api.identity.tokens.mint(user_id, session_id, at, ["pwd"])

    async def token(self, caller: Caller) -> str | None:
        """What this caller shows; their way into the household is made the first time they are asked for."""
        if caller not in self.tokens:
            self.tokens[caller] = None if caller in UNKNOWN else await self._admit(caller)
        if caller is Caller.VET_LINK:
            return await self._vet_link()
        return self.tokens[caller]

    async def stale_token(self) -> str:
        """The owner's, of a session that proved itself ten minutes ago."""
        return await self.sign_in(self.owner_id, ago=timedelta(minutes=10))

    async def make(self, name: str) -> str:
        """The id of a thing, made once."""
        if name not in self.things:
            self.things[name] = str(await self.makers[name](self))
        return self.things[name]

    async def owner_sends(self, method: str, path: str, body: Any = None) -> Any:
        """A request of the owner's that works; its answer."""
        answer = await self.send(method, path, body, self.tokens[Caller.OWNER])
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    async def send(self, method: str, path: str, body: Any, token: str | None) -> httpx.Response:
        """A request; `path` begins with `/api/v1` unless it begins with `//`."""
        url = path[1:] if path.startswith("//") else f"/api/v1{path}"
        return await self.api.http.request(method, url, json=body, headers=bearer(token))

    async def _admit(self, caller: Caller) -> str:
        user_id = new_id()
        await self.add_person(user_id, staff=caller in (Caller.OPERATOR, Caller.ADMIN))
        async with self.api.identity.db.sessions.begin() as session:
            if caller is Caller.CARETAKER:
                await households.join(session, self.household_id, user_id, Role.CARETAKER)
            elif caller is Caller.ADMIN:
                until = datetime.now(UTC) + LONG
                session.add(
                    BreakGlass(staff_id=user_id, household_id=self.household_id, reason_ct="sealed", expires_at=until)
                )
            elif (access := ACCESS.get(caller)) is not None:
                session.add(self._grant(GrantKind.SITTER, user_id=user_id, actions=sorted(access.granted or ())))
        return await self.sign_in(user_id)

    async def _vet_link(self) -> str:
        link = secrets.token_urlsafe(32)
        async with self.api.identity.db.sessions.begin() as session:
            session.add(self._grant(GrantKind.VET, token_hash=hashlib.sha256(link.encode()).digest(), actions=[]))
        return link

    def _grant(self, kind: GrantKind, **fields: Any) -> Grant:
        now = datetime.now(UTC)
        return Grant(
            household_id=self.household_id,
            kind=kind,
            granted_by=self.owner_id,
            pet_ids=[UUID(self.things["pet"])],
            valid_from=now - LONG,
            valid_until=now + LONG,
            **fields,
        )
