"""Why a file was not taken: a stable word for programs, a sentence for people. What the decoder or the scanner says is
one of these words, or `DAMAGED`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Of a file that was refused."""

    MISSING = "missing"
    SIZE_MISMATCH = "size_mismatch"
    HASH_MISMATCH = "hash_mismatch"
    UNKNOWN_TYPE = "unknown_type"
    TYPE_MISMATCH = "type_mismatch"
    THREAT = "threat"
    FORBIDDEN_CONTENT = "forbidden_content"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_SLOW = "too_slow"
    TOO_MUCH_MEMORY = "too_much_memory"
    ENCRYPTED = "encrypted"
    MIXED_TRACKS = "mixed_tracks"
    DAMAGED = "damaged"


SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.MISSING: "The file did not arrive. Please upload it again.",
    Reason.SIZE_MISMATCH: "The file that arrived has another size than the one you chose. Please upload it again.",
    Reason.HASH_MISMATCH: "The file changed on its way to us. Please upload it again.",
    Reason.UNKNOWN_TYPE: "This is not a kind of file that we take: photos, PDF documents and videos.",
    Reason.TYPE_MISMATCH: "The file is of another kind than its name says. Please choose the original file.",
    Reason.THREAT: "The file contains something harmful, so we did not keep it. Please check your device.",
    Reason.FORBIDDEN_CONTENT: "The file contains scripts, programs or archives, which we do not take.",
    Reason.TOO_MANY_PIXELS: "The picture has more than 50 million pixels. Please make it smaller.",
    Reason.TOO_MANY_FRAMES: "The animation has more than 100 pictures. Please make it shorter.",
    Reason.TOO_SLOW: "The file is too complicated to show. Please save it in a simpler form.",
    Reason.TOO_MUCH_MEMORY: "The file is too complicated to show. Please save it in a simpler form.",
    Reason.ENCRYPTED: "The file is protected by a password. Please save it without one.",
    Reason.MIXED_TRACKS: "The video has data of its camera between the pictures, such as places, which we cannot take "
    "out. Please export it as an ordinary MP4.",
    Reason.DAMAGED: "The file is damaged or incomplete, and cannot be shown.",
}
GERMAN: Final[Mapping[Reason, str]] = {
    Reason.MISSING: "Die Datei ist nicht angekommen. Bitte lade sie noch einmal hoch.",
    Reason.SIZE_MISMATCH: "Was ankam, ist größer oder kleiner als deine Datei. Bitte lade sie noch einmal hoch.",
    Reason.HASH_MISMATCH: "Die Datei hat sich auf dem Weg zu uns verändert. Bitte lade sie noch einmal hoch.",
    Reason.UNKNOWN_TYPE: "Solche Dateien nehmen wir nicht, nur Fotos, PDF-Dokumente und Videos.",
    Reason.TYPE_MISMATCH: "Die Datei ist von anderer Art, als ihr Name sagt. Bitte wähle die ursprüngliche.",
    Reason.THREAT: "Die Datei enthält etwas Schädliches, darum haben wir sie nicht behalten. Bitte prüfe dein Gerät.",
    Reason.FORBIDDEN_CONTENT: "Die Datei enthält Skripte, Programme oder Archive; so etwas nehmen wir nicht.",
    Reason.TOO_MANY_PIXELS: "Das Bild hat mehr als 50 Millionen Bildpunkte. Bitte verkleinere es.",
    Reason.TOO_MANY_FRAMES: "Die Animation hat mehr als 100 Bilder. Bitte kürze sie.",
    Reason.TOO_SLOW: "Die Datei ist zu aufwendig, um sie zu zeigen. Bitte speichere sie in einer einfacheren Form.",
    Reason.TOO_MUCH_MEMORY: "Die Datei ist zu aufwendig, um sie zu zeigen. Bitte speichere sie in einer einfacheren "
    "Form.",
    Reason.ENCRYPTED: "Die Datei ist mit einem Passwort geschützt. Bitte speichere sie ohne.",
    Reason.MIXED_TRACKS: "Das Video enthält zwischen den Bildern Daten der Kamera, etwa Orte, die wir nicht entfernen "
    "können. Bitte exportiere es als gewöhnliches MP4.",
    Reason.DAMAGED: "Die Datei ist beschädigt oder unvollständig und kann nicht gezeigt werden.",
}


def reason_of(code: str) -> Reason:
    """The word of a decoder's; one that we do not know says that the file is damaged."""
    return Reason(code) if code in frozenset(Reason) else Reason.DAMAGED
