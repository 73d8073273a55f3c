"""People who upload all that is uploaded, by a seeded dice, and somebody who looks at everything that is shown."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import uuid4

import httpx

from domain.media.limits import PART_BYTES
from tests.imaging.photos import FILES
from tests.imaging.test_videos import box
from tests.media_owner import EICAR, Owner, photo
from tests.scanning.pdfs import JAVASCRIPT, document

T = TypeVar("T")
READY, GONE = "ready", "gone"
PDF, MP4 = "application/pdf", "video/mp4"
MOST_UNDER_WAY: Final = 8
_TRIES: Final = 60
_SIGNED_IN: Final = 240.0
"""Seconds, within those that an access token holds."""


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes, what their person says of them, and what must become of them: `ready`, or the reason of a refusal."""

    body: bytes
    content_type: str = "image/jpeg"
    becomes: str = READY


@dataclass(slots=True)
class Sent:
    """An upload of somebody's; `becomes` is `gone` as soon as they want to take it back."""

    owner: Owner
    upload: dict[str, Any]
    becomes: str

    @property
    def media_id(self) -> str:
        """What it is called once it is shown."""
        return str(self.upload["media_id"])


def a_photo(dice: random.Random) -> Content:
    """Of a phone with a small screen."""
    return Content(photo(dice.choice((300, 600)), 400))


def a_document(dice: random.Random) -> Content:
    """One page of text, unlike every other."""
    return Content(document(b"/Lang(%d)" % dice.getrandbits(60)), PDF)


def a_video(dice: random.Random, size: int = 8) -> Content:
    """A short one, and a box that players skip."""
    return Content((FILES / "clip.mp4").read_bytes() + box(b"free", dice.randbytes(size)), MP4)


def a_virus(dice: random.Random) -> Content:
    """Behind a photo."""
    return Content(photo(64, 64) + EICAR, becomes="threat")


def a_script(dice: random.Random) -> Content:
    """In a document that runs it."""
    return Content(document(b"/Lang(%d)/OpenAction 5 0 R" % dice.getrandbits(60), JAVASCRIPT), PDF, "forbidden_content")


def a_wreck(dice: random.Random) -> Content:
    """A photo of which only the beginning is one."""
    return Content(photo(200, 200)[:400] + dice.randbytes(50), becomes="damaged")


KINDS: Final[dict[Callable[[random.Random], Content], int]] = {
    a_photo: 6,
    a_document: 3,
    a_video: 3,
    a_virus: 2,
    a_script: 1,
    a_wreck: 1,
}
"""What is uploaded, and how often."""


