"""The project's .proto files against the descriptors of the installed TensorFlow, both ways."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import Default, DescriptorPool

# What the project reads; the messages these are made of come with them.
ROOTS = {
    "tensorflow.core.framework.variable_pb2": ("VariableDef", "SaveSliceInfoDef"),
    "tensorflow.core.protobuf.control_flow_pb2": ("CondContextDef", "WhileContextDef"),
    "tensorflow.core.protobuf.fingerprint_pb2": ("FingerprintDef",),
    "tensorflow.core.protobuf.meta_graph_pb2": ("MetaGraphDef",),
    "tensorflow.core.protobuf.queue_runner_pb2": ("QueueRunnerDef",),
    "tensorflow.core.protobuf.saved_model_pb2": ("SavedModel",),
    "tensorflow.core.protobuf.tensor_bundle_pb2": ("BundleHeaderProto", "BundleEntryProto"),
    "tensorflow.core.protobuf.trackable_object_graph_pb2": ("TrackableObjectGraph",),
    "tensorflow.core.util.saved_tensor_slice_pb2": ("SavedTensorSlices",),
    "tensorflow.python.training.checkpoint_state_pb2": ("CheckpointState",),
}
# TensorFlow has no Python modules for these; its shared library carries their descriptors.
LIBRARY_FILES = (
    "tensorflow/tools/proto_splitter/versions.proto",
    "tensorflow/tools/proto_splitter/chunk.proto",
)
# The last field of a serialized descriptor: where one that stands in a library ends.
END_OF_PROTO3_FILE = b"\x62\x06proto3"

Types = Mapping[str, Descriptor | EnumDescriptor]


@pytest.fixture(scope="module")
def our_files(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    path = tmp_path_factory.mktemp("protos") / "descriptors.bin"
    command = ["cargo", "xtask", "protos", "--descriptors", str(path)]
    cwd = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(FileDescriptorSet.FromString(path.read_bytes()).file)


@pytest.fixture(scope="module")
def ours(our_files: list[FileDescriptorProto]) -> Types:
    return types_of(our_files)


@pytest.fixture(scope="module")
def theirs(tf: Any, ours: Types) -> Types:
    for module in ROOTS:
        importlib.import_module(module)
    (library,) = Path(tf.sysconfig.get_lib()).glob("libtensorflow_framework*")
    data = library.read_bytes()
    found = dict(types_of(embedded_file(data, name) for name in LIBRARY_FILES))
    for name in ours:
        for find in (Default().FindMessageTypeByName, Default().FindEnumTypeByName):
            try:
                found[name] = find(name)
            except KeyError:
                continue
    return found


def embedded_file(library: bytes, name: str) -> FileDescriptorProto:
    start = library.index(b"\n" + bytes([len(name)]) + name.encode())
    end = library.index(END_OF_PROTO3_FILE, start) + len(END_OF_PROTO3_FILE)
    return FileDescriptorProto.FromString(library[start:end])


def types_of(files: Iterable[FileDescriptorProto]) -> Types:
    """Every message and enum of TensorFlow's packages in `files`, by full name."""
    pool = DescriptorPool()
    found: list[Descriptor | EnumDescriptor] = []
    for proto in files:
        file = pool.AddSerializedFile(proto.SerializeToString())
        if file.package.startswith("tensorflow"):
            found += file.enum_types_by_name.values()
            for message in file.message_types_by_name.values():
                found += [message, *within(message)]
    return {descriptor.full_name: descriptor for descriptor in found}


def within(message: Descriptor) -> Iterator[Descriptor | EnumDescriptor]:
    yield from message.enum_types
    for nested in message.nested_types:
        yield nested
        yield from within(nested)


