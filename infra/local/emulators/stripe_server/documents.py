"""What is done to documents of any kind."""

from copy import deepcopy
from typing import Any

from infra.local.emulators.stripe_server.objects import Document


def public(value: Any) -> Any:
    """A deep copy without the names that stay inside (`_…`)."""
    if isinstance(value, dict):
        return {name: public(each) for name, each in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [public(each) for each in value]
    return value


def previous_attributes(before: Document, after: Document) -> Document:
    """What an `updated` event says: the old values of what is different now, objects field by field."""
    changed: Document = {}
    for name in (*before, *(each for each in after if each not in before)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        both = isinstance(old, dict) and isinstance(new, dict)
        changed[name] = previous_attributes(old, new) if both else deepcopy(old)  # type: ignore[arg-type]
    return changed


def merge_metadata(document: Document, given: Any) -> None:
    """`metadata` of a request: keys are added, an empty value takes one away, an empty word takes all."""
    if given == "":
        document["metadata"] = {}
        return
    merged = document["metadata"] | (given or {})
    document["metadata"] = {name: value for name, value in merged.items() if value != ""}


def update(document: Document, given: Document, *names: str) -> None:
    """Those of the named fields that were given; an empty word is null. `metadata` is merged."""
    for name in names:
        if name in given:
            document[name] = None if given[name] == "" else deepcopy(given[name])
    if "metadata" in given:
        merge_metadata(document, given["metadata"])
