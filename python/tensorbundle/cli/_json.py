"""JSON for programs: one document, with a line per member and per element of its long lists.

Text that is not UTF-8 keeps its bytes as lone surrogates (``"\\udcff"`` is the byte FF), which
Python's ``json`` reads back; everything else in the output is ASCII.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tensorbundle import SliceInfo, TensorInfo

    Object = Mapping[str, object]
    Member = Iterator[Object] | Object | Sequence[object] | str | float | None

BATCH = 1000

encode = json.JSONEncoder(allow_nan=False).encode


def write(document: Mapping[str, Member]) -> None:
    """A member that is an iterator becomes a list, encoded and written element by element."""
    lead = "{\n  "
    for key, value in document.items():
        sys.stdout.write(f"{lead}{encode(key)}: ")
        if isinstance(value, Iterator):
            _write_elements(value)
        else:
            sys.stdout.write(encode(value))
        lead = ",\n  "
    sys.stdout.write("\n}\n")


def _write_elements(elements: Iterator[Object]) -> None:
    """Encoded in batches, which is faster than one by one, and then broken into lines.

    The break goes where an object ends and the next begins with the same key as the first: as
    quotes within strings are escaped, that is never inside of one.
    """
    lead = "["
    while batch := list(islice(elements, BATCH)):
        start = f'{{"{next(iter(batch[0]))}": '
        lines = encode(batch)[1:-1].replace(f"}}, {start}", f"}},\n    {start}")
        sys.stdout.write(f"{lead}\n    {lines}")
        lead = ","
    sys.stdout.write("[]" if lead == "[" else "\n  ]")


def tensor(info: TensorInfo) -> dict[str, object]:
    """Everything a TensorInfo holds, its dtype as TensorFlow's name."""
    return {
        "name": info.name,
        "dtype": info.type_name,
        "shape": info.shape,
        "size": info.size,
        "nbytes": info.nbytes,
        "shard": info.shard,
        "offset": info.offset,
        "crc32c": info.crc32c,
        "aligned": info.aligned,
        "zero_copy": info.zero_copy,
        "slices": [_slice(piece) for piece in info.slices],
    }


def total(infos: Sequence[TensorInfo]) -> dict[str, int]:
    return {
        "tensors": len(infos),
        "elements": sum(info.size for info in infos),
        "bytes": sum(info.nbytes for info in infos),
    }


def _slice(piece: SliceInfo) -> dict[str, object]:
    return {
        "start": piece.start,
        "shape": piece.shape,
        "shard": piece.shard,
        "offset": piece.offset,
        "nbytes": piece.nbytes,
        "crc32c": piece.crc32c,
    }
