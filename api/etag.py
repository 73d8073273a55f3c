"""ETags: strong, made from the row's version (RFC 9110 §8.8, §13)."""

import re
from typing import Annotated

from fastapi import Depends, Request

from core.errors import Malformed, PreconditionFailed

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def etag(version: int) -> str:
    """The strong tag of a version."""
    return f'"v{version}"'


def tags(header: str) -> list[str]:
    """The strong tags of an `If-Match` or `If-None-Match` list; weak ones never match for us. Raises `Malformed`."""
    found = []
    for entry in header.split(","):
        match = _TAG.fullmatch(entry.strip())
        if match is None:
            raise Malformed("entity tags are quoted strings", code="invalid_etag")
        if not match[1]:
            found.append(entry.strip())
    return found


class Precondition:
    """The `If-Match` of a write: absent (last writer wins), `*`, or a list of tags."""

    def __init__(self, request: Request) -> None:
        header = request.headers.get("if-match")
        self._any = header is None or header.strip() == "*"
        self._tags = [] if header is None or self._any else tags(header)

    def check(self, version: int) -> None:
        """Raise `PreconditionFailed` when somebody was quicker. Call it with the version read under the row's lock."""
        if not self._any and etag(version) not in self._tags:
            raise PreconditionFailed("it was changed since you read it: read it again, then send your change anew")


async def _precondition(request: Request) -> Precondition:
    return Precondition(request)


IfMatch = Annotated[Precondition, Depends(_precondition)]


def is_unchanged(request: Request, version: int) -> bool:
    """Whether `If-None-Match` already names this version: the answer is 304."""
    header = request.headers.get("if-none-match")
    return header is not None and (header.strip() == "*" or etag(version) in tags(header))
