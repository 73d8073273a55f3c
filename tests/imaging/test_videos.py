"""Videos: what their container says, and that everything of it is where it says."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integrations.imaging import iso_media, video, webm
from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.protocol import Reason, Unreadable
from integrations.imaging.video import Broken
from tests.imaging.conftest import Publish
from tests.imaging.photos import FILES

Matrix = tuple[int, int, int, int]


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of an MP4."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *content: bytes) -> bytes:
    """A box that begins with version and flags."""
    return box(kind, bytes(4), *content)


def header(width: int, height: int, matrix: Matrix) -> bytes:
    """A `tkhd`: made in 2024, turned by this matrix."""
    a, b, c, d = (value << 16 for value in matrix)
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return full(b"tkhd", struct.pack(">5I", 0xE0000000, 0xE0000000, 1, 0, 5), bytes(16), turned,
                struct.pack(">2I", width << 16, height << 16))  # fmt: skip


def track(
    handler: bytes, *inside: bytes, size: tuple[int, int] = (0, 0), matrix: tuple[int, ...] = (1, 0, 0, 1)
) -> bytes:
    """A `trak` with what is in its tables of samples."""
    media = box(b"mdia", full(b"hdlr", bytes(4), handler, bytes(13)), box(b"minf", box(b"stbl", *inside)))
    return box(b"trak", header(*size, matrix), media)


def movie(*tracks: bytes, data: bytes = b"\0" * 64, first: bytes = box(b"ftyp", b"isom", bytes(4))) -> bytes:
    """A whole file. The data comes first, so that its place is known."""
    return first + box(b"mdat", data) + box(b"moov", full(b"mvhd", bytes(96)), *tracks)


def chunks(*at: int) -> tuple[bytes, bytes]:
    """Tables of chunks of one sample each."""
    offsets = struct.pack(f">{len(at) + 1}I", len(at), *at)
    return full(b"stsc", struct.pack(">4I", 1, 1, 1, 1)), full(b"stco", offsets)


SIZE = (640, 360)
PICTURES = track(b"vide", size=SIZE)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("clip.mp4", "video/mp4"), ("clip.mov", "video/quicktime"), ("clip.webm", "video/webm")],
)
def test_a_video_says_its_size_and_when_it_was_made(imaging: ConfinedImaging, name: str, content_type: str) -> None:
    found = imaging.inspect(FILES / name)
    assert (found.content_type, found.width, found.height) == (content_type, 64, 48)
    assert found.captured_at == datetime(2024, 5, 1, 10, 30, tzinfo=UTC)


def test_a_phone_held_upright_makes_an_upright_video(imaging: ConfinedImaging, tmp_path: Path) -> None:
    path = tmp_path / "upright.mp4"
    for matrix, size in (((1, 0, 0, 1), (640, 360)), ((0, 1, -1, 0), (360, 640)), ((-1, 0, 0, -1), (640, 360))):
        path.write_bytes(movie(track(b"vide", size=(640, 360), matrix=matrix)))
        found = imaging.inspect(path)
        assert (found.width, found.height) == size


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.webm"])
def test_a_video_that_ends_early_is_damaged_wherever_it_ends(name: str, tmp_path: Path) -> None:
    whole, path = (FILES / name).read_bytes(), tmp_path / "cut"
    read = webm.read if name.endswith("webm") else iso_media.read
    path.write_bytes(whole)
    assert read(path).width == 64
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(Broken):
            read(path)


@pytest.mark.parametrize(
    "content",
    [
        movie(),
        movie(track(b"soun")),
        box(b"ftyp", b"isom", bytes(4)) + box(b"moov", PICTURES),
        movie(PICTURES) + box(b"moov", PICTURES),
        movie(PICTURES)[:-1],
        movie(PICTURES) + b"\0\0\0\7free",
        movie(PICTURES) + struct.pack(">I4sQ", 1, b"free", 2**63),
        movie(track(b"vide")[:-40]),
    ],
)
def test_a_container_without_pictures_data_or_order_is_damaged(
    imaging: ConfinedImaging, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(Unreadable) as caught:
        imaging.inspect(path)
    assert caught.value.reason is Reason.DAMAGED


def test_boxes_without_end_are_given_up(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(movie(PICTURES) + box(b"free") * iso_media.MOST_BOXES)
    with pytest.raises(Broken):
        iso_media.read(path)


@pytest.mark.parametrize(
    "sizes",
    [
        full(b"stsz", struct.pack(">4I", 0, 2, 20, 20)),
        full(b"stz2", struct.pack(">2I2H", 16, 2, 20, 20)),
        full(b"stz2", struct.pack(">2I2B", 8, 2, 20, 20)),
        b"",
    ],
    ids=["sizes", "short sizes", "shorter sizes", "no sizes"],
)
def test_what_a_camera_s_sensors_measured_is_not_published(publish: Publish, tmp_path: Path, sizes: bytes) -> None:
    """Action cameras write their position into a track of its own: it goes, with its samples; pictures stay."""
    shown, position = b"PICTURE-" * 8, b"GPS+47.3686+008.5392" * 2
    first = box(b"ftyp", b"isom", bytes(4))
    at = len(first) + 8 + len(shown)
    measured = track(b"meta", sizes, *chunks(at, at + 20))
    pictures = track(b"vide", full(b"stsz", struct.pack(">2I", len(shown), 1)), *chunks(at - len(shown)), size=SIZE)
    path = tmp_path / "ride.mp4"
    path.write_bytes(movie(pictures, measured, data=shown + position, first=first))
    (made,) = publish(path).files
    published = made.path.read_bytes()
    assert shown in published
    assert b"GPS" not in published
    assert (published.count(b"trak"), published.count(b"vide")) == (1, 1)
    assert struct.pack(">I", 0xE0000000) not in published, "the dates of the tracks are gone too"


def test_what_lies_between_the_samples_is_not_published(publish: Publish, tmp_path: Path) -> None:
    """Cameras of cars write their position there, and no track tells of it."""
    first = box(b"ftyp", b"isom", bytes(4))
    at = len(first) + 8
    data = b"freeGPS " + b"PICTURE1" + b"freeGPS " + b"PICTURE2" + b"freeGPS "
    pictures = track(b"vide", full(b"stsz", struct.pack(">2I", 8, 2)), *chunks(at + 8, at + 24), size=SIZE)
    path = tmp_path / "car.mp4"
    path.write_bytes(movie(pictures, data=data, first=first))
    (made,) = publish(path).files
    assert bytes(8) + b"PICTURE1" + bytes(8) + b"PICTURE2" + bytes(8) in made.path.read_bytes()
    assert iso_media.read(made.path).width == SIZE[0]


def sound(version: int, *extension: int) -> bytes:
    """A `stsd` of QuickTime: two channels of 16 bits, with what later versions add."""
    inside = struct.pack(">HHIHHHHI", version, 0, 0, 2, 16, 0, 0, 44_100 << 16)
    added = struct.pack(f">{len(extension)}I", *extension)
    return full(b"stsd", struct.pack(">I", 1), box(b"sowt", bytes(6), b"\0\1", inside, added))


@pytest.mark.parametrize(
    "description",
    [sound(0), sound(1, 1, 2, 4, 2), sound(2, 72, 0, 0, 2, 0x7F000000, 16, 0, 4, 1)],
    ids=["first version", "second version", "third version"],
)
def test_uncompressed_sound_is_published_whole(publish: Publish, tmp_path: Path, description: bytes) -> None:
    """Its table says one byte a sample; the description says how many they are."""
    first, tone = box(b"ftyp", b"qt  ", bytes(4)), b"TONE" * 100
    stsc = full(b"stsc", struct.pack(">4I", 1, 1, 100, 1))
    stco = full(b"stco", struct.pack(">2I", 1, len(first) + 8))
    heard = track(b"soun", description, full(b"stsz", struct.pack(">2I", 1, 100)), stsc, stco)
    path = tmp_path / "concert.mov"
    path.write_bytes(movie(PICTURES, heard, data=tone + b"freeGPS ", first=first))
    (made,) = publish(path).files
    assert tone + bytes(8) in made.path.read_bytes()


def test_fragments_of_a_track_that_is_not_shown_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "it.mp4"
    fragment = box(b"moof", full(b"mfhd", bytes(4))) + box(b"mdat", b"GPS")
    path.write_bytes(movie(PICTURES) + fragment)
    assert iso_media.read(path).width == SIZE[0]
    path.write_bytes(movie(PICTURES, track(b"meta")) + fragment)
    with pytest.raises(Unreadable) as caught:
        iso_media.read(path)
    assert caught.value.reason is Reason.MIXED_TRACKS


def test_what_a_maker_adds_beside_the_movie_is_not_published(publish: Publish, tmp_path: Path) -> None:
    """In boxes of its own, long ones too; the copy is as sound as the original."""
    long = struct.pack(">I4sQ", 1, b"udta", 16 + 6) + b"CANARY"
    path = tmp_path / "phone.mp4"
    path.write_bytes(movie(PICTURES, long, box(b"xmak", b"CANARY")) + box(b"sefd", b"CANARY"))
    (made,) = publish(path).files
    assert b"CANARY" not in made.path.read_bytes()
    assert made.path.read_bytes().count(b"free") == 3
    assert iso_media.read(made.path).width == 640


def test_samples_outside_of_the_file_are_damage(tmp_path: Path) -> None:
    tables = (
        full(b"stsz", struct.pack(">2I", 2**31, 1000)),
        full(b"stsc", struct.pack(">4I", 1, 1, 1000, 1)),
        full(b"stco", struct.pack(">2I", 1, 0)),
    )
    path = tmp_path / "video.mp4"
    path.write_bytes(movie(PICTURES, track(b"soun", *tables)))
    with pytest.raises(Broken):
        iso_media.read(path)


def element(kind: str, *content: bytes, unknown: bool = False) -> bytes:
    """An element of a WebM."""
    body = b"".join(content)
    return bytes.fromhex(kind) + (b"\x01" + b"\xff" * 7 if unknown else (1 << 56 | len(body)).to_bytes(8, "big")) + body


def recording(*, clusters: int = 3, extra: bytes = b"") -> bytes:
    """As a browser records it: nobody knew how long it would be."""
    picture = element("e0", element("b0", b"\x02\x80"), element("ba", b"\x01\x68"))
    cluster = element("1f43b675", element("e7", b"\0"), element("a3", b"\x81\0\0\0data"), unknown=True)
    # An unknown element ends no cluster, so it stands before them.
    inside = extra + element("1654ae6b", element("ae", picture)) + cluster * clusters
    return element("1a45dfa3", b"\x42\x82\x84webm") + element("18538067", inside, unknown=True)


def test_a_recording_of_a_browser_is_read_to_its_end(imaging: ConfinedImaging, tmp_path: Path) -> None:
    path = tmp_path / "recording.webm"
    path.write_bytes(recording())
    found = imaging.inspect(path)
    assert (found.content_type, found.width, found.height) == ("video/webm", 640, 360)
    for kind in ("1254c367", "1941a469", "1f43b676"):  # tags, attachments, and what nobody knows
        path.write_bytes(recording(extra=element(kind, b"CANARY")))
        published = _published(path, tmp_path)
        assert b"CANARY" not in published
        assert b"data" in published
    path.write_bytes(recording()[:-3])
    with pytest.raises(Broken):
        webm.read(path)


def _published(path: Path, folder: Path) -> bytes:
    video.publish(path, folder / "out", webm.read(path).private)
    return (folder / "out").read_bytes()
