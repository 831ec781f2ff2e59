"""SavedModels in chunks: real ones against TensorFlow's protos, and split at random."""

from __future__ import annotations

import pickle
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import brotli
import pytest

import tensorbundle as tb
from command import cli
from graph_oracle import CORPUS
from riegeli_maker import chunked, chunked_field, cpb, step_field, step_index, step_key
from test_message import same_message

KINDS = {1: float, 2: float, 8: lambda text: text == "true", 9: str, 12: bytes}


def model_proto(file: Path) -> Any:
    from google.protobuf import text_format
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    if file.suffix == ".pbtxt":
        return text_format.Parse(file.read_text(), SavedModel())
    return SavedModel.FromString(file.read_bytes())


def whole(model: tb.SavedModel) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    made = SavedModel(saved_model_schema_version=model.schema_version)
    for meta in model.meta_graphs:
        made.meta_graphs.add().MergeFromString(meta.message.to_bytes())
    return made


# An independent reading.


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def fields(data: bytes) -> list[tuple[int, Any]]:
    at, found = 0, []
    while at < len(data):
        tag, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if tag & 7 == 2:
            found.append((tag >> 3, data[at : at + value]))
            at += value
        else:
            found.append((tag >> 3, value))
    return found


def records(file: bytes) -> dict[int, bytes]:
    """By their positions; hashes are not looked at."""
    plain = bytearray()
    places: list[int] = []  # of each plain byte, where it is in the file
    for start in range(0, len(file), 1 << 16):
        piece = file[start : start + (1 << 16)][24:]
        places += range(start + 24, start + 24 + len(piece))
        plain += piece
    found, at = {}, 0
    while at < len(plain):
        size, _, kind, _ = struct.unpack_from("<4Q", plain, at + 8)
        data = bytes(plain[at + 40 : at + 40 + size])
        if kind & 0xFF == ord("r"):
            assert data[:1] == b"b"
            sizes_len, start = read_varint(data, 1)
            parts = data[start : start + sizes_len], data[start + sizes_len :]
            sizes, values = (brotli.decompress(part[read_varint(part, 0)[1] :]) for part in parts)
            end = begin = 0
            for i in range(kind >> 8):
                length, begin = read_varint(sizes, begin)
                found[places[at] + i] = values[end : end + length]
                end += length
        at += 40 + size
    return found


def merge(chunks: list[bytes], described: bytes, target: Any) -> None:
    """As the rules of FORMAT 9.4 have it, with protobuf's own reflection."""
    own = [value for number, value in fields(described) if number == 1]
    if own:
        target.MergeFromString(chunks[own[-1]])
    parts = []
    for number, part in fields(described):
        if number == 2:
            way = [fields(step)[0] for key, step in fields(part) if key == 1]
            inner = [value for key, value in fields(part) if key == 3]
            index = [value for key, value in fields(inner[0]) if key == 1]
            parts.append((way, index[-1] if index else 0, inner[0]))
    for way, index, inner in sorted(parts):
        if not way:
            target.MergeFromString(chunks[index])
            continue
        message, steps = target, list(way)
        while steps:
            parent, field = message, message.DESCRIPTOR.fields_by_number[steps.pop(0)[1]]
            key: Any = None
            if steps and steps[0][0] != 1:
                kind, key = steps.pop(0)
                key = fields(key)[0][1].decode() if kind == 2 else key
            value = getattr(parent, field.name)
            if key is None:
                message = value
            elif field.message_type is not None and field.message_type.GetOptions().map_entry:
                if field.message_type.fields_by_number[2].message_type is None:
                    value[key] = chunks[index].decode()
                    message = None
                else:
                    message = value[key]
            elif field.message_type is None:
                value[key:] = [chunks[index].decode(), *value[key + 1 :]]
                message = None
            else:
                message = value.add() if key == len(value) else value[key]
        if hasattr(message, "MergeFromString"):
            message.SetInParent()
            merge(chunks, inner, message)
        elif message is not None:
            text = chunks[index]
            make: Any = KINDS.get(field.type, int)
            if field.enum_type is not None:
                numbers = {name: one.number for name, one in field.enum_type.values_by_name.items()}
                make = numbers.get
            setattr(parent, field.name, make(text if make is bytes else text.decode()))


