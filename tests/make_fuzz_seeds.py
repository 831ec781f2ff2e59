"""Makes the seeds of rust/fuzz/corpus: small inputs of every kind that a target knows.

Run `python tests/make_fuzz_seeds.py` to make them again. What the fuzzer found is kept beside them,
in a folder `found` of each target, and is left alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import graph_maker as gm
import objects_maker as om
import variables_maker as vm
from encoding import (
    bytes_field,
    entry_proto,
    fixed32_field,
    header_proto,
    mask,
    ordered_num,
    ordered_signed,
    ordered_string,
    shape_proto,
    slice_key,
    snappy_compress,
    varint,
    varint_field,
)
from riegeli_maker import Chunk, chunked, chunked_field, cpb, riegeli, step_field, step_index
from writer import Bundle, block, string_payload, table, variant_payload
from writer_v1 import V1File, contents, record, saved_tensor, values_proto

CORPUS = Path(__file__).parent.parent / "rust" / "fuzz" / "corpus"
MAX_SEED = 4096

Seeds = dict[str, bytes]


def varied() -> Bundle:
    """A little of everything a bundle can hold."""
    bundle = Bundle(shards=2)
    bundle.add("f", np.arange(6, dtype="<f4").reshape(2, 3))
    bundle.add("s", [b"one", b"", b"three"])
    bundle.add("v", [b"\x0a\x03one", b""], dtype=21, shard=1)
    w = np.arange(12, dtype="<i2").reshape(4, 3)
    bundle.add_sliced("w", w, [[(0, 3), None], [(3, 1), (0, 3)]], shards=[0, 1])
    return bundle


def many() -> Bundle:
    bundle = Bundle()
    for i in range(40):
        bundle.add(f"layer_{i:02}/kernel", np.full(2, i, "<i4"))
    return bundle


def v1_file() -> V1File:
    file = V1File()
    file.add("a", np.arange(3, dtype="<f4"))
    file.add("b", np.arange(3, dtype="<i8"), packed=False)
    file.add("words", [b"one", b"", b"three"])
    file.add_sliced("w", np.arange(12, dtype="<f8").reshape(4, 3), [[(0, 2), None], [(2, 2), None]])
    return file


def squeezed(_part: str, data: bytes) -> bytes:
    return snappy_compress(data)


def tables() -> Seeds:
    return {
        "empty": table([]),
        "header": table([(b"", header_proto())]),
        "varied": varied().index(),
        "blocks": many().index(block_size=300),
        "snappy": many().index(block_size=600, contents=squeezed, kind=lambda _part: 1),
        "restarts": many().index(restart_interval=1),
        "v1": table(v1_file().items()),
        "v1-blocks": table(v1_file().items(), block_size=50),
        "cut": varied().index()[:-48],
        "footer": varied().index(finish=lambda data: data[:8] + b"\xff" * 20 + data[28:]),
    }


def blocks() -> Seeds:
    items = sorted(many().items.items())
    return {
        "empty": block([]),
        "one": block([(b"", b"")]),
        "varied": block(sorted(varied().items.items())),
        "many": block(items),
        "restarts": block(items, restart_interval=1),
        "no-restarts": block(items, restart_interval=1000),
        "bytes": block([(bytes([i]), bytes([i]) * (i % 7)) for i in range(256)]),
        "v1": block(v1_file().items()),
        "v1-odd": block([(b"", contents([])), (slice_key(b"w", []), record(b"w", [], b""))]),
    }


def headers() -> Seeds:
    return {
        "one": header_proto(),
        "big": header_proto(3, endianness=1),
        "none": b"",
        "zero": header_proto(0),
        "negative": header_proto(-1),
        "huge": header_proto(2**31 - 1),
        "newer": header_proto(1, producer=2, min_consumer=2),
        "bad": header_proto(1, bad_consumers=[0, 1, 2**31]),
        "unknown": header_proto() + varint_field(1000, 2**64 - 1) + fixed32_field(9, 7),
        "v1": contents([saved_tensor(b"a", [2], 1, [[None]])]),
    }


def entries() -> Seeds:
    rows = [[(i, 1), None] for i in range(12)]
    return {
        "plain": entry_proto(dtype=1, shape=[2, 3], size=24, crc=mask(7)),
        "scalar": entry_proto(dtype=9, shape=[], size=8, offset=1 << 40, shard_id=1),
        "empty": entry_proto(dtype=3, shape=[0, 2**40, 2**40]),
        "no-shape": entry_proto(dtype=3, shape=None),
        "string": entry_proto(dtype=7, shape=[3], size=20),
        "variant": entry_proto(dtype=21, shape=[], size=20),
        "unknown-rank": entry_proto(dtype=1, shape=shape_proto([], unknown_rank=True)),
        "negative": entry_proto(dtype=1, shape=[-1], size=-4, offset=-1, shard_id=-1),
        "overflow": entry_proto(dtype=1, shape=[2**32, 2**32], size=2**63 - 1),
        "deep": entry_proto(dtype=1, shape=[1] * 254, size=4),
        "too-deep": entry_proto(dtype=1, shape=[1] * 255, size=4),
        "reference": entry_proto(dtype=101, shape=[1], size=4),
        "rows": entry_proto(dtype=1, shape=[12, 3], slices=rows),
        "grid": entry_proto(
            dtype=1,
            shape=[4, 6],
            slices=[[(y, 2), (x, 3)] for y in (0, 2) for x in (0, 3)],
        ),
        "gap": entry_proto(dtype=1, shape=[4], slices=[[(0, 1)], [(2, 2)]]),
        "overlap": entry_proto(dtype=1, shape=[4], slices=[[(0, 3)], [(2, 2)]]),
        "outside": entry_proto(dtype=1, shape=[4], slices=[[(2**62, 2**62)]]),
        "no-length": entry_proto(dtype=1, shape=[4], slices=[[(1, None)]]),
        "whole": entry_proto(dtype=1, shape=[4, 4], slices=[[None, (0, -1)]]),
        "wide": entry_proto(dtype=2, shape=[3] * 8, slices=[[None] * 8]),
    }


def slice_keys() -> Seeds:
    numbers = (0, 1, 63, 64, -1, -64, -65, 8192, 2**31, 2**55, 2**62, 2**63 - 1, -(2**63))
    pieces = b"".join(number.to_bytes(8, "little", signed=True) for number in numbers)
    return {
        "rows": slice_key(b"w", [(0, 2), None]),
        "scalar": slice_key(b"scalar", []),
        "escapes": slice_key(b"a\0b\xff", [(3, 2)]),
        "far": slice_key(b"big", [(64, 1), (100, 64), (100000, 3), (2**40, 2**62)]),
        "deep": slice_key(b"w", [None] * 254),
        "signed": b"".join(map(ordered_signed, numbers)),
        "min": ordered_signed(-(2**63)),
        "max": ordered_signed(2**63 - 1),
        "number": ordered_num(2**64 - 1),
        "string": ordered_string(b"\0\xff\0\0\xff\xff"),
        "slices": b"w\0" + pieces,
        "unnamed": b"\0" + pieces[:32],
    }


def string_tensors() -> Seeds:
    def stored(count: int, payload: tuple[bytes, int]) -> bytes:
        return count.to_bytes(8, "little") + payload[1].to_bytes(4, "little") + payload[0]

    words = [b"one", b"", b"three" * 30]
    return {
        "none": stored(0, string_payload([])),
        "one": stored(1, string_payload([b""])),
        "words": stored(3, string_payload(words)),
        "big-endian": stored(3, string_payload(words, big_endian=True)),
        "variants": stored(3, variant_payload(words)),
        "no-variants": stored(0, variant_payload([])),
        "fewer": stored(2, string_payload(words)),
        "more": stored(2**63, string_payload(words)),
        "long": stored(2, (varint(2**50) + varint(2**64 - 1), 0)),
    }


def records() -> Seeds:
    found = {
        "contents": contents([saved_tensor(b"a", [4, 3], 1, [[(0, 2), None], [(2, 2), None]])]),
        "no-version": contents([saved_tensor(b"a", [], 7, [[]])], b""),
        "nothing": contents([]),
        "odd": contents([saved_tensor(b"", [2**62, 2**62], 200, [[(2**62, -5)]])]),
    }
    for dtype, kind in ((1, "<f4"), (2, "<f8"), (3, "<i4"), (9, "<i8"), (10, "?"), (19, "<f2")):
        values = np.arange(3).astype(kind)
        for packed in (True, False):
            name = f"{np.dtype(kind).name}-{'packed' if packed else 'single'}"
            found[name] = record(b"w", [(0, 3)], values_proto(values, dtype, packed=packed))
    complexes = values_proto(np.array([1 + 2j], "<c8"), 8)
    found["complex"] = record(b"c", [None], complexes)
    found["strings"] = record(b"s", [None], bytes_field(8, b"one") + bytes_field(8, b""))
    return found


def protos() -> Seeds:
    """TensorProtos."""
    one = gm.tensor
    numbers = bytes_field(7, b"".join(map(varint, (1, 2, 300, 2**64 - 1))))
    return {
        "content": one(1, [2, 2], bytes(range(16))),
        "floats": one(1, [4], more=gm.floats(1, 2, 3, 4)),
        "splat": one(1, [2**40], more=gm.floats(1.5)),
        "zeros": one(3, [100]),
        "fill": one(3, [8], more=numbers),
        "narrow": one(6, [4], more=numbers),
        "single": one(3, [2], more=varint_field(7, 1) + varint_field(7, 2)),
        "bool": one(10, [3], b"\0\1\0"),
        "half": one(19, [2], more=bytes_field(13, varint(15360) + varint(0))),
        "complex": one(8, [1], more=bytes_field(9, bytes(12))),
        "double": one(2, [2], more=varint(6 << 3 | 1) + bytes(8)),
        "strings": one(7, [2], more=bytes_field(8, b"a") + bytes_field(8, b"bc")),
        "string-content": one(7, [2], b"\1\2abc"),
        "resource": one(20, [1], more=bytes_field(14, bytes_field(1, b"/cpu:0"))),
        "variant": one(21, [1], more=bytes_field(15, bytes_field(1, b"int"))),
        "float8": one(24, [3], more=bytes_field(18, b"\1\2")),
        "int4": one(29, [2], b"\xff\x07"),
        "empty": one(1, [0, 2**40]),
        "overflow": one(1, [2**32, 2**32]),
        "negative": one(1, [-1]),
        "reference": one(101, [1], bytes(4)),
        "twice": one(1, [2], bytes(8)) + one(3, [2], bytes(4)),
    }


def texts() -> Seeds:
    return {
        "state": b'model_checkpoint_path: "ckpt-4"\nall_model_checkpoint_paths: "ckpt-3"\n'
        b'all_model_checkpoint_paths: "ckpt-4"\nall_model_checkpoint_timestamps: 1795337477.26\n'
        b"last_preserved_timestamp: 1795337476.25\n",
        "quotes": b"model_checkpoint_path: 'a' \"-\" 'b\\n\\x41\\101\\u00e9\\U0001F600'  # why\r\n",
        "escape": b'a: "\\u00e9\\q',
        "bom": b'\xef\xbb\xbfmodel_checkpoint_path: "a" new_field { b: 1 c < d: -inf > }',
        "empty-path": b'model_checkpoint_path: ""',
        "outside": b"last_preserved_timestamp: -inf model_checkpoint_path: '../x'",
        "list": b"all_model_checkpoint_timestamps: [1, 2] model_checkpoint_path: 'x'",
        "numbers": b"a: -1 b: 0x7f c: 017 d: 1e-5f e: nan f: .5 g: 18446744073709551615 h: TRUE",
        "lists": b"a: [1, 2, 3]; b { c: [] }, d: [ { e: 1 }, < f: 2 > ]",
        "any": b'[type.googleapis.com/a.B] { c: "d" } [ext.field]: 1',
        "open": b"a { b { c {",
        "cut": b'a: "',
        "deep": b"a{" * 120 + b"}" * 120,
        "not-text": b'model_checkpoint_path: "\xff"',
    }


GRAPH_TEXT = b"""meta_info_def { tags: "serve" stripped_op_list { op { name: "NoOp" } } }
graph_def {
  node { name: "a" op: "Const"
    attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } }
      tensor_content: "\\000\\000\\200?\\000\\000\\000@" } } }
    attr { key: "dtype" value { type: DT_FLOAT } } }
  node { name: "b" op: "Identity" input: "a:0" input: "^a" }
  versions { producer: 2474 }
}
saver_def { filename_tensor_name: "a:0" restore_op_name: "b" version: V2 }
"""


def meta_graphs() -> Seeds:
    nodes = [
        gm.const("a", gm.tensor(1, [2], bytes(8))),
        gm.node("b", "Identity", ["a", "^a"], "/cpu:0", T=gm.of_type(1), x_class=gm.of_list()),
        gm.node("c", "AddV2", ["a:0", "b"], T=gm.of_type(1)),
        gm.node("n", "If", ["c"], then_branch=gm.of_func("f"), shapes=gm.of_shape([2, -1])),
        gm.node("f", "f", ["a"]),
    ]
    body = gm.function(
        gm.op_def("f", [gm.arg_def("x", dtype=1)], [gm.arg_def("y", type_attr="T")]),
        [gm.node("i", "Identity", ["x"], T=gm.of_type(1))],
        {"y": "i:output:0"},
    )
    graph = gm.graph_def(nodes, [body])
    loop = gm.graph_def([gm.node("a", "NoOp", ["^b"]), gm.node("b", "NoOp", ["^a", "^gone"])])
    variables = {"v": "v", "w": "other/w"}
    saved = gm.graph_def(
        [vm.strings("file", "p"), vm.variable("v"), vm.resource("w"), *vm.saver(variables)]
    )
    collected = vm.collected(vm.variable_def("v"), vm.variable_def("w", ("w", [4], [0], [2])))
    lists = {
        "names": gm.node_list("a", "b"),
        "ints": gm.int64_list(1, 2**63),
        "floats": gm.float_list(1.5),
        **collected,
    }
    made = {
        "empty": gm.meta_graph(gm.graph_def()),
        "graph": gm.meta_graph(graph, tags=["serve"], ops=[gm.op_def("NoOp")], collections=lists),
        "graph-def": graph,
        "loop": gm.meta_graph(loop),
        "savers": gm.meta_graph(saved, collections=collected),
        "saved-model": gm.saved_model(gm.meta_graph(graph, tags=["serve"]), gm.meta_graph(loop)),
        "text": GRAPH_TEXT,
        "same-names": gm.graph_def([gm.node("a"), gm.node("a")]),
    }
    made["chunked"] = cpb([made["saved-model"]], chunked(0))
    return made


def messages() -> Seeds:
    """A byte that chooses the type, then a message or a text."""
    made: Seeds = {}
    for name, data in {**meta_graphs(), **protos(), **object_graphs()}.items():
        made[name] = bytes([len(made)]) + data
    for i in range(0, 120, 8):
        made[f"text-{i:03}"] = bytes([i]) + GRAPH_TEXT
    return made


def object_graphs() -> Seeds:
    value, child = om.value, om.child
    key = "a/.ATTRIBUTES/VARIABLE_VALUE"
    slots = "a/.OPTIMIZER_SLOT/opt/m/.ATTRIBUTES/VARIABLE_VALUE"
    return {
        "one": om.graph(child("a", 1), value(key, "a")),
        "cycle": om.graph(child("a", 1) + child("b", 0), child("up", 0) + value(key)),
        "slots": om.graph(
            child("a", 1) + child("opt", 2),
            value(key, "a"),
            om.slot(1, "m", 3),
            value(slots, "a/m"),
        ),
        "escapes": om.graph(child("k/1", 1) + child("k.2", 1), value("k.S1" + om.VALUE)),
        "outside": om.graph(child("a", 7), om.slot(9, "m", -1)),
        "negative": om.graph(child("a", -1)),
        "same": om.graph(child("a", 1) + child("a", 2), value(key), value(key)),
        "saver": om.graph(
            bytes_field(4, bytes_field(1, b"package.Name") + bytes_field(2, b"a"))
            + bytes_field(5, varint_field(1, 1))
        ),
        "state": om.graph(child("s", 1), om.attribute("py_state", "s/.ATTRIBUTES/py_state")),
        "nothing": b"",
    }


def chunks() -> Seeds:
    """Chunks, each before a byte 0xFE, and the message that says where they belong."""
    model = meta_graphs()["saved-model"]
    split = b"\xfe"
    graph = gm.graph_def([gm.node("a")])
    in_graph = [step_field(2), step_index(0), step_field(2)]
    return {
        "whole": model + split + chunked(0),
        "twice": model + split + b"\x08\x01" + split + chunked(0, [chunked_field([], chunked(1))]),
        "field": b"\x08\x01" + split + graph + split
        + chunked(0, [chunked_field(in_graph, chunked(1))]),
        "deep": split + chunked(0, [chunked_field([step_field(2)], chunked(0))] * 3),
        "itself": split + chunked(7),
        "unknown": split + chunked(0, [chunked_field([step_field(99)], chunked(0))]),
        "nothing": b"",
    }  # fmt: skip


def riegeli_files() -> Seeds:
    words = [b"one", b"", b"three" * 20]
    plain = Chunk(words, b"\0")
    return {
        "empty": riegeli([])[0],
        "plain": riegeli([plain])[0],
        "brotli": riegeli([Chunk(words, b"b")])[0],
        "snappy": riegeli([Chunk(words, b"s"), plain])[0],
        "padding": riegeli([Chunk(kind=b"p"), Chunk(kind=b"m"), plain])[0],
        "transposed": riegeli([Chunk(words, kind=b"t")])[0],
        "claims": riegeli([Chunk(words, decoded_size=2**60)])[0],
        "chunk": plain.all()[16:],
        "brotli-chunk": Chunk(words, b"b").all()[16:],
        "more-records": Chunk(words, b"\0", num_records=2**50).all()[16:],
    }


def all_seeds() -> dict[str, Seeds]:
    return {
        "table": tables(),
        "survey": tables(),
        "block": blocks(),
        "v1_table": blocks(),
        "header": headers(),
        "entry": entries(),
        "slice_key": slice_keys(),
        "strings": string_tensors(),
        "v1": records(),
        "tensor": protos(),
        "message": messages(),
        "textproto": {**texts(), "graph": GRAPH_TEXT},
        "state": texts(),
        "graph": meta_graphs(),
        "objects": object_graphs(),
        "chunked": chunks(),
        "riegeli": riegeli_files(),
    }


def main() -> None:
    for target, seeds in all_seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
        for name, data in seeds.items():
            assert len(data) <= MAX_SEED, (target, name, len(data))
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
