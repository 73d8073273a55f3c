"""The rotation of the keys that sign access tokens. Id `system/signing-keys`, started every night by its Schedule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

WORKFLOW: Final = "SigningKeyWorkflow"


@dataclass(frozen=True, slots=True)
class RotateSigningKeys:
    """What the Schedule starts it with: do what is due, and usually nothing is. `discard_all` is for an operator: a key
    has leaked, so every key goes, and a new one signs at once."""

    discard_all: bool = False


@dataclass(frozen=True, slots=True)
class SigningKeysRotated:
    """How many keys are published now, and from when on the newest of them signs."""

    published: int
    newest_signs_from: datetime
