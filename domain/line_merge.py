"""Three-way merge of lines (diff3): both changes where they do not touch, nothing where they do."""

from collections.abc import Iterator
from difflib import SequenceMatcher


def merge_lines(base: str, ours: str, theirs: str) -> str | None:
    """The text with the changes of both; None where both changed the same lines, or lines beside each other."""
    old = base.split("\n")
    edits = {edit: side for side, new in enumerate((ours, theirs)) for edit in _edits(old, new.split("\n"))}
    merged: list[str] = []
    at, last_side = 0, None
    for (start, end, lines), side in sorted(edits.items()):
        if last_side not in (None, side) and start <= at:
            return None
        merged += [*old[at:start], *lines]
        at, last_side = end, side
    return "\n".join(merged + old[at:])


def _edits(old: list[str], new: list[str]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(from, to) in the old lines, and what stands there now. What both sides did alike is one edit."""
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield start, end, tuple(new[new_start:new_end])
