"""What a worker would register, found without building one: a broken worker can end the interpreter (measured)."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any
from unittest.mock import MagicMock

from core.settings import Settings
from workers.composition import Parts
from workers.registry import activities


def activities_by_queue() -> dict[str, Sequence[Callable[..., Any]]]:
    """The activities bound to parts that nobody can use; only the settings are real."""
    settings = Settings(database_url="postgresql://x@localhost/x", redis_url="redis://localhost")  # type: ignore[arg-type]
    parts = {field.name: MagicMock(name=field.name) for field in fields(Parts)}
    return dict(activities(Parts(**{**parts, "settings": settings})))
