"""Pictures through libvips, one decoder at a time; HEIC through libheif. Runs in the child.

What is decoded here is sRGB, eight bits and upright, and what is saved says nothing of its origin.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pi_heif
import pyvips

from domain.media.sniff import AVIF, GIF, HEIC, JPEG, PNG, WEBP
from domain.media.thumbhash import thumbhash
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import Reason, Unreadable

_DECODERS: Final[Mapping[str, str]] = {
    JPEG: "VipsForeignLoadJpeg",
    PNG: "VipsForeignLoadPng",
    WEBP: "VipsForeignLoadWebp",
    GIF: "VipsForeignLoadNsgif",
    AVIF: "VipsForeignLoadHeif",
}
_MAY_MOVE: Final = frozenset({GIF, WEBP})
_SIDEWAYS: Final = range(5, 9)
"""EXIF orientations that swap width and height."""
_DISPLAY_P3: Final = 12
"""The colour primaries of H.273 that phones use beside those of sRGB."""
_BEFORE_PIXELS: Final = 65_536
"""Of an AVIF file: its properties stand at the beginning."""
_PROFILE: Final = "icc-profile-data"
_PLACEHOLDER_EDGE: Final = 32
_SAVERS: Final[Mapping[str, Callable[[pyvips.Image, str], None]]] = {
    # Effort 2 takes 1.5 to 7 times as long for files that are 1 % smaller (six photos, measured), effort 4 10 to 40.
    AVIF: lambda image, path: image.heifsave(path, compression="av1", Q=60, effort=1, keep="none"),
    WEBP: lambda image, path: image.webpsave(path, Q=80, keep="none"),
    JPEG: lambda image, path: _on_white(image).jpegsave(path, Q=80, interlace=True, keep="none"),
}


class SaveFailed(Exception):
    """What was decoded could not be written: as a rule there is no room on the disk."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says before it is decoded. Width and height are upright."""

    width: int
    height: int
    frames: int
    exif: bytes


def allow_only(content_type: str) -> None:
    """From here on this process decodes this type and no other, whatever else a file may be as well."""
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeignLoad", True)
    if decoder := _DECODERS.get(content_type):
        pyvips.operation_block_set(decoder, False)


def read_header(path: Path, content_type: str, limits: Limits) -> Header:
    """Size and frames, within the limits. Raises `Unreadable` and the decoders' errors."""
    found = _heic_header(path) if content_type == HEIC else _vips_header(path, content_type)
    if found.frames > limits.frames:
        raise Unreadable(Reason.TOO_MANY_FRAMES)
    if found.width * found.height * found.frames > limits.pixels:
        raise Unreadable(Reason.TOO_MANY_PIXELS)
    return found


def _vips_header(path: Path, content_type: str) -> Header:
    image = _opened(path)
    width, height = image.width, image.get_page_height()
    if _field(image, "orientation", 1) in _SIDEWAYS:
        width, height = height, width
    # The field itself: `get_n_pages` takes 10,000 and more for nonsense and answers 1.
    frames = _field(image, "n-pages", 1) if content_type in _MAY_MOVE else 1
    return Header(width, height, frames, bytes(_field(image, "exif-data", b"")))


def _heic_header(path: Path) -> Header:
    heif = _heic(path)
    width, height = heif.size
    return Header(width, height, 1, heif.info.get("exif") or b"")


def _heic(path: Path) -> pi_heif.HeifFile:
    heif = pi_heif.open_heif(path)
    if not len(heif):
        raise Unreadable(Reason.DAMAGED)
    return heif


