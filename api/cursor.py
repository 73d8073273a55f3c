"""Cursor pages: `?limit=50&cursor=…` → `{"items": […], "next_cursor": …}`, stable while others write.

A cursor is the sort key of the last item, bound by HMAC to the list, its filter and the person; it is opaque and not
secret (ids only).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import asyncpg
from fastapi import Query
from starlette.datastructures import URL

from core.errors import Malformed

T = TypeVar("T")
Row = TypeVar("Row", bound=asyncpg.Record | Mapping[str, object])
Limit = Annotated[int, Query(ge=1, le=100, description="Items of one page.")]
CursorText = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]


class BadCursor(Malformed):
    """400: not a cursor of this list."""

    code = "bad_cursor"


class Cursors:
    """Makes and reads cursors with the application's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, after: Sequence[str], binding: str) -> str:
        """A cursor that stands behind this sort key, good for the list, filter and person that `binding` names."""
        body = json.dumps(list(after), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(body, binding) + body).decode().rstrip("=")

    def open(self, cursor: str, binding: str) -> list[str]:
        """The sort key it stands behind. Raises `BadCursor`."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise BadCursor("this is no cursor of ours") from None
        if not hmac.compare_digest(raw[:16], self._tag(raw[16:], binding)):
            raise BadCursor("this cursor belongs to another list, filter or person")
        return [str(part) for part in json.loads(raw[16:])]

    def _tag(self, body: bytes, binding: str) -> bytes:
        return hmac.digest(self._key, binding.encode() + b"\0" + body, hashlib.sha256)[:16]


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """What one page shows of a list, and how to go on (`Link: rel="next"`, RFC 8288)."""

    items: Sequence[T]
    next_cursor: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What a list query is asked for: `rows` rows after the sort key `after`, one more than are shown."""

    after: Sequence[str] | None
    rows: int
    _binding: str
    _paging: "Paging"

    @property
    def after_id(self) -> UUID | None:
        """`after` of a list in the order of ids."""
        return UUID(self.after[0]) if self.after else None

    def part(self, found: Sequence[T], key: Callable[[T], Sequence[str]]) -> Part[T]:
        """The rows that were asked for, cut to the page. `key` is a row's sort key."""
        if len(found) < self.rows:
            return Part(found)
        items = found[: self.rows - 1]
        cursor = self._paging.cursors.seal(key(items[-1]), self._binding)
        following = self._paging.url.include_query_params(cursor=cursor)
        return Part(items, cursor, {"Link": f'<{following.path}?{following.query}>; rel="next"'})

    def part_by_id(self, found: Sequence[Row]) -> Part[Row]:
        """`part` of a list in the order of ids."""
        return self.part(found, lambda row: (str(row["id"]),))


@dataclass(frozen=True, slots=True)
class Paging:
    """A request's `limit` and `cursor`."""

    cursors: Cursors
    url: URL
    limit: int
    cursor: str | None

    def page(self, binding: str) -> Page:
        """The page that is asked for. `binding` names list, filter and person. Raises `BadCursor`."""
        after = None if self.cursor is None else self.cursors.open(self.cursor, binding)
        return Page(after, self.limit + 1, binding, self)
