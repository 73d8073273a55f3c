"""Imaging by libvips, libheif and PDFium, in children with limits."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from domain.media.variants import Variant
from integrations.imaging import process, work
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import ImagingUnavailable, Inspected, Progress, Rendered, RenderedFile


class ConfinedImaging:
    """`Imaging`. Any number of threads may call; each call is a child at work."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    def inspect(self, path: Path) -> Inspected:
        """See `Imaging`."""
        answer = process.ask(partial(work.inspect, path), self.limits, lambda _: None)
        if answer.inspected is None:
            raise ImagingUnavailable("the child answered another question")
        return answer.inspected

    def render(
        self, path: Path, into: Path, *, plan: Sequence[Variant], on_progress: Progress = lambda percent: None
    ) -> Rendered:
        """See `Imaging`. Files appear in `into` when all of them are whole."""
        with TemporaryDirectory(prefix=".rendering-", dir=into) as folder:
            drawn = process.ask(partial(work.render, path, Path(folder), plan), self.limits, on_progress).drawn
            if drawn is None or drawn.sizes.keys() != {variant.name for variant in plan}:
                raise ImagingUnavailable("the child answered another question")
            files = [_moved(Path(folder), into, variant, *drawn.sizes[variant.name]) for variant in plan]
        return Rendered(files, bytes.fromhex(drawn.thumbhash), drawn.pages)


def _moved(folder: Path, into: Path, variant: Variant, width: int, height: int) -> RenderedFile:
    path = (folder / variant.file_name).replace(into / variant.file_name)
    return RenderedFile(variant.name, path, variant.content_type, width, height, path.stat().st_size)