def facts(described: Descriptor | EnumDescriptor) -> dict[str, str]:
    """What must be the same: of an enum its values, of a message its fields, types and reserves."""
    if isinstance(described, EnumDescriptor):
        return {value.name: str(value.number) for value in described.values}
    proto = DescriptorProto()
    described.CopyToProto(proto)
    reserved = sorted(number for r in proto.reserved_range for number in range(r.start, r.end))
    return {
        **{field.name: field_facts(field) for field in described.fields},
        "(types within)": " ".join(sorted(found.name for found in within(described))),
        "(reserved)": " ".join([*map(str, reserved), *sorted(proto.reserved_name)]),
        "(map entry)": str(described.GetOptions().map_entry),
    }


def field_facts(field: FieldDescriptor) -> str:
    of = field.message_type or field.enum_type
    label = "repeated" if field.is_repeated else "required" if field.is_required else "singular"
    words = (
        str(field.number),
        label,
        FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower(),
        of.full_name if of else "",
        "packed" if field.is_packed else "",
        "with presence" if field.has_presence else "",
        f"in oneof {field.containing_oneof.name}" if field.containing_oneof else "",
        f"default {field.default_value!r}" if field.has_default_value else "",
    )
    return " ".join(filter(None, words))


def differences(ours: Types, theirs: Types) -> list[str]:
    lines = []
    for name in sorted(ours):
        if name not in theirs:
            lines.append(f"{name}: TensorFlow has no such type")
            continue
        our_facts, their_facts = facts(ours[name]), facts(theirs[name])
        lines += [
            f"{name}.{key}: {our_facts.get(key)} here, {their_facts.get(key)} in TensorFlow"
            for key in sorted(our_facts.keys() | their_facts.keys())
            if our_facts.get(key) != their_facts.get(key)
        ]
    return lines


def test_every_field_and_value_is_tensorflows(ours: Types, theirs: Types) -> None:
    assert "\n".join(differences(ours, theirs)) == ""


def test_nothing_the_project_reads_is_left_out(ours: Types) -> None:
    roots = {f"tensorflow.{name}" for names in ROOTS.values() for name in names}
    assert roots - ours.keys() == set()
    assert "tensorflow.proto_splitter.ChunkMetadata" in ours


def test_a_difference_is_seen_and_named(
    our_files: list[FileDescriptorProto], theirs: Types
) -> None:
    changed = [FileDescriptorProto.FromString(file.SerializeToString()) for file in our_files]
    by_name = {file.name.rpartition("/")[2]: file for file in changed}
    entry = by_name["tensor_bundle.proto"].message_type[1]
    assert entry.name == "BundleEntryProto"
    by_field = {field.name: field for field in entry.field}
    by_field["offset"].type = FieldDescriptorProto.TYPE_UINT64
    by_field["crc32c"].number = 9
    entry.field.remove(by_field["slices"])
    saver = by_name["meta_graph.proto"].message_type.add(name="SavourDef")
    saver.field.add(name="version", number=1, type=FieldDescriptorProto.TYPE_INT32)
    by_name["types.proto"].enum_type[0].value[1].number = 99
    tensor = by_name["tensor.proto"].message_type
    values = next(message for message in tensor if message.name == "TensorProto")
    next(field for field in values.field if field.name == "float_val").options.packed = False

    entry_name, slice_name = "tensorflow.BundleEntryProto", "tensorflow.TensorSliceProto"
    floats = "5 repeated float"
    assert differences(types_of(changed), theirs) == [
        f"{entry_name}.crc32c: 9 singular fixed32 here, 6 singular fixed32 in TensorFlow",
        f"{entry_name}.offset: 4 singular uint64 here, 4 singular int64 in TensorFlow",
        f"{entry_name}.slices: None here, 7 repeated message {slice_name} in TensorFlow",
        "tensorflow.DataType.DT_FLOAT: 99 here, 1 in TensorFlow",
        "tensorflow.SavourDef: TensorFlow has no such type",
        f"tensorflow.TensorProto.float_val: {floats} here, {floats} packed in TensorFlow",
    ]
