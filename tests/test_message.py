"""Message: any message, field by field, with TensorFlow's own protos as the oracle."""

from __future__ import annotations

import copy
import importlib
import keyword
import math
import pickle
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

import tensorbundle as tb
from tensorbundle import Message

SET = FileDescriptorSet.FromString(
    (Path(__file__).parents[1] / "rust/wire/src/proto/descriptors.bin").read_bytes()
)
# TensorFlow has no Python modules for these.
LIBRARY_ONLY = "tensorflow.proto_splitter."


def within(outer: str, ty: DescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    name = f"{outer}.{ty.name}"
    yield name, ty
    for inner in ty.nested_type:
        yield from within(name, inner)


TYPES = {
    name: ty
    for file in SET.file
    for top in file.message_type
    for name, ty in within(file.package, top)
}
ORACLES = [
    name
    for name, ty in TYPES.items()
    if not name.startswith(LIBRARY_ONLY) and not ty.options.map_entry
]


@pytest.fixture(scope="module")
def classes(tf: Any) -> dict[str, Any]:
    """TensorFlow's classes of all messages that it has in Python."""
    assert tf
    for module in (
        "core.framework.variable",
        "core.protobuf.control_flow",
        "core.protobuf.fingerprint",
        "core.protobuf.meta_graph",
        "core.protobuf.queue_runner",
        "core.protobuf.saved_model",
        "core.protobuf.tensor_bundle",
        "core.protobuf.trackable_object_graph",
        "core.util.saved_tensor_slice",
        "python.training.checkpoint_state",
    ):
        importlib.import_module(f"tensorflow.{module}_pb2")
    pool = Default()
    return {name: GetMessageClass(pool.FindMessageTypeByName(name)) for name in ORACLES}


# Random messages.

INTS: dict[int, tuple[int, int]] = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}
TEXTS = ["", "a", "save/Const:0", "é\n\t\"'\\", "\0", "日本", "\x7f\x01", "x" * 300]
FLOATS = [0.0, -0.0, 1.5, -1e-30, 3.4e38, math.inf, -math.inf, math.nan, 0.1, 16777217.0]


def scalar(rng: random.Random, field: FieldDescriptor) -> Any:
    if field.type in INTS:
        low, high = INTS[field.type]
        return rng.choice([low, high, 0, 1, max(low, -1), rng.randint(low, high)])
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return rng.choice([*FLOATS, rng.uniform(-1e6, 1e6)])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return rng.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        known = [value.number for value in field.enum_type.values]
        return rng.choice([*known[:4], rng.choice(known), 987654, -3])
    if field.type == FieldDescriptor.TYPE_STRING:
        return rng.choice(TEXTS)
    return rng.choice([text.encode() for text in TEXTS] + [bytes(range(256))])


def fill(rng: random.Random, message: Any, depth: int = 0) -> Any:
    for field in message.DESCRIPTOR.fields:
        if rng.random() < (0.4 if field.containing_oneof else 0.3):
            continue
        value = getattr(message, field.name)
        count = rng.choice([0, 1, 2, 5])
        if field.message_type and depth > 2:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            key, of = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            for _ in range(count):
                if of.message_type:
                    fill(rng, value[scalar(rng, key)], depth + 1)
                else:
                    value[scalar(rng, key)] = scalar(rng, of)
        elif field.is_repeated and field.message_type:
            for _ in range(min(count, 2)):
                fill(rng, value.add(), depth + 1)
        elif field.is_repeated:
            value.extend(scalar(rng, field) for _ in range(count))
        elif field.message_type:
            value.SetInParent()
            fill(rng, value, depth + 1)
        else:
            setattr(message, field.name, scalar(rng, field))
    return message


def some(classes: dict[str, Any], name: str, seed: object) -> Any:
    return fill(random.Random(f"{name} {seed}"), classes[name]())


# What must be equal.


