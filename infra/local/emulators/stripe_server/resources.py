"""Every resource: the modules whose operations are served, and the fields that are shown only on demand."""

from collections.abc import Mapping
from types import ModuleType
from typing import Final

from infra.local.emulators.stripe_server import customers
from infra.local.emulators.stripe_server.expansion import OnDemand

MODULES: Final[tuple[ModuleType, ...]] = (customers,)
ON_DEMAND: Final[Mapping[tuple[str, str], OnDemand]] = {}
