"""File names as people may see them. They come from strangers' machines, and go into lists and download headers.

They are never part of a key or a path: what is safe here is what is shown.
"""

import unicodedata
from typing import Final

LONGEST: Final = 120
"""Characters; file systems take 255 bytes, and one character has up to four."""
UNNAMED: Final = "file"
_SEPARATORS: Final = str.maketrans({"/": " ", "\\": " ", ":": " "})


def clean(given: str) -> str:
    """The last step of a path, without what hides or breaks: controls, line ends, marks that turn the direction of
    writing (`exe.gpj`), separators, dots and blanks around it. The ending is kept where it has to be cut."""
    composed = unicodedata.normalize("NFC", given)
    last = composed.replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = "".join(" " if unicodedata.category(each)[0] == "Z" else each for each in last if _is_shown(each))
    name = " ".join(shown.translate(_SEPARATORS).split()).strip(". ")
    return _cut(name) or UNNAMED


def _is_shown(character: str) -> bool:
    """Controls, formats (among them marks of direction), surrogates and what is not assigned are not. The joiner of
    emoji is a format, and stays."""
    return character == "\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _cut(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        return name[:LONGEST].rstrip(". ")
    return f"{stem[: LONGEST - len(ending) - 1].rstrip('. ')}.{ending}"
