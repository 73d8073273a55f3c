"""PDF: how many pages, what the first one looks like, through PDFium; and a copy that does not say where it is from,
through qpdf. Runs in the child.

Nothing in a document is executed: PDFium is built without JavaScript and without XFA, forms are not initialised, and
nothing outside of the file is looked at.
"""

import base64
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
import pyvips
from pikepdf import sanitize

from domain.media.variants import EDGES
from integrations.imaging import embedded
from integrations.imaging.protocol import Reason, Unreadable

LARGEST: Final = max(EDGES)
"""The longer edge of the first page's picture, in pixels."""
_REMOVED: Final = (sanitize.remove_thumbnails, sanitize.remove_private_app_data, sanitize.remove_web_capture)
_ORIGINS: Final = ("/Metadata", "/LastModified")
_LARGEST_PICTURE: Final = 64 * 2**20
_PICTURES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "/DCTDecode": embedded.jpeg,
    "/DCT": embedded.jpeg,
    "/JPXDecode": embedded.jpeg_2000,
}


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


def publish(path: Path, target: Path) -> None:
    """The document without its title and author, metadata, thumbnails and what programs keep in it for themselves, and
    its pictures without what cameras wrote into them. One that is signed stays as it is: its signature is of every
    byte. Raises `Unreadable`, OSError."""
    try:
        with pikepdf.open(path) as document:
            if _is_signed(document):
                shutil.copyfile(path, target)
                return
            for remove in _REMOVED:
                remove(document)
            if "/Info" in document.trailer:
                del document.trailer["/Info"]
            for found in document.objects:
                _forget_origin(found)
            document.save(target, preserve_pdfa=False, fix_metadata_version=False)
    except pikepdf.PasswordError:
        raise Unreadable(Reason.ENCRYPTED) from None
    except pikepdf.PdfError:
        raise Unreadable(Reason.DAMAGED) from None


def _is_signed(document: pikepdf.Pdf) -> bool:
    return any(isinstance(each, pikepdf.Dictionary) and "/ByteRange" in each for each in document.objects)


def _forget_origin(found: pikepdf.Object) -> None:
    if not isinstance(found, pikepdf.Dictionary | pikepdf.Stream):
        return
    for key in _ORIGINS:
        if key in found:
            del found[key]
    if isinstance(found, pikepdf.Stream):
        _clean_picture(found)


def _clean_picture(found: pikepdf.Stream) -> None:
    """As cameras write them, and as programs wrap them; nobody writes other pictures any more."""
    filters, settings = _listed(found.get("/Filter")), _listed(found.get("/DecodeParms"))
    names = [str(each) for each in filters]
    if not names or names[-1] not in _PICTURES or not _WRAPPERS.keys() >= {*names[:-1]}:
        return
    data, clean = found.read_raw_bytes(), _PICTURES[names[-1]]
    for name in names[:-1]:
        data = _WRAPPERS[name](data)
    own = settings[-1] if settings else None
    found.write(clean(data), filter=filters[-1], decode_parms=own if isinstance(own, pikepdf.Dictionary) else None)


def _inflated(data: bytes) -> bytes:
    inflate = zlib.decompressobj()
    inflated = inflate.decompress(data, _LARGEST_PICTURE)
    if inflate.unconsumed_tail:
        raise Unreadable(Reason.TOO_MUCH_MEMORY)
    return inflated


def _in_85(data: bytes) -> bytes:
    """Up to its end, which readers do without where it is missing."""
    return base64.a85decode(data.strip().removeprefix(b"<~").partition(b"~")[0])


def _in_hex(data: bytes) -> bytes:
    digits = b"".join(data.partition(b">")[0].split())
    return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


_WRAPPERS: Final = {"/FlateDecode": _inflated, "/ASCII85Decode": _in_85, "/ASCIIHexDecode": _in_hex}
"""What a picture may be wrapped in once more (ISO 32000-1 §7.4)."""


def _listed(value: Any) -> Sequence[Any]:
    """One, several or none."""
    return list(value) if isinstance(value, pikepdf.Array) else [] if value is None else [value]


def _scale(width: float, height: float) -> float:
    if not 0 < min(width, height) <= max(width, height) < float("inf"):
        raise Unreadable(Reason.DAMAGED)
    return LARGEST / max(width, height)
