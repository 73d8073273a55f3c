"""ETags: strong, made from the row's version and from what is shown (RFC 9110 §8.8, §13).

Not all that an answer shows is in its row: the time of a grant passes, and the role is the reader's own. A write is
compared by the version alone.
"""

import re
from hashlib import blake2b
from typing import Annotated

from fastapi import Depends, Request

from core.errors import Malformed, PreconditionFailed

_ENTRY = re.compile(r'[ \t]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')


def etag(version: int, shown: bytes) -> str:
    """The strong tag of a version as it is shown."""
    return f'"v{version}-{blake2b(shown, digest_size=8).hexdigest()}"'


def _tags(request: Request, header: str, *, weak: bool) -> set[str] | None:
    """The tags a conditional header names; None where it is absent. `*` stands for itself.

    `If-Match` compares strongly, so weak tags are left out; `If-None-Match` compares weakly: a proxy that compresses
    may have weakened ours (RFC 9110 §8.8.3.2). Raises `Malformed`.
    """
    given = request.headers.getlist(header)
    if not given:
        return None
    text, found, position = ",".join(given).strip(), set(), 0
    if text == "*":
        return {"*"}
    while position < len(text):
        match = _ENTRY.match(text, position)
        if match is None:
            raise Malformed("entity tags are quoted strings", code="invalid_etag")
        if weak or not match[1]:
            found.add(match[2])
        position = match.end()
    return found


class Precondition:
    """The `If-Match` of a write: absent (last writer wins), `*`, or a list of tags."""

    def __init__(self, request: Request) -> None:
        self._tags = _tags(request, "if-match", weak=False)

    def check(self, version: int) -> None:
        """Raise `PreconditionFailed` when somebody was quicker. Call it with the version read under the row's lock."""
        if self._tags is None:
            return
        known = {tag.strip('"').partition("-")[0] for tag in self._tags}
        if known.isdisjoint(("*", f"v{version}")):
            raise PreconditionFailed("it was changed since you read it: read it again, then send your change anew")


async def precondition(request: Request) -> Precondition:
    """The precondition of this request. Raises `Malformed`."""
    return Precondition(request)


IfMatch = Annotated[Precondition, Depends(precondition)]


def knows(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names this tag: the answer is 304. Raises `Malformed`."""
    known = _tags(request, "if-none-match", weak=True)
    return known is not None and not known.isdisjoint(("*", tag))
