"""Lists: filters on `created`, and pages by cursor."""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call

_LIMIT: Final = 10
_HIGHEST_LIMIT: Final = 100


def page(call: Call, found: Sequence[Document]) -> Document:
    """The page of the documents (newest first) that a call asks for. Raises `StripeError`.

    Only what lies beyond the cursor is looked at, so following the pages of many documents stays cheap.
    """
    limit, created = call.params.get("limit", _LIMIT), call.params.get("created")
    if not 1 <= limit <= _HIGHEST_LIMIT:
        raise invalid(f"Invalid limit: {limit} is not between 1 and {_HIGHEST_LIMIT}", "limit")
    if before := call.params.get("ending_before"):
        rest = reversed(found[: _place(found, before, "ending_before")])
    else:
        after = call.params.get("starting_after")
        rest = iter(found[_place(found, after, "starting_after") + 1 :] if after else found)
    shown = list(islice((each for each in rest if _is_within(each, created)), limit + 1))
    has_more = len(shown) > limit
    shown = shown[:limit][::-1] if before else shown[:limit]
    return listed(call.path, shown, has_more=has_more)


def listed(url: str, documents: Sequence[Document], *, has_more: bool = False) -> Document:
    """A list object, as an answer or inside another document."""
    return {"object": "list", "data": list(documents), "has_more": has_more, "url": url}


def _place(found: Sequence[Document], cursor: str, param: str) -> int:
    for place, each in enumerate(found):
        if each["id"] == cursor:
            return place
    raise invalid(f"No such object: '{cursor}'", param, "resource_missing")


def _is_within(document: Document, created: Any) -> bool:
    if created is None:
        return True
    if isinstance(created, int):
        return bool(document["created"] == created)
    at = document["created"]
    bounds = {"gt": at.__gt__, "gte": at.__ge__, "lt": at.__lt__, "lte": at.__le__}
    return all(bounds[name](value) for name, value in created.items())
