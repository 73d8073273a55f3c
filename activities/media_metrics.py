"""What operators see of media: how long each stage takes, what is refused and why, and how many bytes came."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from prometheus_client import Counter, Histogram

from integrations.scanning.protocol import ScannerUnavailable, ScanTooSlow
from integrations.storage.protocol import StorageUnavailable

STAGES: Final = Histogram(
    "petfolio_media_stage_seconds",
    "Stages of uploads that came to an end, whatever it was.",
    ["stage"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
SETTLED: Final = Counter("petfolio_media_settled_total", "Uploads by what became of them.", ["result"])
KEPT: Final = Counter(
    "petfolio_media_kept_total", "Published files that could not be made anew, by reason.", ["reason"]
)
REFUSED: Final = Counter("petfolio_media_refused_total", "Uploads that were not taken, by reason.", ["reason"])
BYTES: Final = Counter("petfolio_media_bytes_total", "Bytes of uploads that were looked at, and of renditions.", ["of"])
WAITING: Final = Counter("petfolio_media_waiting_total", "Looks that found a part away: storage, scanner.", ["part"])
REMOVED: Final = Counter("petfolio_media_removed_total", "Contents whose objects are gone.")
ORPHANS: Final = Counter("petfolio_media_orphans_total", "What the sweep found without its other half.", ["kind"])


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Counts a stage that came to an end; one that failed is tried again, and not counted, but as waiting for what was
    away."""
    began = monotonic()
    try:
        yield
    except StorageUnavailable:
        WAITING.labels("storage").inc()
        raise
    except ScanTooSlow:  # it is there, and busy with this file
        raise
    except ScannerUnavailable:
        WAITING.labels("scanner").inc()
        raise
    STAGES.labels(stage).observe(monotonic() - began)