def independent(file: bytes) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    found = records(file)
    described = fields(found[max(found)])
    infos = [dict(fields(info)) for number, info in described if number == 2]
    chunks = [found[info.get(3, 0)] for info in infos]
    assert [len(chunk) for chunk in chunks] == [info.get(2, 0) for info in infos]
    made = SavedModel()
    merge(chunks, dict(described)[3], made)
    return made


@pytest.mark.skipif(not CORPUS, reason="no corpus")
def test_the_real_one(tf: Any) -> None:
    assert tf
    folder = Path(CORPUS or "") / "tensorflow--chunked_model"
    theirs = independent((folder / "saved_model.cpb").read_bytes())
    assert theirs == model_proto(folder / "saved_model.pbtxt")
    for path in (folder, folder / "saved_model.cpb"):
        model = tb.load_saved_model(path)
        assert model.file == str(folder / "saved_model.cpb")
        assert whole(model) == theirs
        same_message(model.meta_graph().message, theirs.meta_graphs[0])
        assert tb.load_meta_graph(path).message == model.meta_graph().message
    text = tb.load_saved_model(folder / "saved_model.pbtxt")
    assert whole(text) == theirs
    for command in ("info", "graph"):
        result = cli(command, folder, "--json")
        assert result.code == 0
        assert result.document["path"].endswith("saved_model.cpb")


# Split at random.


class Splitter:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.chunks: list[bytes] = []

    def chunk(self, data: bytes) -> int:
        self.chunks.append(data)
        return len(self.chunks) - 1

    def often(self) -> bool:
        return self.random.random() < 0.4

    def split(self, message: Any, depth: int = 0) -> bytes:
        parts: list[tuple[list[bytes], bytes]] = []
        for field, value in list(message.ListFields()) if depth < 12 else []:
            if depth < 2 or self.often():
                parts += self.field(message, field, value, depth + 1)
        rest = message.SerializeToString()
        own = self.chunk(rest) if rest or self.often() else None
        if parts and self.often():  # a part of the message itself, behind the first
            parts.append(([], chunked(self.chunk(b""))))
        self.random.shuffle(parts)
        return chunked(own, (chunked_field(*part) for part in parts))

    def field(self, message: Any, field: Any, value: Any, depth: int) -> Any:
        step = step_field(field.number)
        entry = field.message_type is not None and field.message_type.GetOptions().map_entry
        if entry:
            for key in list(value):
                if not isinstance(key, str) or not self.often():
                    continue
                if field.message_type.fields_by_number[2].message_type is None:
                    yield [step, step_key(key)], chunked(self.chunk(value.pop(key).encode()))
                else:
                    inner = type(value[key]).FromString(value[key].SerializeToString())
                    if self.often():
                        del value[key]
                    else:
                        value[key].Clear()
                    yield [step, step_key(key)], self.split(inner, depth)
        elif field.is_repeated and field.message_type is not None:
            copies = [type(one).FromString(one.SerializeToString()) for one in value]
            kept = self.random.randint(0, len(copies))
            del value[kept:]
            for i, one in enumerate(copies):
                if i >= kept or depth < 3 or self.often():
                    if i < kept:
                        value[i].Clear()
                    yield [step, step_index(i)], self.split(one, depth)
        elif field.is_repeated and field.type in (9, 12):
            for i, one in enumerate(list(value)):
                value[i] = "" if field.type == 9 else b""
                data = one.encode() if field.type == 9 else one
                yield [step, step_index(i)], chunked(self.chunk(data))
        elif field.is_repeated:
            return
        elif field.message_type is not None:
            inner = type(value).FromString(value.SerializeToString())
            message.ClearField(field.name)
            yield [step], self.split(inner, depth)
        else:
            message.ClearField(field.name)
            if field.enum_type is not None:
                text = field.enum_type.values_by_number[value].name
            else:
                text = str(value).lower() if isinstance(value, bool) else str(value)
            data = value if isinstance(value, bytes) else text.encode()
            yield [step], chunked(self.chunk(data))


