"""Rules of animals themselves (product.md §3.3)."""

from datetime import date

from core.errors import FieldProblem, Invalid


def check_birth_date(born: date | None, today: date) -> None:
    """A birth date lies in the past, or is today where the animal lives. Raises `Invalid`."""
    if born is not None and born > today:
        problem = FieldProblem("/date_of_birth", "date_in_future", "a birth date lies in the past")
        raise Invalid("the birth date cannot be used", errors=(problem,))