def text_of(value: Any) -> Any:
    """Of a string of proto2 that is not UTF-8 protobuf makes bytes."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def same(ours: Any, theirs: Any) -> None:
    if isinstance(ours, Message):
        same_message(ours, theirs)
    elif isinstance(ours, float) and math.isnan(ours):
        assert math.isnan(theirs)
    elif isinstance(ours, str):
        assert ours == text_of(theirs)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs
        if isinstance(ours, float):
            assert math.copysign(1, ours) == math.copysign(1, theirs)


def same_message(ours: Message, theirs: Any) -> None:
    descriptor: Descriptor = theirs.DESCRIPTOR
    assert ours.type_name == descriptor.full_name
    present = {field.name for field, _ in theirs.ListFields()}
    assert set(ours.fields) == {field.name for field in descriptor.fields}
    unknown = {field.field_number for field in UnknownFieldSet(theirs)}
    for field in descriptor.fields:
        got, want = ours[field.name], getattr(theirs, field.name)
        if isinstance(got, dict) and field.number in unknown:
            continue  # Python's protobuf drops an entry with an unknown field in it; C++'s does not
        assert ours.has(field.name) == (field.name in present), field.full_name
        if field.message_type and field.message_type.GetOptions().map_entry:
            assert type(got) is dict
            assert got.keys() == {text_of(key) for key in want}
            for key in want:
                if not isinstance(key, bytes):  # which protobuf lists, but does not find
                    same(got[key], want[key])
        elif field.is_repeated:
            assert type(got) is tuple
            assert len(got) == len(want)
            for one, other in zip(got, want, strict=True):
                same(one, other)
        elif field.message_type and field.name not in present:
            assert got is None
        else:
            same(got, want)
        if field.enum_type:
            assert ours.enum_name(field.name) == enum_names(field, want)
    for oneof in descriptor.oneofs:
        assert ours.which(oneof.name) == theirs.WhichOneof(oneof.name)


def enum_names(field: FieldDescriptor, value: Any) -> Any:
    names = {found.number: found.name for found in reversed(field.enum_type.values)}
    if field.is_repeated:
        return tuple(names.get(number, str(number)) for number in value)
    return names.get(value, str(value))


def same_dict(plain: dict[str, Any], ours: Message) -> None:
    assert list(plain) == [name for name in ours.fields if ours.has(name)]
    for name, value in plain.items():
        want = ours[name]
        if isinstance(want, tuple):
            assert type(value) is list
            pairs = list(zip(value, want, strict=True))
        elif isinstance(want, dict):
            assert value.keys() == want.keys()
            pairs = [(value[key], want[key]) for key in want]
        else:
            pairs = [(value, want)]
        for one, other in pairs:
            if isinstance(other, Message):
                assert type(one) is dict
                same_dict(one, other)
            else:
                same(one, other)


@pytest.mark.parametrize("name", ORACLES)
def test_fields_are_what_tensorflow_reads(classes: dict[str, Any], name: str) -> None:
    for seed in range(8):
        theirs = some(classes, name, seed)
        ours = Message.parse(name, theirs.SerializeToString())
        # What Python holds of a float is wider than what was stored.
        same_message(ours, classes[name].FromString(ours.to_bytes()))
        same_dict(ours.to_dict(), ours)
        assert len(repr(ours)) <= 200
        assert repr(ours).startswith(f"<{name}")


@pytest.mark.parametrize("name", ORACLES)
def test_pieces_are_merged_as_tensorflow_merges(classes: dict[str, Any], name: str) -> None:
    for seed in range(8):
        pieces = [some(classes, name, f"{seed} {i}").SerializeToString() for i in range(3)]
        data = b"".join(pieces)
        same_message(Message.parse(name, data), classes[name].FromString(data))


def damaged(rng: random.Random, data: bytes) -> bytes:
    bad = bytearray(data)
    for _ in range(rng.choice([1, 2, 5])):
        if bad:
            byte = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            bad[rng.randrange(len(bad))] = byte
    return bytes(bad[: rng.choice([len(bad), rng.randint(0, len(bad))])])


def fault_of(call: Any, *args: Any) -> str:
    try:
        call(*args)
    except tb.CorruptionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ORACLES)
def test_damaged_bytes(classes: dict[str, Any], name: str) -> None:
    rng = random.Random(name)
    for seed in range(12):
        data = damaged(rng, some(classes, name, seed).SerializeToString())
        ours = Message.parse(name, data)
        assert repr(ours)
        try:
            theirs = classes[name].FromString(data)
        except DecodeError:
            fault_of(ours.to_dict)  # or none: TensorFlow refuses what is not UTF-8, too
            continue
        # TensorFlow's parser drops the bits of a number that are too many.
        fault = fault_of(same_message, ours, theirs)
        assert not fault or "varint is too long" in fault


@pytest.mark.parametrize("name", ORACLES)
def test_text_format(classes: dict[str, Any], name: str) -> None:
    styles: list[dict[str, Any]] = [
        {},
        {"as_one_line": True, "use_short_repeated_primitives": True},
        {"pointy_brackets": True, "use_index_order": True},
        {"as_utf8": False, "force_colon": True},
    ]
    for seed, style in enumerate(styles * 2):
        theirs = some(classes, name, seed)
        text = text_format.MessageToString(theirs, **style)
        ours = Message.parse_text(name, text.encode())
        same_message(ours, classes[name].FromString(theirs.SerializeToString()))


def test_the_schema_knows_every_type() -> None:
    for name, ty in TYPES.items():
        message = Message.parse(name, b"")
        assert message.type_name == name
        assert message.fields == tuple(f.name for f in sorted(ty.field, key=lambda f: f.number))
        assert message.to_dict() == {}
        assert repr(message) == f"<{name}>"


def test_any(classes: dict[str, Any]) -> None:
    theirs = classes["tensorflow.CollectionDef.AnyList"]()
    asset = classes["tensorflow.AssetFileDef"](filename="vocab.txt")
    theirs.value.add().Pack(asset)
    theirs.value.add(type_url="type.googleapis.com/my.Own", value=b"\xff")
    text = text_format.MessageToString(theirs)
    assert "[type.googleapis.com/tensorflow.AssetFileDef]" in text
    for ours in (
        Message.parse("tensorflow.CollectionDef.AnyList", theirs.SerializeToString()),
        Message.parse_text("tensorflow.CollectionDef.AnyList", text.encode()),
    ):
        first, second = ours.value
        assert first.type_url == theirs.value[0].type_url
        same_message(first.unpack(), asset)
        with pytest.raises(tb.UnsupportedError, match="type not known here") as caught:
            second.unpack()
        assert str(caught.value) == (
            'Any: it holds a message of a type not known here: "type.googleapis.com/my.Own"'
        )
        with pytest.raises(TypeError, match="AssetFileDef holds no packed message"):
            first.unpack().unpack()


# What is ours.


def node() -> Message:
    return Message.parse_text(
        "tensorflow.NodeDef",
        b"name: 'w' op: 'Const' input: ['a', '^b'] attr { key: 'dtype' value { type: DT_FLOAT } }",
    )


def test_a_node() -> None:
    msg = node()
    assert (msg.name, msg["op"], msg.input, msg.device) == ("w", "Const", ("a", "^b"), "")
    dtype = msg.attr["dtype"]
    assert (dtype.which("value"), dtype.type, dtype.enum_name("type")) == ("type", 1, "DT_FLOAT")
    assert (dtype.has("type"), dtype.has("i"), dtype.i, dtype.tensor) == (True, False, 0, None)
    assert msg.to_dict() == {
        "name": "w",
        "op": "Const",
        "input": ["a", "^b"],
        "attr": {"dtype": {"type": 1}},
    }
    assert repr(msg) == "<tensorflow.NodeDef name='w' op='Const' input=[…] attr={…}>"
    assert repr(dtype) == "<tensorflow.AttrValue type=DT_FLOAT>"
    assert {"attr", "name", "has", "to_dict"} <= set(dir(msg))


def test_equality_pickles_and_copies() -> None:
    msg = node()
    assert msg == node()
    assert msg != Message.parse("tensorflow.AttrValue", msg.to_bytes())
    assert msg != Message.parse(msg.type_name, b"")
    assert msg != msg.to_bytes()
    assert hash(msg) == hash(node())
    for again in (pickle.loads(pickle.dumps(msg)), copy.copy(msg), copy.deepcopy(msg)):
        assert type(again) is Message
        assert again == msg
        assert again.to_bytes() == msg.to_bytes()


def test_it_cannot_be_changed_or_made() -> None:
    msg = node()
    with pytest.raises(AttributeError):
        msg.name = "x"  # pyright: ignore
    with pytest.raises(TypeError):
        Message()


def test_names_that_are_not_utf_8() -> None:
    msg = Message.parse("tensorflow.NodeDef", b"\x0a\x02\xffa")
    assert msg.name == "\udcffa"
    assert msg.to_dict() == {"name": "\udcffa"}
    assert msg.name.encode("utf-8", "surrogateescape") == b"\xffa"
    assert repr(msg) == "<tensorflow.NodeDef name='\\udcffa'>"


def test_reprs_are_short() -> None:
    msg = Message.parse_text("tensorflow.NodeDef", f"name: '{'é' * 1000}'".encode())
    assert repr(msg) == f"<tensorflow.NodeDef name='{'é' * 20}'…>"
    msg = Message.parse_text("tensorflow.NodeDef", f"name: 'a{'é' * 1000}'".encode())
    assert repr(msg) == f"<tensorflow.NodeDef name='a{'é' * 19}'…>"
    broken = Message.parse("tensorflow.NodeDef", b"\x0a\x05n")
    assert repr(broken) == "<tensorflow.NodeDef of 3 broken bytes>"


OWN = {name for name in vars(Message) if not name.startswith("_")}
# Fields that only `msg["name"]` gives. Add to these only if no other name will do.
SHADOWED = {"tensorflow.DictValue.fields", "tensorflow.VariantTensorDataProto.type_name"}


def test_which_fields_our_own_names_hide() -> None:
    fields = {
        f"{name}.{field.name}": field.name for name, ty in TYPES.items() for field in ty.field
    }
    hidden = {full for full, name in fields.items() if name in OWN or hasattr(object, name)}
    assert hidden == SHADOWED
    assert not [full for full, name in fields.items() if keyword.iskeyword(name)]


def test_a_hidden_field() -> None:
    msg = Message.parse_text("tensorflow.DictValue", b"fields { key: 'a' value { bool_value: t } }")
    assert msg.fields == ("fields",)
    assert msg["fields"]["a"].bool_value is True


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: m.inptu, AttributeError, "has no field 'inptu'; did you mean 'input'?"),
        (lambda m: m["nam"], KeyError, "has no field 'nam'; did you mean 'name'?"),
        (lambda m: m.has("zzzz"), ValueError, "tensorflow.NodeDef has no field 'zzzz'"),
        (lambda m: m.which("value"), ValueError, "tensorflow.NodeDef has no oneof 'value'"),
        (lambda m: m.enum_name("op"), ValueError, "op of tensorflow.NodeDef is no enum"),
        (lambda m: m[0], TypeError, "int"),
        (lambda _: Message.parse("NodeDef", b""), ValueError, "'NodeDef' is known here; give its"),
        (lambda _: Message.parse("a.B", b""), ValueError, "no message type 'a.B' is known here"),
        (lambda _: Message.parse_text("B", b""), ValueError, "no message type 'B'"),
        (lambda _: Message.parse("tensorflow.NodeDef", "x"), TypeError, "bytes"),
    ],
)
def test_what_callers_get_wrong(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call(node())
    assert text in str(caught.value)
    assert not isinstance(caught.value, tb.CheckpointError)


def test_broken_bytes_say_what_is_broken() -> None:
    msg = Message.parse("tensorflow.GraphDef", b"\x0a\x04\x0a\x05ab")
    (inner,) = msg.node
    with pytest.raises(tb.CorruptionError) as caught:
        _ = inner.name
    assert str(caught.value) == "NodeDef: not a protobuf message: the bytes end too early"
    assert (caught.value.part, caught.value.path) == ("NodeDef", None)
    for call in (msg.to_dict, lambda: inner.has("op"), lambda: inner.attr, lambda: inner.input):
        with pytest.raises(tb.CorruptionError):
            call()


def nested(depth: int) -> bytes:
    """FullTypeDef { args { args { … } } }, `depth` messages inside the outermost."""
    data = b""
    for _ in range(depth):
        size, length = len(data), bytearray()
        while size >= 0x80:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        data = b"\x12" + bytes([*length, size]) + data
    return data


def test_nesting_is_bounded() -> None:
    plain = Message.parse("tensorflow.FullTypeDef", nested(100)).to_dict()
    for _ in range(100):
        (plain,) = plain["args"]
    assert plain == {}
    deep = Message.parse("tensorflow.FullTypeDef", nested(101))
    with pytest.raises(tb.CorruptionError, match="its messages nest deeper than 100"):
        deep.to_dict()
    deep = Message.parse("tensorflow.FullTypeDef", nested(10_000))
    assert repr(deep) == "<tensorflow.FullTypeDef args=[…]>"
    for _ in range(10_000):
        (deep,) = deep.args
    assert deep.to_bytes() == b""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"name: 'a'\ninptu: 'b'", "line 2: tensorflow.NodeDef has no field inptu; did you mean"),
        (b"name: 1", "line 1: want a quoted text for name of tensorflow.NodeDef, got 1"),
        (b"attr {", "line 1: the text ends before a '}'"),
        (b"attr { value { type: DT_FLAOT } }", "got DT_FLAOT; did you mean DT_FLOAT"),
        (b"attr { value { i: 1e3 } }", "want a whole number of 64 bits for i of"),
        (b"attr{value{list{attr{", "tensorflow.AttrValue.ListValue has no field attr"),
        (b"attr{value{func{" * 100, "messages nest deeper than 100"),
    ],
)
def test_broken_text_names_its_line(text: bytes, words: str) -> None:
    with pytest.raises(tb.CorruptionError) as caught:
        Message.parse_text("tensorflow.NodeDef", text)
    assert words in str(caught.value)
    assert caught.value.part == "text proto"


def test_floats_keep_their_bits() -> None:
    bits = struct.pack("<I", 0x7F7FFFFF)
    msg = Message.parse("tensorflow.AttrValue", b"\x25" + bits)
    assert struct.pack("<f", msg.f) == bits
