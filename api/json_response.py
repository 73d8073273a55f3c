"""Answers of hot reads: bytes by orjson, the ETag of their version and content, 304 where the caller has it already."""

from typing import Any, Final

import orjson
from fastapi import Request, Response

from api.cursor import Part
from api.etag import etag, knows

_WHOLE: Final[Part[Any]] = Part(())


def document(
    request: Request, body: dict[str, Any], version: int, *, status: int = 200, location: str | None = None
) -> Response:
    """A single resource. Validation against the response model is a matter of tests, not of every request."""
    shown = orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z)
    headers = {"ETag": etag(version, shown)}
    if request.method == "GET" and knows(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if location is not None:
        headers["Location"] = location
    return Response(shown, status, headers, media_type="application/json")


def computed(body: dict[str, Any], status: int = 200) -> Response:
    """An answer without a version: made for this request, or about what is read in a list only."""
    return Response(orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z), status, media_type="application/json")


def listing(items: list[dict[str, Any]], part: Part[Any] = _WHOLE) -> Response:
    """A page of a list: the documents of the part's items; without a part, all there are."""
    body = {"items": items, "next_cursor": part.next_cursor}
    return Response(
        orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z), 200, part.headers, media_type="application/json"
    )
