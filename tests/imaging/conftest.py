"""Imaging as a worker has it, and a folder for what it makes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from domain.media.variants import plan
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.protocol import Rendered

Publish = Callable[[Path], Rendered]


@pytest.fixture(scope="session")
def imaging() -> ConfinedImaging:
    """With the limits of production."""
    return ConfinedImaging()


@pytest.fixture
def publish(imaging: ConfinedImaging, tmp_path: Path) -> Publish:
    """All variants of a file, as the workflow has them made."""

    def everything(path: Path) -> Rendered:
        found = imaging.inspect(path)
        into = tmp_path / f"of {path.name}"
        into.mkdir()
        wanted = plan(found.content_type, found.width, found.height, animated=found.animated)
        return imaging.render(path, into, plan=wanted)

    return everything
