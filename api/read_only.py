"""Read-only fields in a write: the same value is accepted, another is refused, nothing is ignored (product.md §3.3)."""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from core.errors import FieldProblem, Invalid


def refuse_changes(body: BaseModel, current: Mapping[str, object], fields: Iterable[str]) -> None:
    """Compare what was sent with the present document. Raises `Invalid` with `read_only` for each difference."""
    changed = [
        field
        for field in fields
        if field in body.model_fields_set and _plain(getattr(body, field)) != _plain(current.get(field))
    ]
    if changed:
        problems = tuple(FieldProblem(f"/{field}", "read_only", "this field cannot be written") for field in changed)
        raise Invalid("read-only fields were changed", errors=problems)


def _plain(value: object) -> object:
    """The value as JSON shows it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)
