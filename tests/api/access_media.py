"""Examples of media for `test_access_matrix.py`."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import text

from tests.api.access_ground import CANARY, Example, Ground, refused

_ABOUT: Final = {
    "filename": "leaflet.pdf",
    "content_type": "application/pdf",
    "size": 1_000,
    "sha256": "0" * 64,
    "purpose": "document",
}
_UPLOAD: Final = "/media/uploads/{nobody}"


async def media(ground: Ground) -> object:
    """A paper that can be looked at."""
    about = _ABOUT | {"pet_id": await ground.make("pet"), "filename": f"{CANARY}.pdf"}
    made = UUID((await ground.owner_sends("POST", "/media/uploads", about))["media_id"])
    async with ground.api.identity.db.sessions.begin() as session:
        of_link = "(SELECT asset_id FROM media_links WHERE id = :id)"
        await session.execute(text(f"UPDATE media_assets SET state = 'ready' WHERE id = {of_link}"), {"id": made})
        await session.execute(text("UPDATE media_links SET is_current = true WHERE id = :id"), {"id": made})
    return made


MEDIA: Final[Mapping[str, Example]] = {
    "begin_upload": Example("POST", "/media/uploads", _ABOUT | {"pet_id": "{pet}"}),
    "get_upload": refused("GET", _UPLOAD, 404),
    "sign_upload_parts": refused("POST", f"{_UPLOAD}/parts", 404, body={"numbers": [1]}),
    "list_upload_parts": refused("GET", f"{_UPLOAD}/parts", 404),
    "complete_upload": refused("POST", f"{_UPLOAD}/complete", 404),
    "abort_upload": refused("DELETE", _UPLOAD, 404),
    "get_media": Example("GET", "/media/{media}"),
    "list_media_versions": Example("GET", "/media/{media}/versions"),
    "list_pet_media": Example("GET", "/pets/{pet}/media"),
    "list_record_media": Example("GET", "/health-records/records/{record}/media"),
    "restore_media": Example("POST", "/media/{media}/restore"),
    "delete_media": Example("DELETE", "/media/{media}"),
    "get_storage": Example("GET", "/households/{household}/storage"),
}
