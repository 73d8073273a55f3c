"""Files as they come: pictures and films that are nobody's enemy, and those that only look like it."""

import random
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from integrations.scanning.memory import EICAR
from tests.scanning.pdfs import document


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments: bytes, size: int = 20_000, seed: int = 1) -> bytes:
    jfif = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    scan = noise(size, seed).replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + jfif + b"".join(segments) + segment(0xDA, b"\1\1\0\0?\0") + scan + b"\xff\xd9"


def png(*chunks: tuple[bytes, bytes], size: int = 20_000) -> bytes:
    every = (
        (b"IHDR", struct.pack(">IIBBBBB", 100, 100, 8, 2, 0, 0, 0)),
        *chunks,
        (b"IDAT", zlib.compress(noise(size))),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in every
    )
    return b"\x89PNG\r\n\x1a\n" + body + b"\0\0\0\0IEND\xaeB`\x82"


def gif(width: int = 300, comment: bytes = b"made with care */") -> bytes:
    header = b"GIF89a" + struct.pack("<HHBBB", width, 200, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    block = noise(255)
    comments = b"\x21\xfe" + bytes([len(comment)]) + comment + b"\0"
    return header + comments + b",\0\0\0\0\1\0\1\0\0\2" + (b"\xff" + block) * 40 + b"\0;"


def webp() -> bytes:
    body = noise(20_000)
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBPVP8 " + struct.pack("<I", len(body)) + body


def film(brand: bytes = b"isom", size: int = 100_000) -> bytes:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content) + 8) + kind + content

    head = box(b"ftyp", brand + b"\0\0\2\0isomiso2avc1mp41")
    return head + box(b"moov", box(b"mvhd", noise(100)) + box(b"udta", b"title")) + box(b"mdat", noise(size))


def zipped(content: bytes = b"hello" * 100, method: int = ZIP_DEFLATED, count: int = 1) -> bytes:
    with BytesIO() as file:
        with ZipFile(file, "w", method) as archive:
            for number in range(count):
                archive.writestr(f"{number}.txt", content)
        return file.getvalue()


XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'>a &lt;script&gt; in a title</x:xmpmeta>"

BENIGN: dict[str, bytes] = {
    "jpeg": jpeg(),
    "jpeg with metadata": jpeg(segment(0xE1, b"Exif\0\0MM\0*" + noise(2000)), segment(0xE1, XMP)),
    "jpeg with a first segment of 0x2F2A bytes": b"\xff\xd8"
    + segment(0xE1, b"Exif\0\0" + noise(0x2F2A - 8))
    + jpeg()[2:],
    "jpeg with another behind it": jpeg(segment(0xE2, b"MPF\0II*\0")) + jpeg(seed=2),
    "jpeg with a film behind it": jpeg(segment(0xE1, XMP)) + film(b"mp42"),
    "png": png(),
    "png with text": png((b"tEXt", b"Comment\0Drawn by <b>hand</b>, exported by a program")),
    "gif": gif(),
    "gif 317 pixels wide": gif(317),
    "gif 10,799 pixels wide": gif(0x2A2F, b"no script"),
    "webp": webp(),
    "heic": film(b"heic"),
    "avif": film(b"avif"),
    "mp4": film(),
    "mov": film(b"qt  "),
    "webm": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm" + noise(100_000),
    "empty": b"",
    "one byte": b"\xff",
    "letters": b"PK is a fine breed, MZ too",
}

HEADS = (
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\0\0\0\0WEBP",
    b"\0\0\0\x18ftypisom",
    b"\x1a\x45\xdf\xa3",
)


def high_entropy(count: int) -> Iterator[bytes]:
    """Noise behind the first bytes of each kind, also of a PDF, in sizes up to 2 MB."""
    for seed in range(count):
        draw = random.Random(seed)
        head = draw.choice((*HEADS, b"", document()[:-6]))
        yield head + draw.randbytes(draw.choice((100, 10_000, 300_000, 2_000_000)))


PE = (
    b"MZ"
    + noise(62)
    + b"\x0e\x1f\xba\x0e\0\xb4\t\xcd!\xb8\1L\xcd!This program cannot be run in DOS mode.\r\r\n$"
    + noise(500)
)
ELF = b"\x7fELF\2\1\1\0" + bytes(8) + noise(1000)
MACH = b"\xcf\xfa\xed\xfe\x0c\0\0\1" + noise(1000)
JAR = zipped(b"\xca\xfe\xba\xbe" + noise(100))

