"""How much one file may cost. A header is checked before anything is decoded; the rest holds for the child process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`pixels` are width × height × frames. `cpu_seconds` judge the file; `wall_seconds` only the machine, which may
    be busy, so they are many more."""

    pixels: int = 50_000_000
    frames: int = 100
    memory_bytes: int = 1536 * 2**20
    cpu_seconds: int = 60
    wall_seconds: float = 240.0
