"""What an account holds: documents by kind (their `object`) and id, in the order in which they were made."""

from collections.abc import Callable, Iterator
from typing import Any

from infra.local.emulators.stripe_server.errors import resource_missing

Document = dict[str, Any]
"""An object as it goes over the wire. Names that begin with `_` stay inside."""


class Objects:
    """See the module. Documents are shared, not copied: who changes one changes what everybody sees."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, Document]] = {}
        self._all: dict[str, Document] = {}
        self._deleted: dict[str, str] = {}

    def put(self, document: Document) -> Document:
        """Store a document under its `object` and `id`; answers it."""
        self._kinds.setdefault(document["object"], {})[document["id"]] = document
        self._all[document["id"]] = document
        return document

    def get(self, kind: str, object_id: str, param: str = "id") -> Document:
        """The document. Raises `StripeError` 404 `resource_missing` that names `param`."""
        found = self._kinds.get(kind, {}).get(object_id)
        if found is None:
            raise resource_missing(kind, object_id, param)
        return found

    def maybe(self, object_id: str | None) -> Document | None:
        """The document with this id of whatever kind, if there is one."""
        return self._all.get(object_id or "")

    def find(self, kind: str, predicate: Callable[[Document], bool] = lambda _: True) -> list[Document]:
        """Those that fit, newest first."""
        return [each for each in reversed(self._kinds.get(kind, {}).values()) if predicate(each)]

    def delete(self, kind: str, object_id: str) -> Document:
        """Take it away; answers what it was. Raises `resource_missing`."""
        found = self.get(kind, object_id)
        del self._kinds[kind][object_id], self._all[object_id]
        self._deleted[object_id] = kind
        return found

    def was_deleted(self, kind: str, object_id: str) -> bool:
        """Whether there was such an object."""
        return self._deleted.get(object_id) == kind

    def __iter__(self) -> Iterator[Document]:
        return iter(self._all.values())
