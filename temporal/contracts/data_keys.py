"""Rotation of data keys. Id `system/data-keys`, started every week by its Schedule."""

from dataclasses import dataclass
from typing import Final

WORKFLOW: Final = "DataKeysWorkflow"


@dataclass(frozen=True, slots=True)
class RotateDataKeys:
    """What the Schedule starts it with. A data key older than `max_age_days` gets a successor; `page_size`: keys
    looked at at once."""

    page_size: int = 200
    max_age_days: int = 365


@dataclass(frozen=True, slots=True)
class RewrapKeys:
    """Wrap every data key anew that another master key than the present one has wrapped."""

    page_size: int


@dataclass(frozen=True, slots=True)
class KeysRewrapped:
    """`keys` were wrapped by a former master key, and are not any more."""

    keys: int


@dataclass(frozen=True, slots=True)
class RenewKeys:
    """Give every owner a new data key whose newest one is older than `max_age_days`."""

    page_size: int
    max_age_days: int


@dataclass(frozen=True, slots=True)
class KeysRenewed:
    """`keys` were made. What was sealed before stays under the former ones until it is written again."""

    keys: int


@dataclass(frozen=True, slots=True)
class DataKeysRotated:
    """What a run did. In a normal week nothing."""

    rewrapped: int
    renewed: int