@pytest.mark.parametrize("seed", range(12))
def test_any_split_is_the_same_message(tf: Any, data_dir: Path, tmp_path: Path, seed: int) -> None:
    assert tf
    theirs = model_proto(data_dir / "saved_model" / "saved_model.pb")
    splitter = Splitter(seed)
    copied = type(theirs).FromString(theirs.SerializeToString())
    described = splitter.split(copied)
    how = (b"b", b"\0", b"s")[seed % 3]
    together = splitter.random.choice((1, 2, 7, 10_000))
    data = cpb(splitter.chunks, described, how=how, together=together)
    (tmp_path / "saved_model.cpb").write_bytes(data)
    model = tb.load_saved_model(tmp_path)
    assert whole(model) == theirs
    assert len(splitter.chunks) > 5
    if how == b"b":
        assert independent(data) == theirs


def test_parts_of_the_same_message(tf: Any, data_dir: Path) -> None:
    """What TensorFlow makes of a long list: pieces that are merged, in the order of the chunks."""
    assert tf
    theirs = model_proto(data_dir / "saved_model" / "saved_model.pb")
    copied = type(theirs).FromString(theirs.SerializeToString())
    graph = copied.meta_graphs[0].graph_def
    pieces = []
    for node in theirs.meta_graphs[0].graph_def.node:
        piece = type(graph)()
        piece.node.add().CopyFrom(node)
        pieces.append(piece.SerializeToString())
    del graph.node[:]
    chunks = [copied.SerializeToString(), *pieces]
    way = [step_field(2), step_index(0), step_field(2)]
    first = chunked_field(way, chunked(1, (chunked_field([], chunked(i)) for i in (3, 2))))
    rest = [chunked_field(way, chunked(i)) for i in range(len(chunks) - 1, 3, -1)]
    meta = tb.load_meta_graph(cpb(chunks, chunked(0, [*rest, first])))
    assert meta.path is None
    assert meta.message.to_bytes()
    same_message(meta.message, theirs.meta_graphs[0])


@pytest.mark.parametrize("how", [b"\0", b"b", b"s"])
def test_blocks_fall_anywhere(tf: Any, data_dir: Path, how: bytes) -> None:
    """Chunks whose headers and data are cut by block headers, at each place that there is."""
    assert tf
    model = (data_dir / "saved_model" / "saved_model.pb").read_bytes()
    for filler in [*range(65430, 65520, 5), 200_000]:
        noise = random.Random(filler).randbytes(filler)
        data = cpb([noise, model], chunked(1), how=how, together=1)
        assert len(tb.load_meta_graph(data).graph) == 11, filler


def test_which_file_counts(data_dir: Path, tmp_path: Path) -> None:
    """That of TensorFlow's C++: the chunks, if there are any."""
    model = (data_dir / "saved_model" / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pbtxt").write_text("saved_model_schema_version: 7\nmeta_graphs {}")
    assert tb.load_saved_model(tmp_path).schema_version == 7
    (tmp_path / "saved_model.pb").write_bytes(model)
    assert tb.load_saved_model(tmp_path).file.endswith(".pb")
    (tmp_path / "saved_model.cpb").write_bytes(cpb([model], chunked(0)))
    opened = tb.load_saved_model(tmp_path)
    assert opened.file.endswith(".cpb")
    assert opened.meta_graph().path == opened.file
    assert tb.load_saved_model(tmp_path / "saved_model.pb").file.endswith(".pb")


def test_chunks_beside_a_checkpoint(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(data_dir / "saved_model", folder)
    binary = folder / "saved_model.pb"
    (folder / "saved_model.cpb").write_bytes(cpb([binary.read_bytes()], chunked(0)))
    binary.unlink()
    ckpt = tb.open(folder)
    assert ckpt.meta_path == str(folder / "saved_model.cpb")
    assert sorted(ckpt.variables.names()) == ["intercept", "slope"]
    assert ckpt.variables.findings == []
    model = tb.load_saved_model(folder)
    assert model.check_fingerprint() is True
    assert model.variables["slope"].numpy() == 0.5
    assert pickle.loads(pickle.dumps(model.meta_graph())).message == model.meta_graph().message
    for command in ("info", "graph", "vars"):
        result = cli(command, folder)
        assert result.code == 0, command
    assert "../saved_model.cpb" in cli("info", folder).out
