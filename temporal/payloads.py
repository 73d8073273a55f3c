"""How values become payloads: Pydantic JSON, with converters that the whole process shares.

The SDK makes a converter for every workflow in its cache, and that of Pydantic builds validators for each type it
meets. Of its own they cost a sleeping calendar 39 kB, and its start a millisecond of CPU (measured).
"""

from typing import Final

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter

_SHARED: Final = tuple(PydanticPayloadConverter().converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """As `PydanticPayloadConverter`, and cheap to make: a validator is built once. It keeps nothing of what it
    converts, so threads may share it."""

    def __init__(self) -> None:
        super().__init__(*_SHARED)
