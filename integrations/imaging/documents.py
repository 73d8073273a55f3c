"""PDF through PDFium: how many pages, and what the first one looks like. Runs in the child.

Nothing in a document is executed: the library is built without JavaScript and without XFA, forms are not initialised,
and nothing outside of the file is looked at.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium
import pyvips

from domain.media.variants import EDGES
from integrations.imaging.protocol import Reason, Unreadable

LARGEST: Final = max(EDGES)
"""The longer edge of the first page's picture, in pixels."""


@contextmanager
def _opened(path: Path) -> Iterator[pypdfium2.PdfDocument]:
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        locked = error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
        raise Unreadable(Reason.ENCRYPTED if locked else Reason.DAMAGED) from None
    with document:
        if not len(document):
            raise Unreadable(Reason.DAMAGED)
        yield document


def read_size(path: Path) -> tuple[int, int, int]:
    """(width, height, pages): of the picture of the first page, in pixels. Raises `Unreadable`, PdfiumError."""
    with _opened(path) as document:
        width, height = document[0].get_size()
        scale = _scale(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale)), len(document)


def draw(path: Path) -> tuple[pyvips.Image, int]:
    """The first page on white, and the number of pages. Raises `Unreadable`, PdfiumError."""
    with _opened(path) as document:
        page = document[0]
        bitmap = page.render(scale=_scale(*page.get_size()), may_draw_forms=False, rev_byteorder=True)
        row = bitmap.stride // bitmap.n_channels
        image = pyvips.Image.new_from_memory(
            bytes(bitmap.buffer), row, bitmap.height, bitmap.n_channels, pyvips.BandFormat.UCHAR
        )
        image = image.crop(0, 0, bitmap.width, bitmap.height).extract_band(0, n=3)
        return image.copy(interpretation="srgb").copy_memory(), len(document)


def _scale(width: float, height: float) -> float:
    if not 0 < min(width, height) <= max(width, height) < float("inf"):
        raise Unreadable(Reason.DAMAGED)
    return LARGEST / max(width, height)
