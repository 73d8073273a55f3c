"""What tests of media share: bytes that are announced, sent to real storage as a browser would, and completed."""

import hashlib
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from core.settings import Settings
from core.storage_settings import StorageSettings
from tests.api.signing_in import OPEN, Person
from tests.services import S3Server

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(2_000)


def stored_in(settings: Settings, s3: S3Server) -> Settings:
    """Settings of a process that uses this storage."""
    return settings.model_copy(
        update={
            "s3_endpoint": s3.endpoint,
            "s3_access_key_id": SecretStr(s3.access_key_id),
            "s3_secret_access_key": SecretStr(s3.secret_access_key),
            "rate_limits": OPEN,
            "storage": StorageSettings(encryption="AES256"),
        }
    )


@dataclass(frozen=True, slots=True)
class Uploader:
    """A person with a pet, who uploads."""

    person: Person
    pet_id: str

    def about(self, content: bytes = JPEG, **more: Any) -> dict[str, Any]:
        """What they say of a content."""
        return {
            "filename": "Milo.jpg",
            "content_type": "image/jpeg",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "purpose": "document",
            "pet_id": self.pet_id,
        } | more

    async def begin(self, content: bytes = JPEG, **more: Any) -> dict[str, Any]:
        """Announced."""
        answer = await self.person.request("POST", "/media/uploads", self.about(content, **more))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def complete(self, upload: dict[str, Any]) -> httpx.Response:
        """Handed over."""
        return await self.person.request("POST", f"/media/uploads/{upload['id']}/complete")

    async def storage(self, home: str | None = None) -> dict[str, int]:
        """What the household has of its room."""
        homes = (await self.person.request("GET", "/households")).json()["items"]
        return dict((await self.person.request("GET", f"/households/{home or homes[0]['id']}/storage")).json())


async def uploader(person: Person) -> Uploader:
    """This person with a new pet."""
    pet = await person.request("POST", "/pets", {"name": "Milo"})
    assert pet.status_code == 201, pet.text
    return Uploader(person, pet.json()["id"])


@pytest.fixture(scope="module")
def settings(settings: Settings, s3: S3Server) -> Settings:
    """Those of an api with real storage."""
    return stored_in(settings, s3)


@pytest.fixture
async def milo(person: Person) -> Uploader:
    """Somebody with a pet of this name."""
    return await uploader(person)


async def send_form(form: dict[str, Any], content: bytes) -> int:
    """POST the form as a browser does; answers the status."""
    async with httpx.AsyncClient() as http:
        files = {name: (None, value) for name, value in form["fields"].items()} | {"file": ("blob", content)}
        return (await http.post(form["url"], files=files)).status_code


async def send_part(url: str, content: bytes) -> int:
    """PUT a part; answers the status."""
    async with httpx.AsyncClient(timeout=60) as http:
        return (await http.put(url, content=content)).status_code
