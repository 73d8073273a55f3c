"""Documents against the SDK's classes: no key that it does not know, none missing that it promises."""

import typing
from collections.abc import Iterator
from typing import Any

from infra.local.emulators.stripe_server.sdk import object_class


def problems(document: Any, path: str = "") -> list[str]:
    """What is wrong with an answer and everything inside it; empty if it is what the SDK promises."""
    return list(_of_value(document, None, path or str(document.get("object"))))


def _of_value(value: Any, kind: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from _of_value(each, kind, f"{path}[{place}]")
    elif isinstance(value, dict):
        if isinstance(own := value.get("object"), str):
            kind = object_class(own)
            if kind is None:
                yield f"{path}: the SDK has no object {own!r}"
                return
        if kind is not None:
            yield from _of_object(value, kind, path)


def _of_object(document: dict[str, Any], kind: Any, path: str) -> Iterator[str]:
    hints = {
        name: hint for each in reversed(kind.__mro__) for name, hint in vars(each).get("__annotations__", {}).items()
    }
    hints |= {"object": str} if hasattr(kind, "OBJECT_NAME") else {}
    fields = {name: hint for name, hint in hints.items() if "ClassVar" not in str(hint) and not name.startswith("_")}
    yield from (f"{path}.{name}: unknown" for name in document if name not in fields)
    if not document.get("deleted"):
        yield from (
            f"{path}.{name}: missing" for name in fields if name not in document and not _is_optional(fields[name])
        )
    yield from (
        f"{path}.{name}: null" for name in fields if document.get(name, 0) is None and not _is_optional(fields[name])
    )
    maps = {name for name, hint in fields.items() if "UntypedStripeObject[" in str(hint)}
    for name, value in document.items():
        inner = kind._inner_class_types.get(name)
        for key, each in value.items() if name in maps and value else [("", value)]:
            yield from _of_value(each, inner, f"{path}.{name}" + (f"[{key}]" if key else ""))


def _is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)
