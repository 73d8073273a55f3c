"""Instants in requests. Whatever offset a client writes, they are UTC from here on: Postgres takes offsets below 16
hours only, and years up to 9999 end in ours before they end elsewhere."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime
from pydantic_core import PydanticCustomError


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("too_far", "an instant of the years 1 to 9999, in UTC") from None


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
