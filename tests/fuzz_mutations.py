"""Mutations of whole checkpoints that know the formats.

Most repair the checksums around what they change, so that what lies behind them is reached. Flipped
bytes and what is done to files do not, and then no tensor may come out changed or be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import fuzz_tables as t
from encoding import crc32c, fixed32_field, mask, snappy_compress, varint
from fuzz_bases import Base
from writer import raw_payload, table

EXTREMES = (0, 1, 2, 7, 127, 128, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63)
EXTREMES = (*EXTREMES, 2**64 - 1)


class Mutation(NamedTuple):
    base: Base
    files: dict[str, bytes | None]  # None: there is no such file any more; a directory has a "/"
    what: str
    repaired: bool  # under checksums that fit: other values are no fault of the reader's

    def covered(self) -> bool:
        """Is what was changed under checksums? Graphs and texts are not."""
        names = {name for name in self.base.files if self.files.get(name) != self.base.files[name]}
        if self.what.endswith("swapped") and not self.base.shards():
            return False  # the files of V1 in another order are as good
        return not self.repaired and names <= {*self.base.tables(), *self.base.shards()}

    def changed(self) -> bool:
        return self.files != self.base.files


# Bytes.


def flipped(rng: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        if out:
            out[rng.randrange(len(out))] ^= rng.choice(
                (1 << rng.randrange(8), rng.randrange(1, 256))
            )
    return bytes(out)


def raw(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 30)))
    number = rng.choice(EXTREMES)
    return rng.choice(
        (
            flipped(rng, data),
            data[:at] + data[end:],
            data[:at] + data[at:end] * 2 + data[end:],
            data[:at] + varint(number, width=rng.choice((0, 0, 5, 10, 11))) + data[end:],
            data[:at] + (number & 0xFFFFFFFF).to_bytes(4, "little") + data[at + 4 :],
            data[:at] + number.to_bytes(8, "little") + data[at + 8 :],
            data[:at],
            data + data[at:],
        )
    )


# Messages.


def proto(rng: Random, data: bytes) -> bytes:
    """A message with a field dropped, doubled, swapped or changed, at any depth."""
    try:
        found = t.fields(data)
    except t.BrokenError:
        found = []
    if not found or rng.random() < 0.1:
        return raw(rng, data)
    at = rng.randrange(len(found))
    field, parts = found[at], [field.raw for field in found]
    how = rng.randrange(10)
    if how == 0:
        parts[at] = b""
    elif how == 1:
        parts[at] *= rng.choice((2, 3, 50))
    elif how == 2:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    elif how == 3:
        parts[at] = varint(rng.choice((field.number, rng.randrange(30))) << 3 | rng.randrange(8))
        parts[at] += field.payload
    elif how == 4 and field.kind == 2:
        size = max(0, len(field.payload) + rng.choice((-1, 1, -2, 100)))
        claimed = rng.choice((size, rng.choice(EXTREMES)))
        parts[at] = varint(field.number << 3 | 2) + varint(claimed) + field.payload
    elif how == 5 and field.kind == 2:
        parts[at] = nested(rng, field)
    elif field.kind == 2:
        inner = proto(rng, field.payload)
        parts[at] = varint(field.number << 3 | 2) + varint(len(inner)) + inner
    elif field.kind == 0:
        value = t.take_varint(field.payload, 0)[0] + rng.choice((-1, 1, 2, 1000))
        value = rng.choice((value, rng.choice(EXTREMES), rng.randrange(40)))
        parts[at] = varint(field.number << 3) + varint(value, width=rng.choice((0, 0, 0, 10)))
    else:
        parts[at] = parts[at][: -len(field.payload)] + flipped(rng, field.payload)
    return b"".join(parts)


def nested(rng: Random, field: t.Field) -> bytes:
    """A field inside of itself, many times."""
    out = field.payload
    for _ in range(rng.choice((2, 20, 150))):
        out = varint(field.number << 3 | 2) + varint(len(out)) + out
    return out


# Texts.


def words(rng: Random, data: bytes) -> bytes:
    parts = data.split(b" ")
    at = rng.randrange(len(parts))
    how = rng.randrange(6)
    if how == 0:
        return raw(rng, data)
    if how == 1:
        del parts[at]
    elif how == 2:
        parts.insert(at, rng.choice(parts))
    elif how == 3:
        odd = (
            b"{",
            b"}",
            b"<",
            b">",
            b"[",
            b'"',
            b"'",
            b":",
            b"#",
            b"\0",
            b"-",
            b"1e400",
            b"'\\xff'",
        )
        parts.insert(at, rng.choice((*odd, b"{ " * 200, b"a { " * 2000)))
    elif how == 4:
        parts[at] = str(rng.choice(EXTREMES)).encode()
    else:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    return b" ".join(parts)


# Tables. All checksums are made anew.


def rewritten(rng: Random, data: bytes, squeezed: bool) -> bytes:
    items = t.items(data)
    hooks: dict[str, Callable[..., object]] = {}
    how = rng.randrange(9)
    at = rng.randrange(len(items))
    key, value = items[at]
    chosen = rng.choice(("data 0", "data 1", "data 2", "metaindex", "index", "index"))
    if how in (0, 1):
        items[at] = key, proto(rng, value)
    elif how == 2:
        items[at] = raw(rng, key), value
        if rng.random() < 0.7:
            items.sort()
    elif how == 3:
        del items[at]
    elif how == 4:
        items.insert(rng.choice((at, rng.randrange(len(items)))), items[at])
    elif how == 5:
        other = rng.randrange(len(items))
        items[at], items[other] = (key, items[other][1]), (items[other][0], value)
        if rng.random() < 0.3:
            rng.shuffle(items)
    elif how == 6:
        number = rng.choice(EXTREMES) & 2**63 - 1

        def place(part: str, offset: int, size: int) -> tuple[int, int]:
            if part != chosen:
                return offset, size
            moved = (number, size), (offset, number), (0, size), (offset + 1, size), (offset, 0)
            return rng.choice(moved)

        hooks["place"] = place
    elif how == 7:
        hooks["finish"] = lambda foot: flipped(rng, foot[:40]) + foot[40:]
    elif how == 8:
        hooks["key"] = lambda part, name: raw(rng, name) if part in (chosen, "data 0") else name

    def contents(part: str, made: bytes) -> bytes:
        if how > 6 and part == chosen and rng.random() < 0.8:
            made = restarts(rng, made) if rng.random() < 0.4 else raw(rng, made)
        if not squeezed:
            return made
        made = snappy_compress(made)
        return raw(rng, made) if how == 6 and part == chosen else made

    def kind(part: str) -> int:
        if how == 8 and part == chosen and rng.random() < 0.1:
            return rng.choice((0, 1, 2, 255))
        return int(squeezed)

    interval = rng.choice((1, 3, 16))
    size = rng.choice((60, 300, 300, 4000))
    return table(
        items, block_size=size, restart_interval=interval, contents=contents, kind=kind, **hooks
    )


def restarts(rng: Random, made: bytes) -> bytes:
    count = min(int.from_bytes(made[-4:], "little"), len(made) // 4 - 1)
    at = len(made) - 4 * rng.randint(1, max(1, count + 1))
    number = rng.choice((*EXTREMES, rng.randrange(len(made)))) & 0xFFFFFFFF
    return made[:at] + number.to_bytes(4, "little") + made[at + 4 :]


# Tensors, with a checksum that fits.


def retold(rng: Random, base: Base) -> dict[str, bytes | None]:
    index = next(name for name in base.tables() if name.endswith(".index"))
    items = t.items(base.files[index])
    prefix = index.removesuffix(".index")
    shards = [name for name in base.shards() if name.startswith(prefix)]
    sized = [i for i, (key, value) in enumerate(items) if key and t.numbers(value).get(5)]
    at = rng.choice(sized)
    key, value = items[at]
    entry = t.numbers(value)
    shard, offset, size = shards[entry.get(3, 0)], entry.get(4, 0), entry[5]
    data = base.files[shard]
    tensor = raw(rng, data[offset : offset + size])[:size].ljust(size, b"\0")
    order = "big" if base.kind == "big-endian" else "little"
    if entry[1] == 7:
        tensor, crc = strings_sealed(tensor, value, order)
    else:
        crc = raw_payload(tensor).crc
    items[at] = key, value + fixed32_field(6, crc)  # the last one counts
    changed: dict[str, bytes | None] = dict(base.files)
    changed[shard] = data[:offset] + tensor + data[offset + size :]
    changed[index] = table(items, block_size=300)
    return changed


def strings_sealed(stored: bytes, entry: bytes, order: str) -> tuple[bytes, int]:
    """The lengths as they are now, under checksums that fit them."""
    shape = next((field.payload for field in t.fields(entry) if field.number == 2), b"")
    count = 1
    for dim in t.fields(shape):
        count *= t.numbers(dim.payload).get(1, 0)
    at = crc = 0
    try:
        for _ in range(count):
            length, at = t.take_varint(stored, at)
            width = 4 if length < 2**32 else 8
            crc = crc32c(length.to_bytes(width, "big" if order == "big" else "little"), crc)
    except t.BrokenError:
        return stored, raw_payload(stored).crc
    seal = mask(crc).to_bytes(4, "big" if order == "big" else "little")
    stored = (stored[:at] + seal + stored[at + 4 :])[: len(stored)]
    return stored, mask(crc32c(stored[at + 4 :], crc32c(seal, crc)))


# Files.


def of_files(rng: Random, base: Base) -> tuple[str, dict[str, bytes | None]]:
    changed: dict[str, bytes | None] = dict(base.files)
    names = sorted(base.files)
    name, other = rng.choice(names), rng.choice(names)
    data = base.files[name]
    how = rng.choice(("removed", "swapped", "cut", "longer", "empty", "copied", "directory"))
    if how == "removed":
        changed[name] = None
    elif how == "swapped":
        changed[name], changed[other] = changed[other], changed[name]
    elif how == "cut":
        changed[name] = data[: rng.randrange(len(data) + 1)]
    elif how == "longer":
        changed[name] = data + rng.choice((b"\1", data, b"\xff" * 48))  # a NUL might be padding
    elif how == "empty":
        changed[name] = b""
    elif how == "copied":
        changed[name] = base.files[other]
    else:
        changed[name] = None
        changed[name + "/"] = b""
    return f"{name} {how}", changed


def of_index(rng: Random, base: Base) -> Mutation:
    """The index alone, its checksums made anew."""
    name = rng.choice(base.tables())
    data = rewritten(rng, base.files[name], base.snappy)
    return Mutation(base, {**base.files, name: data}, f"table {name}", True)


def mutate(rng: Random, base: Base) -> Mutation:
    files: dict[str, bytes | None] = dict(base.files)
    how = rng.random()
    if how < 0.25:
        name = rng.choice(sorted(files))
        files[name] = flipped(rng, base.files[name])
        return Mutation(base, files, f"bytes of {name} flipped", False)
    if how < 0.35:
        what, files = of_files(rng, base)
        return Mutation(base, files, what, False)
    tables = base.tables()
    indexes = [name for name in tables if name.endswith(".index")]
    if indexes and how < 0.5 and not base.snappy:
        return Mutation(base, retold(rng, base), "a tensor with its checksum", True)
    others = [name for name in files if name not in tables and name not in base.shards()]
    if tables and (not others or how < 0.65):
        return of_index(rng, base)
    name = rng.choice(others)
    text = name == "checkpoint" or name.endswith(".pbtxt")
    change = words if text else raw if name.endswith(".cpb") else proto
    data = base.files[name]
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = change(rng, data) or b"\0"
    files[name] = data
    return Mutation(base, files, f"message in {name}", True)
