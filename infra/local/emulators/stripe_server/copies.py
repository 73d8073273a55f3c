"""Many objects like some that are there, for whoever needs thousands: each made by the API would take a night.

POST `/_control/copies` with the ids `of` some objects, and how many `times`: answers the ids of each set of copies, in
that order. What refers to one another among them does so among their copies too. Nobody is told, and no timer runs for
a copy: a subscription is not renewed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.errors import resource_missing
from infra.local.emulators.stripe_server.objects import Document


def copy(account: Account, _: str, asked: Document) -> object:
    """See the module. Raises `resource_missing`."""
    originals = [_found(account, each) for each in asked["of"]]
    return [_copy(account, originals) for _ in range(asked["times"])]


def _found(account: Account, object_id: str) -> Document:
    found = account.objects.maybe(object_id)
    if found is None:
        raise resource_missing("object", object_id)
    return found


def _copy(account: Account, originals: Sequence[Document]) -> list[str]:
    fresh = {each["id"]: account.new_id(each["id"].partition("_")[0]) for each in originals}
    return [account.objects.put(_renamed(each, fresh))["id"] for each in originals]


def _renamed(value: Any, fresh: Mapping[str, str]) -> Any:
    """A deep copy in which these ids are others."""
    if isinstance(value, dict):
        return {name: _renamed(each, fresh) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, fresh) for each in value]
    return fresh.get(value, value) if isinstance(value, str) else value