def decode(path: Path, content_type: str, edge: int, *, moving: bool = False) -> pyvips.Image:
    """The picture in memory, at most `edge` long: all frames one below the other, or the first one. What is broken
    anywhere in the file shows here. Raises the decoders' errors."""
    if content_type == HEIC:
        image = _heic_pixels(path)
        return image.thumbnail_image(edge, height=edge, size="down", **_into_srgb(image)).copy_memory()
    options: dict[str, object] = {**_from_p3(path)} if content_type == AVIF else {}
    options |= _into_srgb(_opened(path)) | ({"option_string": "n=-1", "no_rotate": True} if moving else {})
    image = pyvips.Image.thumbnail_source(
        _source(path), edge, height=edge, size="down", fail_on="error", **options
    ).copy_memory()
    return _upright(image) if moving and _field(image, "orientation", 1) > 1 else image


def _upright(image: pyvips.Image) -> pyvips.Image:
    """Frame by frame: all of them as one would be turned into a strip."""
    frames = [frame.autorot() for frame in image.pagesplit()]
    joined = pyvips.Image.arrayjoin(frames, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", frames[0].height)
    return joined.copy_memory()


def _from_p3(path: Path) -> dict[str, str]:
    """AVIF names the primaries of its colours where others have a profile; libvips reads profiles only."""
    with path.open("rb") as file:
        _, mark, colours = file.read(_BEFORE_PIXELS).partition(b"colrnclx")
    is_p3 = bool(mark) and int.from_bytes(colours[:2], "big") == _DISPLAY_P3
    return {"input_profile": "p3", "output_profile": "srgb"} if is_p3 else {}


def _heic_pixels(path: Path) -> pyvips.Image:
    """Decoded by libheif, which turns it upright; its colours are still its own."""
    heif = _heic(path)
    bands, view = len(heif.mode), heif.data
    image = pyvips.Image.new_from_memory(view, heif.stride // bands, heif.size[1], bands, "uchar")
    # Copied, because the view does not keep alive what it shows.
    image = image.crop(0, 0, *heif.size).copy(interpretation="srgb" if bands > 2 else "b-w").copy_memory()
    if profile := heif.info.get("icc_profile"):
        image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
    elif heif.info.get("nclx_profile", {}).get("color_primaries") == _DISPLAY_P3:
        return image.icc_transform("srgb", input_profile="p3")
    return image


def shrink(image: pyvips.Image, edge: int) -> pyvips.Image:
    """In memory, at most `edge` long, frame by frame where there are several."""
    if max(image.width, image.get_page_height()) <= edge:
        return image
    return image.thumbnail_image(edge, height=edge, size="down").copy_memory()


def still(image: pyvips.Image) -> pyvips.Image:
    """The first frame."""
    return image.crop(0, 0, image.width, image.get_page_height())


def save(image: pyvips.Image, path: Path, content_type: str) -> None:
    """Encode without any of the metadata. Raises `SaveFailed`."""
    try:
        _SAVERS[content_type](image, str(path))
    except pyvips.Error as error:
        raise SaveFailed(str(error)) from None


def placeholder(image: pyvips.Image) -> bytes:
    """The ThumbHash of the first frame."""
    small = shrink(still(image), _PLACEHOLDER_EDGE).colourspace("srgb")
    small = small if small.hasalpha() else small.bandjoin(255)
    return thumbhash(small.width, small.height, bytes(small.write_to_memory()))


def _on_white(image: pyvips.Image) -> pyvips.Image:
    return image.flatten(background=255) if image.hasalpha() else image


def _into_srgb(image: pyvips.Image) -> dict[str, str]:
    """What `thumbnail` needs to know. A picture without a profile is sRGB already, or becomes it without one; to run it
    through two profiles all the same would cost more than the rest of decoding."""
    return {"output_profile": "srgb"} if image.get_typeof(_PROFILE) else {}


def _opened(path: Path) -> pyvips.Image:
    """The header; pixels are decoded as they are asked for."""
    return pyvips.Image.new_from_source(_source(path), "", access="sequential")


def _source(path: Path) -> pyvips.Source:
    """By descriptor: a name would be searched for options."""
    return pyvips.Source.new_from_file(str(path))


def _field(image: pyvips.Image, name: str, missing: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else missing
