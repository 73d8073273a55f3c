"""All variants of one photo with Pillow, at the settings of `integrations/imaging/pictures.py`: the peer of bench 12.

As the peer in `bench/peers/sharp`: lines of a photo and a folder in, milliseconds and CPU milliseconds out. What can be
done for it is done: shrinking while decoding, each size made of the one before, encoders on all cores.
"""

import io
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

EDGES = (2048, 1080, 480, 160)
OPTIONS: dict[str, dict[str, object]] = {
    "avif": {"quality": 60, "speed": 8, "max_threads": 1},
    "webp": {"quality": 80, "method": 4},
    "jpg": {"quality": 80, "progressive": True, "optimize": True},
}


def render(photo: Path, folder: Path, threads: ThreadPoolExecutor) -> None:
    """Write them."""
    with Image.open(photo) as picture:
        picture.draft("RGB", (EDGES[0], EDGES[0]))
        profile = picture.info.get("icc_profile")
        image = ImageOps.exif_transpose(picture)
    saving = []
    for edge in EDGES:
        image = image.copy()
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
        if edge == EDGES[0] and profile:
            ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), inPlace=True)
        for kind, options in OPTIONS.items():
            clean = Image.frombytes(image.mode, image.size, image.tobytes())
            saving.append(threads.submit(clean.save, folder / f"{edge}.{kind}", **options))
    for each in saving:
        each.result()


def main() -> None:
    """Until standard input ends."""
    with ThreadPoolExecutor(int(sys.argv[1])) as threads:
        for line in sys.stdin:
            photo, folder = line.rstrip("\n").split("\t")
            began, used = time.perf_counter(), time.process_time()
            render(Path(photo), Path(folder), threads)
            print((time.perf_counter() - began) * 1e3, (time.process_time() - used) * 1e3, flush=True)


if __name__ == "__main__":
    main()
