"""Where contents lie. A key is made of ids alone: a file's name never becomes part of one."""

from typing import Final
from uuid import UUID

UPLOADS: Final = "uploads/"
MEDIA: Final = "media/"


def upload(stored_under: UUID, asset_id: UUID) -> str:
    """In the quarantine: what was uploaded. `stored_under` is the household in which it was."""
    return f"{UPLOADS}{stored_under}/{asset_id}"


def published(stored_under: UUID, asset_id: UUID, file: str) -> str:
    """Among what is published: a rendition, e.g. `480.webp`."""
    return f"{MEDIA}{stored_under}/{asset_id}/{file}"


def published_prefix(stored_under: UUID, asset_id: UUID) -> str:
    """Of all renditions of a content."""
    return f"{MEDIA}{stored_under}/{asset_id}/"


def asset_of(key: str) -> UUID | None:
    """Whose key this is; None for one that we did not make."""
    segments = key.split("/")
    if len(segments) not in (3, 4) or f"{segments[0]}/" not in (UPLOADS, MEDIA):
        return None
    try:
        return UUID(segments[2])
    except ValueError:
        return None
