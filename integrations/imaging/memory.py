"""A decoder that knows files by their first bytes and makes small ones: a real backend for tests of what follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from domain.media.sniff import HEAD_BYTES, sniff
from domain.media.variants import Variant
from integrations.imaging.protocol import (
    ImagingUnavailable,
    Inspected,
    Progress,
    Reason,
    Rendered,
    RenderedFile,
    Unreadable,
)


@dataclass(slots=True)
class MemoryImaging:
    """`Imaging`. Every file is of this size; `refusals`: words in files, and what is wrong with these. `away`: as many
    calls find no machine."""

    width: int = 640
    height: int = 480
    refusals: dict[bytes, Reason] = field(default_factory=dict)
    away: int = 0

    def inspect(self, path: Path) -> Inspected:
        """See `Imaging`."""
        if self.away:
            self.away -= 1
            raise ImagingUnavailable("told to be away")
        content = path.read_bytes()
        if not content:
            raise Unreadable(Reason.EMPTY)
        if (content_type := sniff(content[:HEAD_BYTES])) is None:
            raise Unreadable(Reason.UNKNOWN_TYPE)
        for word, reason in self.refusals.items():
            if word in content:
                raise Unreadable(reason)
        return Inspected(content_type, self.width, self.height)

    def render(
        self, path: Path, into: Path, *, plan: Sequence[Variant], on_progress: Progress = lambda percent: None
    ) -> Rendered:
        """See `Imaging`. Each file says which one it is."""
        self.inspect(path)
        for done in range(len(plan)):
            on_progress(100 * done // len(plan))
        return Rendered([self._made(into, variant) for variant in plan], thumbhash=bytes(5))

    def _made(self, into: Path, variant: Variant) -> RenderedFile:
        path = into / variant.file_name
        path.write_text(variant.name)
        scale = min(1.0, (variant.edge or self.width) / max(self.width, self.height))
        width, height = round(self.width * scale), round(self.height * scale)
        return RenderedFile(variant.name, path, variant.content_type, width, height, path.stat().st_size)
