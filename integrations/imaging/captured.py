"""When a picture was taken, as its EXIF data says (CIPA DC-008 §4.6.5)."""

import struct
from contextlib import suppress
from datetime import datetime
from typing import Final

from PIL import ExifTags, Image

_PADDING: Final = "\0 "
_TAGS: Final = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
)


def captured_at(exif: bytes) -> datetime | None:
    """The camera's clock, with its offset where it names one; None where there is no date that can be one."""
    # What a stranger's bytes can make the reader raise.
    with suppress(ValueError, TypeError, KeyError, IndexError, SyntaxError, OSError, struct.error):
        read = Image.Exif()
        read.load(exif)
        fields = read.get_ifd(ExifTags.IFD.Exif)
        for date, offset in _TAGS:
            if date in fields:
                return _moment(str(fields[date]), str(fields.get(offset, "")))
    return None


def _moment(date: str, offset: str) -> datetime:
    """Raises ValueError; `0000:00:00 00:00:00` is how a camera without a clock says it."""
    day, _, hour = date.strip(_PADDING).partition(" ")
    moment = datetime.fromisoformat(f"{day.replace(':', '-')}T{hour}")
    with suppress(ValueError):
        return datetime.fromisoformat(f"{moment.isoformat()}{offset.strip(_PADDING)}")
    return moment