INFECTED: dict[str, tuple[str, bytes]] = {
    "eicar": ("eicar", EICAR),
    "eicar behind a jpeg": ("eicar", jpeg() + EICAR),
    "eicar in a comment of a jpeg": ("eicar", jpeg(segment(0xFE, EICAR))),
    "eicar in a zip that only stores": ("eicar", zipped(EICAR, ZIP_STORED)),
    "windows program": ("executable", PE),
    "linux program": ("executable", ELF),
    "mac program": ("executable", MACH),
    "mac program, 32 bit": ("executable", b"\xfe\xed\xfa\xce" + noise(100)),
    "fat mac program or java class": ("executable", b"\xca\xfe\xba\xbe" + noise(100)),
    "android program": ("executable", b"dex\n035\0" + noise(100)),
    "web assembly": ("executable", b"\0asm\1\0\0\0" + noise(100)),
    "windows shortcut": ("executable", b"L\0\0\0\1\x14\2\0" + noise(100)),
    "shell script": ("executable", b"#!/bin/sh\nrm -rf /\n"),
    "shell script behind a byte order mark": ("executable", b"\xef\xbb\xbf#!/usr/bin/env python\n"),
    "batch file": ("executable", b"@ECHO OFF\r\ndel *\r\n"),
    "windows program behind a jpeg": ("hidden_executable", jpeg() + PE),
    "linux program behind a png": ("hidden_executable", png() + ELF),
    "mac program behind a gif": ("hidden_executable", gif() + MACH),
    "windows program in a film": ("hidden_executable", film() + PE),
    "jpeg and page": ("markup_in_picture", jpeg(segment(0xFE, b"<html><body onload=alert(1)>"))),
    "png and script": ("markup_in_picture", png((b"tEXt", b"Comment\0<ScRiPt\n>alert(1)</script>"))),
    "gif and frame": ("markup_in_picture", gif(comment=b"<iframe src=x>")),
    "webp and svg": ("markup_in_picture", webp() + b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'>"),
    "jpeg and php": ("markup_in_picture", jpeg(segment(0xE1, b"Exif\0\0<?php system($_GET[0]);"))),
    "jpeg and hta": ("markup_in_picture", jpeg() + b"<HTA:APPLICATION id=x>"),
    "gif that is a script": ("script_polyglot", gif(0x2A2F, b"*/=1;alert(document.domain)//")),
    "gif that is a script without a comment": ("script_polyglot", b"GIF89a=1;alert(1)//"),
    "jpeg that is a script": ("script_polyglot", b"\xff\xd8\xff\xe0/*" + noise(12_000) + b"*/=alert(1);/*\xff\xd9"),
    "gif that is a java program": ("hidden_archive", gif() + JAR),
    "jpeg that is a zip": ("hidden_archive", jpeg() + zipped(count=20)),
    "png that is a zip with a comment": ("hidden_archive", png() + zipped() + b"\0" * 30_000),
    "pdf that is a zip": ("hidden_archive", document() + zipped()),
    "zip that is a pdf": ("hidden_archive", document()[:20] + zipped(method=ZIP_STORED) + document()[20:]),
    "film that is a zip": ("hidden_archive", film() + zipped()),
    "jpeg that is a rar": ("hidden_archive", jpeg() + b"Rar!\x1a\7\1\0" + noise(100)),
    "jpeg that is a 7z": ("hidden_archive", jpeg() + b"7z\xbc\xaf'\x1c\0\4" + noise(100)),
    "jpeg that is a pdf": ("pdf_in_picture", jpeg(segment(0xFE, document()))),
    "gif that is a pdf": ("pdf_in_picture", gif() + document()),
    "page that is a pdf": ("markup_before_pdf", b"<html><script>alert(1)</script>\n" + document()),
}

REFUSED: dict[str, tuple[str, bytes]] = {
    "zip": ("archive", zipped()),
    "eicar in a zip": ("archive", zipped(EICAR)),
    "empty zip": ("archive", b"PK\5\6" + bytes(18)),
    "zip bomb": ("archive", zipped(bytes(20_000_000), count=10)),
    "gzip": ("archive", b"\x1f\x8b\x08\0" + noise(100)),
    "7z": ("archive", b"7z\xbc\xaf'\x1c\0\4" + noise(100)),
    "rar": ("archive", b"Rar!\x1a\7\1\0" + noise(100)),
    "xz": ("archive", b"\xfd7zXZ\0" + noise(100)),
    "bzip2": ("archive", b"BZh91AY&SY" + noise(100)),
    "zstandard": ("archive", b"\x28\xb5\x2f\xfd" + noise(100)),
    "tar": ("archive", bytes(257) + b"ustar\x0000" + bytes(600)),
    "cabinet": ("archive", b"MSCF\0\0\0\0" + noise(100)),
    "disk image": ("archive", bytes(32_769) + b"CD001" + bytes(3000)),
    "old word document": ("office_document", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + noise(600)),
    "rich text": ("office_document", b"{\\rtf1\\ansi hello}"),
    "svg": ("markup", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
    "svg behind a declaration": ("markup", b'\xef\xbb\xbf\n  <?xml version="1.0"?><svg onload="x()"/>'),
    "page": ("markup", b"<!DOCTYPE html><title>hello</title>"),
    "page in utf-16": ("markup", "\ufeff<html>".encode("utf-16-le")),
}
