"""What a browser does with a download, and the name it saves it under: `Content-Disposition` (RFC 6266, RFC 8187).

Neither S3 nor a presigned URL can add `X-Content-Type-Options: nosniff`; CloudFront adds it. So what is shown in the
page is only of types that browsers do not guess about and never run, everything else is an attachment, and a name ends
as its type does: a PDF called `report.exe` is saved as `report.exe.pdf`.
"""

from typing import Final
from urllib.parse import quote

from domain.media.names import clean

_ENDINGS: Final = {
    "image/avif": ("avif",),
    "image/gif": ("gif",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "image/webp": ("webp",),
    "application/pdf": ("pdf",),
    "video/mp4": ("mp4", "m4v"),
    "video/quicktime": ("mov", "qt"),
    "video/webm": ("webm",),
}
_SHOWN: Final = ("image/", "video/")
# attr-char of RFC 8187 §3.2.1, without the letters and digits that `quote` leaves anyway.
_ATTR_CHARS: Final = "!#$&+-.^_`|~"
# In a quoted string these have a meaning, and a browser that decodes `%` there is not unheard of.
_PLAIN: Final = str.maketrans(dict.fromkeys('"\\%/', "_"))


def content_disposition(content_type: str, file_name: str) -> str:
    """The header's value, pure ASCII on one line, for any name whatever."""
    how = "inline" if content_type in _ENDINGS and content_type.startswith(_SHOWN) else "attachment"
    name = _named(clean(file_name), content_type)
    plain = "".join(each if " " <= each <= "~" else "_" for each in name).translate(_PLAIN)
    if plain == name:
        return f'{how}; filename="{plain}"'
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def _named(name: str, content_type: str) -> str:
    endings = _ENDINGS.get(content_type, ("bin",))
    return name if name.rpartition(".")[2].lower() in endings and "." in name else f"{name}.{endings[0]}"
