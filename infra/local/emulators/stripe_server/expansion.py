"""`expand[]`: ids become documents, and fields appear that are shown on demand alone.

Which fields hold an id is what the SDK's classes say; which appear on demand is what a resource module registers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from infra.local.emulators.stripe_server import sdk
from infra.local.emulators.stripe_server.account import Account
from infra.local.emulators.stripe_server.documents import public
from infra.local.emulators.stripe_server.errors import StripeError, invalid
from infra.local.emulators.stripe_server.objects import Document

OnDemand = Callable[[Account, Document], Any]
_DEEPEST: Final = 4


class Expansion:
    """`on_demand`: by (`object`, field) what makes the value of a field that is not shown otherwise."""

    def __init__(self, on_demand: Mapping[tuple[str, str], OnDemand]) -> None:
        self._on_demand = on_demand

    def expanded(self, account: Account, document: Document, paths: Iterable[str]) -> Document:
        """A copy for the wire with the named fields expanded. Raises `StripeError` for one that cannot be."""
        answer: Document = public(document)
        for path in paths:
            names = path.split(".")
            if len([name for name in names if name != "data"]) > _DEEPEST:
                raise invalid(f"You cannot expand more than {_DEEPEST} levels of a property: {path}", "expand")
            self._follow(account, answer, _Owner(answer), names, path)
        return answer

    def _follow(self, account: Account, holder: Document, owner: "_Owner", names: list[str], path: str) -> None:
        """Expand the first name in a document or in an object inside one, and the rest in what is there then."""
        name, *rest = names
        owner = owner.of(holder)
        field = owner.below(name)
        if name not in holder and (make := self._on_demand.get((owner.kind, field.name))):
            stored = account.objects.maybe(str(owner.document.get("id")))
            holder[name] = public(make(account, stored or owner.document))
        elif name not in holder or not (rest or field.is_expandable or (owner.kind, field.name) in self._on_demand):
            raise _refused(path)
        holder[name] = found = _shown(account, holder[name], field)
        for each in (found if isinstance(found, list) else [found]) if rest else ():
            if isinstance(each, dict):
                self._follow(account, each, field, rest, path)
            elif each is not None:
                raise _refused(path)


def _shown(account: Account, value: Any, field: "_Owner") -> Any:
    """The documents of ids; whatever else there is stays."""
    if isinstance(value, list):
        return [_shown(account, each, field) for each in value]
    if not isinstance(value, str) or not field.is_expandable:
        return value
    found = account.objects.maybe(value)
    return public(found) if found else value


class _Owner:
    """The document that an object is inside of, and by which dotted name."""

    def __init__(self, document: Document, name: str = "") -> None:
        self.document, self.name = document, name

    @property
    def kind(self) -> str:
        return str(self.document.get("object", ""))

    @property
    def is_expandable(self) -> bool:
        return self.name in sdk.expandable(self.kind)

    def below(self, name: str) -> "_Owner":
        return _Owner(self.document, f"{self.name}.{name}".lstrip("."))

    def of(self, target: Document) -> "_Owner":
        """A document inside is its own owner."""
        return _Owner(target) if isinstance(target.get("object"), str) else self


def _refused(path: str) -> StripeError:
    return invalid(f"This property cannot be expanded ({path}).", "expand")
