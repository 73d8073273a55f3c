"""What a child of `integrations/imaging` takes for a photo: loads nothing that such a child has not loaded anyway."""

import resource
from collections.abc import Sequence
from pathlib import Path

from domain.media.variants import Variant
from integrations.imaging import work
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import Progress


def measured(
    note: Path, photo: Path, folder: Path, variants: Sequence[Variant], limits: Limits, say: Progress
) -> work.Drawn:
    """`work.render`, and a note of its CPU seconds and peak memory in kB."""
    drawn = work.render(photo, folder, variants, limits, say)
    used = resource.getrusage(resource.RUSAGE_SELF)
    note.write_text(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss}")
    return drawn
