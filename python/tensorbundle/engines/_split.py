"""Splitting work by the bytes that it reads, not by how many checkpoints it is."""

from __future__ import annotations

from ._discovery import EACH, Spot

PARTS_A_SLOT = 4
"""Parts for each that works at a time: when one is late, the others have something left."""

SMALLEST = 256 * EACH
"""A part of fewer bytes is not worth handing out."""

LONGEST = 8192
"""Checkpoints of one part at most: so much is done again when a worker dies."""


def split(spots: list[Spot], parts: int) -> list[list[Spot]]:
    """Parts of about equal bytes, in the order given: neighbours stay together.

    Workers list the directory of each checkpoint, so a directory in many parts is listed often.

    Args:
        spots: what there is to read.
        parts: how many there should be; fewer, if there is little to read, or more, if there are
            very many checkpoints.
    """
    share = max(sum(spot.size for spot in spots) / max(parts, 1), SMALLEST)
    made: list[list[Spot]] = []
    room = 0.0
    for spot in spots:
        if room <= 0 or len(made[-1]) == LONGEST:
            made.append([])
            room = share
        made[-1].append(spot)
        room -= spot.size
    return made
