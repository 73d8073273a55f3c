"""Blank documents: every field of a resource that may be null, as null, so that a reader of the pinned version finds it.

What the SDK calls optional is null on the wire, except for fields that are only there on request (`payments` of an
invoice) or only on something deleted.
"""

from functools import cache
from importlib import import_module
from types import NoneType
from typing import Any, Final, get_args

from stripe import StripeObject
from stripe._object_classes import OBJECT_CLASSES

Document = dict[str, Any]
_ABSENT: Final = frozenset({"deleted", "payments", "confirmation_secret", "refunds", "line_items"})


def blank(kind: str, **fields: Any) -> Document:
    """A document of this kind (`invoice`), with these fields over the nulls."""
    return {"object": kind, **dict.fromkeys(_nullable(kind)), **fields}


def blank_part(owner: type[StripeObject], **fields: Any) -> Document:
    """A part of a document, which has a class of its own in the SDK (`stripe.Dispute.Evidence`)."""
    return {**dict.fromkeys(_nullables(owner)), **fields}


@cache
def _nullable(kind: str) -> tuple[str, ...]:
    module, name = OBJECT_CLASSES[kind]
    return _nullables(getattr(import_module(module), name))


@cache
def _nullables(owner: type[StripeObject]) -> tuple[str, ...]:
    annotations = owner.__annotations__.items()
    return tuple(name for name, kind in annotations if NoneType in get_args(kind) and name not in _ABSENT)
