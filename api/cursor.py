"""Cursor pages: `?limit=50&cursor=…` → `{"items": […], "next_cursor": …}`, stable while others write.

A cursor is the sort key of the last item, bound by HMAC to the list, its filter and the person; it is opaque and not
secret (ids only).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Query, Request

from core.errors import Malformed

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=100, description="Items of one page.")]
CursorText = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]


class BadCursor(Malformed):
    """400: not a cursor of this list."""

    code = "bad_cursor"


@dataclass(frozen=True, slots=True)
class Page:
    """What a list query is asked for: up to `limit` items after the sort key `after`."""

    limit: int
    after: Sequence[str] | None


class Cursors:
    """Makes and reads cursors with the application's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def page(self, limit: int, cursor: str | None, binding: str) -> Page:
        """`binding` names list, filter and person. Raises `BadCursor`."""
        return Page(limit, None if cursor is None else self._open(cursor, binding))

    def answer(
        self,
        request: Request,
        binding: str,
        limit: int,
        rows: Sequence[T],
        key: Callable[[T], Sequence[str]],
    ) -> tuple[Sequence[T], str | None, dict[str, str]]:
        """(items, next_cursor, headers with `Link: rel="next"`, RFC 8288) of the `limit + 1` rows asked for."""
        if len(rows) <= limit:
            return rows, None, {}
        items = rows[:limit]
        cursor = self._seal(key(items[-1]), binding)
        following = request.url.include_query_params(cursor=cursor)
        return items, cursor, {"Link": f'<{following.path}?{following.query}>; rel="next"'}

    def _seal(self, after: Sequence[str], binding: str) -> str:
        body = json.dumps(list(after), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(body, binding) + body).decode().rstrip("=")

    def _open(self, cursor: str, binding: str) -> list[str]:
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise BadCursor("this is no cursor of ours") from None
        if not hmac.compare_digest(raw[:16], self._tag(raw[16:], binding)):
            raise BadCursor("this cursor belongs to another list, filter or person")
        return [str(part) for part in json.loads(raw[16:])]

    def _tag(self, body: bytes, binding: str) -> bytes:
        return hmac.digest(self._key, binding.encode() + b"\0" + body, hashlib.sha256)[:16]