@dataclass(slots=True)
class Load:
    """What all of them do, and what they have sent until now. Whoever gets no answer asks again,
    and nobody goes on while more than a few uploads are `under_way`: a busy machine is no reason for a queue."""

    owners: Sequence[Owner]
    dice: random.Random
    under_way: Callable[[], Awaitable[int]]
    pause: tuple[float, float] = (0.8, 2.0)
    sent: list[Sent] = field(default_factory=list)
    abandoned: list[Sent] = field(default_factory=list)
    contents: dict[str, list[Content]] = field(default_factory=dict)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def run(self, over: asyncio.Event) -> None:
        """Each of them does one thing after the other, until it is over."""
        async with asyncio.TaskGroup() as group:
            for owner in self.owners:
                group.create_task(self._days_of(owner, over))

    async def large(self, owner: Owner) -> Sent:
        """Somebody sends what comes in three parts."""
        return await self.send(owner, a_video(self.dice, size=2 * PART_BYTES + 5_000))

    async def send(self, owner: Owner, content: Content) -> Sent:
        """All the way, however often it takes."""
        upload = await self._begin(owner, content)
        sent = Sent(owner, upload, content.becomes)
        self.sent.append(sent)
        self.contents.setdefault(owner.pet_id, []).append(content)
        async with httpx.AsyncClient(timeout=30) as http:
            await self._insist(lambda: owner.carry(http, upload, content.body))
        await self._insist(lambda: self._complete(sent))
        return sent

    async def _days_of(self, owner: Owner, over: asyncio.Event) -> None:
        signed_in = time.monotonic()
        while not over.is_set():
            if time.monotonic() - signed_in > _SIGNED_IN:
                await owner.person.login()
                signed_in = time.monotonic()
            if await self.under_way() < MOST_UNDER_WAY:
                await self._something(owner)
            await asyncio.sleep(self.dice.uniform(*self.pause))  # any moment is meant

    async def _something(self, owner: Owner) -> None:
        deeds: dict[Callable[[Owner], Awaitable[object]], int] = {
            self._upload: 10,
            self._repeat: 2,
            self._change_ones_mind: 2,
            self._delete: 3,
            self._forget: 1,
        }
        (deed,) = self.dice.choices(list(deeds), list(deeds.values()))
        await deed(owner)

    async def _upload(self, owner: Owner) -> Sent:
        (kind,) = self.dice.choices(list(KINDS), list(KINDS.values()))
        return await self.send(owner, kind(self.dice))

    async def _repeat(self, owner: Owner) -> None:
        """The same again, be it published already or still under way; or the same twice at once."""
        former = [each for each in self.contents.get(owner.pet_id, []) if each.becomes == READY][-3:]
        again = self.dice.choice([*former, a_photo(self.dice)])
        await asyncio.gather(*(self.send(owner, again) for _ in range(self.dice.choice((1, 2)))))

    async def _change_ones_mind(self, owner: Owner) -> None:
        """It is taken back while it is looked at, or when it is just published."""
        sent = await self._upload(owner)
        await asyncio.sleep(self.dice.uniform(0, 1))  # any moment is meant
        sent.becomes = GONE
        if await self._delete_at(owner, f"/media/uploads/{sent.upload['id']}") == httpx.codes.CONFLICT:
            await self._delete_at(owner, f"/media/{sent.media_id}")

    async def _delete(self, owner: Owner) -> None:
        """Something that is shown, if there is anything."""
        shown = {each["id"] for each in await owner.listed()}
        mine = [each for each in self.sent if each.becomes == READY and each.media_id in shown]
        if mine:
            sent = self.dice.choice(mine)
            sent.becomes = GONE
            await self._delete_at(owner, f"/media/{sent.media_id}")

    async def _forget(self, owner: Owner) -> None:
        """It is sent, and never completed."""
        content = a_photo(self.dice)
        upload = await self._begin(owner, content)
        self.abandoned.append(Sent(owner, upload, GONE))
        async with httpx.AsyncClient(timeout=30) as http:
            await self._insist(lambda: owner.carry(http, upload, content.body))

    async def _complete(self, sent: Sent) -> None:
        answer = await sent.owner.complete(sent.upload)
        self.answers["complete", answer.status_code] += 1
        answer.raise_for_status()

    async def _begin(self, owner: Owner, content: Content) -> dict[str, Any]:
        key = str(uuid4())
        return await self._insist(lambda: owner.begin(content.body, content_type=content.content_type, key=key))

    async def _delete_at(self, owner: Owner, path: str) -> int:
        async def deed() -> int:
            answer = await owner.person.call("DELETE", path)
            self.answers["delete", answer.status_code] += 1
            if answer.is_server_error:
                answer.raise_for_status()
            return answer.status_code

        return await self._insist(deed)

    async def _insist(self, deed: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_TRIES):
            try:
                return await deed()
            except httpx.HTTPError as error:
                self.answers[type(error).__name__, getattr(getattr(error, "response", None), "status_code", 0)] += 1
                await asyncio.sleep(0.5)  # people's patience
        raise AssertionError("nobody ever takes it")


@dataclass(slots=True)
class Visitor:
    """Looks at everything that is shown, again and again: each of it is whole, or its person is deleting it. One who is
    `patient` asks once more for what a bad line does not give."""

    load: Load
    patient: bool = False
    looked_at: int = 0

    async def run(self, over: asyncio.Event) -> None:
        """Until it is over."""
        async with httpx.AsyncClient(timeout=30) as http:
            while not over.is_set():
                for owner in self.load.owners:
                    with suppress(httpx.HTTPStatusError):  # nothing was shown
                        await self._look(http, owner)
                await asyncio.sleep(0.2)  # between two looks

    async def _look(self, http: httpx.AsyncClient, owner: Owner) -> None:
        for media in (await owner.listed())[:10]:
            assert media["state"] == READY, media
            assert media["variants"], media
            wrong = [each["name"] for each in media["variants"] if not await self._reads(http, each)]
            assert not wrong or self._is_going(media["id"]), (wrong, media)
            self.looked_at += 1

    async def _reads(self, http: httpx.AsyncClient, variant: dict[str, Any]) -> bool:
        for _ in range(_TRIES):
            try:
                answer = await http.get(variant["url"])
            except httpx.TransportError:
                assert self.patient
                continue
            if not (self.patient and answer.is_server_error):
                return answer.status_code == httpx.codes.OK and len(answer.content) == variant["size"]
        raise AssertionError("storage never answers")

    def _is_going(self, media_id: str) -> bool:
        return any(each.media_id == media_id and each.becomes == GONE for each in self.load.sent)
