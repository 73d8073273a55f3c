"""What Google says of its methods: scopes and query parameters, from the discovery document of its own client."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

SCOPES: Final = "https://www.googleapis.com/auth/"
_DOCUMENT: Final = ("discovery_cache", "documents", "calendar.v3.json")


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API: any one of `scopes` is enough; other query parameters than these do not exist."""

    scopes: frozenset[str]
    parameters: frozenset[str]


@cache
def methods() -> Mapping[str, Method]:
    """By id, e.g. `calendar.events.list`."""
    document = json.loads(files("googleapiclient").joinpath(*_DOCUMENT).read_text())
    shared = frozenset(document["parameters"])
    return dict(_methods(document, shared))


def _methods(resource: Mapping[str, Any], shared: frozenset[str]) -> Iterator[tuple[str, Method]]:
    for about in resource.get("methods", {}).values():
        query = (name for name, it in about.get("parameters", {}).items() if it["location"] == "query")
        yield about["id"], Method(frozenset(about.get("scopes", ())), shared.union(query))
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner, shared)
