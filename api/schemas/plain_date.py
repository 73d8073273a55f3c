"""Calendar dates in requests."""

from datetime import date
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _is_text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("date_type", "a date is text like 2026-02-28")
    return value


# pydantic would read the number 2026 as the day 2,026 seconds after the epoch.
PlainDate = Annotated[date, BeforeValidator(_is_text)]
