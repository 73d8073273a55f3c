"""Somebody who uploads to a running stack: what they have, and how it is sent, in the words of the API."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any, Final

import httpx
from PIL import Image

from domain.media.limits import PART_BYTES
from tests.person import Person
from tests.stack import until

EICAR: Final = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SETTLED: Final = ("ready", "rejected", "quarantined")


def photo(width: int, height: int) -> bytes:
    """Noise, so that it takes the decoder as long as a real one."""
    made = io.BytesIO()
    Image.effect_noise((width, height), 40).convert("RGB").save(made, "JPEG", quality=85)
    return made.getvalue()


@dataclass(frozen=True, slots=True)
class Owner:
    """A person with a pet, who uploads."""

    person: Person
    pet_id: str

    async def begin(
        self,
        content: bytes,
        name: str = "Milo 🐈.jpg",
        purpose: str = "document",
        content_type: str = "image/jpeg",
        key: str | None = None,
    ) -> dict[str, Any]:
        """Announced; once, however often it is under the same `key`. Raises `httpx.HTTPStatusError`."""
        about = {
            "filename": name,
            "content_type": content_type,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "purpose": purpose,
            "pet_id": self.pet_id,
        }
        headers = {} if key is None else {"Idempotency-Key": key}
        begun = await self.person.call("POST", "/media/uploads", json=about, headers=headers)
        upload: dict[str, Any] = begun.raise_for_status().json()
        return upload

    async def send(self, content: bytes, **about: str) -> dict[str, Any]:
        """Announced, sent, completed."""
        upload = await self.begin(content, **about)
        async with httpx.AsyncClient(timeout=60) as http:
            await self.carry(http, upload, content)
        answer = await self.complete(upload)
        assert answer.status_code == 202, answer.text
        return upload

    async def carry(self, http: httpx.AsyncClient, upload: dict[str, Any], content: bytes) -> None:
        """All bytes, in a form or in the parts that are missing. Raises `httpx.HTTPError` where one does not arrive."""
        if upload["form"] is not None:
            fields = {field: (None, value) for field, value in upload["form"]["fields"].items()}
            (await http.post(upload["form"]["url"], files=fields | {"file": ("blob", content)})).raise_for_status()
            return
        there = (await self.person.call("GET", f"/media/uploads/{upload['id']}/parts")).raise_for_status()
        asked = {"numbers": there.json()["missing"]}
        if not asked["numbers"]:
            return
        signed = await self.person.call("POST", f"/media/uploads/{upload['id']}/parts", json=asked)
        for each in signed.raise_for_status().json()["items"]:
            start = (each["number"] - 1) * PART_BYTES
            (await http.put(each["url"], content=content[start : start + each["size"]])).raise_for_status()

    async def complete(self, upload: dict[str, Any]) -> httpx.Response:
        """Handed over."""
        return await self.person.call("POST", f"/media/uploads/{upload['id']}/complete")

    async def media(self, upload: dict[str, Any]) -> dict[str, Any]:
        """What became of it until now."""
        found: dict[str, Any] = (await self.person.call("GET", f"/media/{upload['media_id']}")).json()
        return found

    async def settled(self, upload: dict[str, Any], *, within: float = 60) -> dict[str, Any]:
        """The media, once nothing more happens to it."""

        async def state() -> dict[str, Any] | None:
            media = await self.media(upload)
            return media if media["state"] in SETTLED else None

        found: dict[str, Any] = await until(state, within=within, what="the upload has settled")
        return found

    async def listed(self) -> list[dict[str, Any]]:
        """What is shown of the pet: the newest hundred."""
        answer = await self.person.call("GET", f"/pets/{self.pet_id}/media", params={"limit": "100"})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return found
