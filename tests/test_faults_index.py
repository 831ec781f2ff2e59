"""Broken index files: the footer, blocks, their order, and keys.

Every case here is one that TensorFlow aborts on, passes in silence, or refuses: each must be a
CorruptionError naming the part, the file and the place, for a lookup and for a listing alike.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from encoding import (
    crc32c,
    header_proto,
    mask,
    snappy_compress,
    snappy_copy,
    snappy_literal,
    varint,
)
from faults import both_refuse, list_all, refused, sound, touch
from tensorbundle.errors import CorruptionError
from writer import MAGIC, Bundle, Item, block, block_entry, handle, restart_array, table


def items() -> list[Item]:
    return sorted(sound().items.items())


def rewrite(tmp_path: Path, index: bytes) -> str:
    prefix = sound().write(tmp_path / "b")
    Path(prefix + ".index").write_bytes(index)
    return prefix


def flip(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


def only(part: str, change: Callable[[bytes], bytes]) -> Callable[[str, bytes], bytes]:
    return lambda name, data: change(data) if name == part else data


# The footer.


@pytest.mark.format_row("10.3", "shorter than a footer")
@pytest.mark.parametrize("length", [1, 47])
def test_file_shorter_than_a_footer(tmp_path: Path, length: int) -> None:
    prefix = rewrite(tmp_path, sound().index()[:length])
    both_refuse(prefix, f"{length} bytes", "48", part="footer")


@pytest.mark.format_row("10.3", "shorter than a footer")
def test_empty_index(tmp_path: Path) -> None:
    both_refuse(rewrite(tmp_path, b""), "the file is empty", part="footer")


@pytest.mark.format_row("10.3", "wrong magic or a trailing byte")
def test_wrong_magic(tmp_path: Path) -> None:
    index = sound().index(finish=lambda data: flip(data, -1))
    at = len(index) - 48
    both_refuse(
        rewrite(tmp_path, index), "magic", "57 FB 80 8B 24 75 47 DB", part="footer", offset=at
    )


@pytest.mark.format_row("10.3", "wrong magic or a trailing byte")
def test_trailing_byte(tmp_path: Path) -> None:
    both_refuse(rewrite(tmp_path, sound().index() + b"\n"), "magic", "appended", part="footer")


@pytest.mark.format_row("10.4", "issues 39033, 6644, 61449")
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated_index(tmp_path: Path, kept: float) -> None:
    index = sound().index()
    both_refuse(rewrite(tmp_path, index[: int(len(index) * kept)]), part="footer")


@pytest.mark.format_row("10.3", "handles of the footer all FF")
def test_handles_of_ff(tmp_path: Path) -> None:
    index = sound().index(finish=lambda _: b"\xff" * 40 + MAGIC)
    both_refuse(rewrite(tmp_path, index), "block handle", part="footer")


@pytest.mark.format_row("10.3", "index handle out of the file")
@pytest.mark.format_row("10.3", "handle of 2^62 bytes")
@pytest.mark.format_row("10.3", "handle of 2^64-3 bytes")
@pytest.mark.format_row("10.4", "CVE-2018-7575")
@pytest.mark.parametrize(
    ("offset", "size"),
    [
        pytest.param(10**6, 10, id="past the end"),
        pytest.param(0, 2**31, id="2 GiB"),
        pytest.param(0, 2**62, id="bad_alloc in TensorFlow"),
        pytest.param(0, 2**64 - 3, id="CVE-2018-7575"),
        pytest.param(2**64 - 1, 2**64 - 1, id="overflow"),
    ],
)
def test_index_handle_out_of_the_file(tmp_path: Path, offset: int, size: int) -> None:
    index = sound().index(place=lambda part, *at: (offset, size) if part == "index" else at)
    both_refuse(rewrite(tmp_path, index), "index block", str(offset), str(size), part="footer")


@pytest.mark.format_row("10.3", "handle of 2^62 bytes")
@pytest.mark.format_row("10.3", "handle of 2^64-3 bytes")
@pytest.mark.parametrize("size", [2**31, 2**62, 2**64 - 3])
def test_data_handle_out_of_the_file(tmp_path: Path, size: int) -> None:
    index = sound().index(place=lambda part, *at: (0, size) if part == "data 0" else at)
    both_refuse(rewrite(tmp_path, index), "data block 0", str(size), part="index block")


@pytest.mark.format_row("10.3", "checksum of the metaindex block")
def test_footer_padding_and_metaindex_do_not_matter(tmp_path: Path) -> None:
    index = sound().index(
        seal=only("metaindex", lambda data: flip(data, 0)),
        finish=lambda data: data[:30] + b"\xab" * 10 + MAGIC,
    )
    prefix = rewrite(tmp_path, index)
    assert tb.open(prefix)["bias"].tolist() == [1, 2, 3]
    assert len(tb.open(prefix).infos()) == 3


# Blocks.


@pytest.mark.format_row("10.3", "checksum of the index block")
def test_index_block_checksum(tmp_path: Path) -> None:
    index = sound().index(seal=only("index", lambda data: flip(data, 0)))
    both_refuse(rewrite(tmp_path, index), "checksum", "got", "want", part="index block")


@pytest.mark.format_row("10.3", "checksum of the only data block")
def test_data_block_checksum(tmp_path: Path) -> None:
    index = sound().index(seal=only("data 0", lambda data: flip(data, 20)))
    both_refuse(rewrite(tmp_path, index), "checksum", "got", "want", part="data block", offset=0)


def many(tmp_path: Path, **hooks: Any) -> str:
    """Sixty tensors over several blocks, named t00 … t59."""
    bundle = Bundle()
    for i in range(60):
        bundle.add(f"t{i:02}", np.float32(i))
    return bundle.write(tmp_path / "b", block_size=200, **hooks)


@pytest.mark.format_row("10.3", "checksum of a middle data block")
@pytest.mark.parametrize("mmap", [True, False])
def test_middle_block_checksum_is_met_where_it_is_touched(tmp_path: Path, mmap: bool) -> None:
    offsets: dict[str, int] = {}

    def note(part: str, offset: int, size: int) -> tuple[int, int]:
        offsets[part] = offset
        return offset, size

    prefix = many(tmp_path, seal=only("data 2", lambda data: flip(data, 9)), place=note)
    bad = {"path": prefix + ".index", "part": "data block", "offset": offsets["data 2"]}
    ckpt = tb.open(prefix, mmap=mmap)
    outcome: dict[str, bool] = {}
    for name in [f"t{i:02}" for i in range(60)]:
        try:
            outcome[name] = float(ckpt[name]) == int(name[1:])
        except CorruptionError:
            outcome[name] = False
    unread = [name for name, fine in outcome.items() if not fine]
    assert 1 < len(unread) < 30
    assert unread == [f"t{i:02}" for i in range(int(unread[0][1:]), int(unread[-1][1:]) + 1)]
    victim = unread[1]
    for act in (
        lambda: ckpt[victim],
        lambda: ckpt.info(victim),
        lambda: victim in ckpt,
        lambda: ckpt.get(victim),
        lambda: list(ckpt),
        lambda: len(ckpt),
        ckpt.infos,
    ):
        with refused(CorruptionError, "checksum", **bad):
            act()


@pytest.mark.format_row("10.3", "checksum of the first of several data blocks")
@pytest.mark.parametrize("mmap", [True, False])
def test_first_of_several_blocks_checksum(tmp_path: Path, mmap: bool) -> None:
    prefix = many(tmp_path, seal=only("data 0", lambda data: flip(data, 9)))
    with refused(CorruptionError, "checksum", path=prefix + ".index", part="data block", offset=0):
        tb.open(prefix, mmap=mmap)


@pytest.mark.format_row("10.3", "unknown block type")
@pytest.mark.parametrize("part", ["data 0", "index"])
@pytest.mark.parametrize("kind", [2, 4, 255])
def test_block_type(tmp_path: Path, part: str, kind: int) -> None:
    index = sound().index(kind=lambda name: kind if name == part else 0)
    where = "index block" if part == "index" else "data block"
    both_refuse(rewrite(tmp_path, index), "block type", str(kind), part=where)


BLOCK = block(items())  # four entries that share no prefix, and one restart


@pytest.mark.format_row("10.3", "Snappy that lies")
@pytest.mark.format_row("10.4", "CVE-2018-7577")
@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(b"\x40\xff\xff\xff\xff", id="garbage"),
        pytest.param(b"", id="nothing"),
        pytest.param(varint(len(BLOCK) + 1) + snappy_literal(BLOCK), id="claims more"),
        pytest.param(varint(len(BLOCK) - 1) + snappy_literal(BLOCK), id="claims less"),
        pytest.param(varint(2**32 - 1) + snappy_literal(BLOCK), id="claims 4 GiB"),
        pytest.param(varint(2**40) + snappy_literal(BLOCK), id="claims 1 TiB"),
        pytest.param(b"\x12" + snappy_literal(BLOCK[:8]) + snappy_copy(0, 10), id="offset 0"),
        pytest.param(b"\x12" + snappy_literal(BLOCK[:8]) + snappy_copy(9, 10), id="before start"),
        pytest.param(varint(len(BLOCK)) + snappy_literal(BLOCK)[:-4], id="literal past the end"),
        pytest.param(snappy_compress(BLOCK)[:-1], id="cut short"),
    ],
)
def test_snappy(tmp_path: Path, stored: bytes) -> None:
    index = sound().index(
        contents=only("data 0", lambda _: stored), kind=lambda part: int(part == "data 0")
    )
    both_refuse(rewrite(tmp_path, index), "compressed block", part="data block", offset=0)


@pytest.mark.format_row("10.4", "CVE-2018-7577")
def test_snappy_sound(tmp_path: Path) -> None:
    # CVE-2018-7577 was about copies that overlap what they copy: here is one, of 29 bytes at
    # distance 1, in a sound block.
    bundle = Bundle()
    bundle.add("a" * 30, np.float32(3.5))
    index = bundle.index(
        contents=lambda part, data: data if part == "metaindex" else snappy_compress(data),
        kind=lambda part: int(part != "metaindex"),
    )
    assert snappy_copy(1, 29) in index
    prefix = bundle.write(tmp_path / "b")
    Path(prefix + ".index").write_bytes(index)
    assert tb.open(prefix)["a" * 30] == 3.5


BODY = BLOCK[:-8]
SECOND = len(block_entry(0, *items()[0]))
THIRD = SECOND + len(block_entry(0, *items()[1]))


@pytest.mark.format_row("10.3", "block without restarts or entries")
@pytest.mark.format_row("10.3", "too many restarts or a block under 4 bytes")
@pytest.mark.format_row("10.3", "a key shares more than there is")
@pytest.mark.format_row("10.3", "lengths of an entry overflow 32 bits")
@pytest.mark.format_row("10.3", "restart out of range")
@pytest.mark.format_row("10.4", "faults of 10.3 that kill TensorFlow")
@pytest.mark.parametrize(
    "contents",
    [
        pytest.param(BODY + restart_array([], 0), id="no restarts"),
        pytest.param(BODY + restart_array([0], 2**31), id="too many restarts"),
        pytest.param(BODY + restart_array([0], 2**32 - 1), id="restarts overflow"),
        pytest.param(b"\x00\x00\x00", id="less than 4 bytes"),
        pytest.param(b"", id="0 bytes"),
        pytest.param(BODY + restart_array([0, 10**6]), id="restart out of range"),
        pytest.param(BODY + restart_array([0, len(BODY)]), id="restart at the end"),
        pytest.param(BODY + restart_array([0, SECOND + 1]), id="restart between entries"),
        pytest.param(BODY + restart_array([SECOND]), id="first restart is not 0"),
        pytest.param(BODY + restart_array([0, THIRD, SECOND]), id="restarts out of order"),
        pytest.param(BODY + restart_array([0, SECOND, SECOND]), id="restart twice"),
        pytest.param(
            BODY + block_entry(1, b"x", b"y") + restart_array([0, len(BODY)]),
            id="restart that shares",
        ),
        pytest.param(BODY + block_entry(6, b"x", b"y") + restart_array([0]), id="shares too much"),
        pytest.param(
            block_entry(1, b"", header_proto()) + restart_array([0]), id="first entry shares"
        ),
        pytest.param(
            BODY
            + block_entry(0, b"x", b"y", non_shared=2**32 - 1, value_len=2)
            + restart_array([0]),
            id="lengths overflow 32 bits",
        ),
        pytest.param(
            BODY + block_entry(0, b"x", b"y", value_len=2**31) + restart_array([0]),
            id="value past the end",
        ),
        pytest.param(BODY + b"\x00" + restart_array([0]), id="a byte too many"),
        pytest.param(BODY + b"\xff" * 6 + restart_array([0]), id="varint over 5 bytes"),
    ],
)
def test_bad_data_block(tmp_path: Path, contents: bytes) -> None:
    index = sound().index(contents=only("data 0", lambda _: contents))
    both_refuse(rewrite(tmp_path, index), part="data block", offset=0)


def test_sound_restarts(tmp_path: Path) -> None:
    index = sound().index(
        contents=only("data 0", lambda _: BODY + restart_array([0, SECOND, THIRD]))
    )
    assert len(tb.open(rewrite(tmp_path, index))) == 3


@pytest.mark.format_row("10.3", "block without restarts or entries")
def test_data_block_without_entries(tmp_path: Path) -> None:
    index = sound().index(contents=only("data 0", lambda _: block([])))
    both_refuse(rewrite(tmp_path, index), part="bundle header")


def test_table_without_blocks(tmp_path: Path) -> None:
    both_refuse(rewrite(tmp_path, table([])), part="bundle header")


@pytest.mark.format_row("10.3", "no header")
def test_missing_header(tmp_path: Path) -> None:
    both_refuse(rewrite(tmp_path, table(items()[1:])), "empty key", part="bundle header")


# Keys.


@pytest.mark.format_row("10.3", "keys out of order")
def test_keys_out_of_order(tmp_path: Path) -> None:
    header, bias, kernel, words = items()
    index = table([header, kernel, bias, words])
    both_refuse(rewrite(tmp_path, index), "order", part="data block")


@pytest.mark.format_row("10.3", "duplicate key")
def test_duplicate_key(tmp_path: Path) -> None:
    header, bias, kernel, words = items()
    both_refuse(rewrite(tmp_path, table([header, bias, kernel, kernel, words])), part="data block")


@pytest.mark.format_row("10.3", "duplicate key")
def test_duplicate_key_across_blocks(tmp_path: Path) -> None:
    header, bias, kernel, words = items()
    index = table([header, bias, kernel, kernel, words], block_size=1)
    prefix = rewrite(tmp_path, index)
    with refused(CorruptionError, path=prefix + ".index"):
        list_all(prefix)


def renamed(part: str, key: bytes) -> bytes:
    """The sound index, one entry per block, one key of its index block changed."""
    return table(items(), block_size=1, key=lambda name, made: key if name == part else made)


def test_separator_below_its_block(tmp_path: Path) -> None:
    # Blocks hold "", bias, kernel, words. A lookup of "bias" goes by the separator.
    prefix = rewrite(tmp_path, renamed("data 1", b"b"))
    with refused(CorruptionError, path=prefix + ".index", part="data block"):
        list_all(prefix)
    with refused(CorruptionError, path=prefix + ".index", part="data block"):
        tb.open(prefix)["bias"]
    assert tb.open(prefix)["words"].tolist() == [b"one", b"", b"three"]


def test_separator_above_the_next_block(tmp_path: Path) -> None:
    prefix = rewrite(tmp_path, renamed("data 1", b"kernel_2"))
    with refused(CorruptionError, path=prefix + ".index", part="data block"):
        list_all(prefix)
    # The index block sends "kernel" to the block of "bias", which is sound in itself.
    with refused(CorruptionError, path=prefix + ".index"):
        touch(prefix, "kernel")


def test_separators_out_of_order(tmp_path: Path) -> None:
    both_refuse(rewrite(tmp_path, renamed("data 1", b"z")), "order", part="index block")


def test_blocks_used_twice(tmp_path: Path) -> None:
    places: dict[str, tuple[int, int]] = {}

    def twice(part: str, *at: int) -> tuple[int, ...]:
        return places.setdefault("data 1" if part == "data 2" else part, at)

    both_refuse(rewrite(tmp_path, table(items(), block_size=1, place=twice)), part="index block")


def test_bad_handle_in_the_index_block(tmp_path: Path) -> None:
    index = sound().index(contents=only("index", lambda _: block([(b"x", b"\xff" * 11)])))
    both_refuse(rewrite(tmp_path, index), "block handle", part="index block")


def test_bytes_after_a_handle_and_between_blocks_do_not_matter(tmp_path: Path) -> None:
    first = len(block(items()))
    index = sound().index(
        contents=only("index", lambda _: block([(b"x", handle(0, first) + b"more")])),
        seal=only("data 0", lambda data: data + b"unreferenced"),
    )
    assert len(tb.open(rewrite(tmp_path, index))) == 3


# Every single byte.


def test_every_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    index = sound().index()
    prefix = rewrite(tmp_path, index)
    path = Path(prefix + ".index")
    want = [tuple(info.name for info in tb.open(prefix).infos())]
    silent = []
    for at in range(len(index)):
        path.write_bytes(flip(index, at))
        try:
            names = tuple(info.name for info in tb.open(prefix).infos())
        except CorruptionError:
            continue
        assert [names] == want
        silent.append(at)
    # Only what no reader looks at: the metaindex block, its handle, and the padding.
    metaindex = index.index(bytes.fromhex("0000000001000000 00 C0F2A1B0"))
    unread = {*range(metaindex, metaindex + 13), *range(len(index) - 48, len(index) - 8)}
    assert set(silent) <= unread


@pytest.mark.format_row("10.4", "issues 39033, 6644, 61449")
def test_every_truncation_is_found(tmp_path: Path) -> None:
    index = sound().index()
    prefix = rewrite(tmp_path, index)
    for length in range(len(index)):
        Path(prefix + ".index").write_bytes(index[:length])
        with pytest.raises(CorruptionError, match="footer"):
            tb.open(prefix)


def test_the_checksum_is_the_masked_one(tmp_path: Path) -> None:
    contents = block(items())
    plain = crc32c(contents + b"\0").to_bytes(4, "little")
    index = sound().index(seal=only("data 0", lambda data: data[:-4] + plain))
    assert mask(crc32c(contents + b"\0")).to_bytes(4, "little") != plain
    both_refuse(rewrite(tmp_path, index), "checksum", part="data block")
