"""Blank documents: every field of a resource that may be null, as null, so that readers of the pinned version find it.

What the SDK calls optional is null on the wire, except for fields that are only there on request (`payments` of an
invoice) or only on something deleted.
"""

from functools import cache
from types import NoneType
from typing import Any, Final, get_args

from infra.local.emulators.stripe_server import sdk
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.objects import Document

_ABSENT: Final = frozenset({"deleted", "metadata", "payments", "confirmation_secret", "refunds", "line_items"})


def made(account: Account, kind: str, prefix: str, **fields: Any) -> Document:
    """A new stored document (`invoice`, `in`) with these fields over the nulls."""
    return account.objects.put(shaped(account, kind, account.new_id(prefix), **fields))


def shaped(account: Account, kind: str, object_id: str, **fields: Any) -> Document:
    """The same without storing it: a part of another document, or a preview."""
    common = {"created": account.now(), "livemode": False, "metadata": {}}
    known = sdk.object_class(kind).__annotations__
    head = {"id": object_id, "object": kind, **{name: each for name, each in common.items() if name in known}}
    return head | dict.fromkeys(nullable(kind)) | fields


@cache
def nullable(kind: str) -> tuple[str, ...]:
    """The fields of a kind of document that may be null."""
    return _nullable(sdk.object_class(kind))


def part(owner: Any, **fields: Any) -> Document:
    """An object inside a document that has a class of its own in the SDK (`stripe.Dispute.Evidence`)."""
    return {**dict.fromkeys(_nullable(owner)), **fields}


@cache
def _nullable(owner: Any) -> tuple[str, ...]:
    annotations = owner.__annotations__.items()
    return tuple(name for name, kind in annotations if NoneType in get_args(kind) and name not in _ABSENT)
