"""Each limit of docs/limits.md: its value, what is just within it, and what is just beyond."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tensorbundle as tb
from encoding import bytes_field, header_proto
from faults import refused, sound
from graph_maker import (
    arg_def,
    const,
    function,
    graph_def,
    meta_graph,
    node,
    of_int,
    op_def,
    opened,
    saved_model,
)
from graph_maker import tensor as tensor_proto
from tensorbundle import Message
from tensorbundle.errors import CorruptionError, UnsupportedError
from variables_maker import checkpoint_of, graph_of, restore, strings, variable
from writer_v1 import V1File

ROOT = Path(__file__).parent.parent

# Where what is just within a limit is shown to be fine, and what is just beyond it to be refused.
# Here are those that nothing else has.
TESTED = {
    "MAX_RANK": ("tests/test_faults_entries.py", "test_ranks_up_to_254"),
    "MAX_GROUP_DEPTH": ("rust/wire/src/pb.rs", "groups_are_passed_over"),
    "MAX_MESSAGE_DEPTH": ("tests/test_message.py", "test_nesting_is_bounded"),
    "MAX_TEXT_DEPTH": ("tests/test_limits.py", "test_text"),
    "MAX_SHARDS": ("tests/test_limits.py", "test_shards"),
    "MAX_FILES": ("tests/test_limits.py", "test_files_of_v1"),
    "MAX_KEY": ("tests/test_faults_scale.py", "test_the_longest_key"),
    "MAX_RESTART_INTERVAL": ("tests/test_faults_scale.py", "test_the_fewest_restarts"),
    "max_key_bytes": ("rust/wire/src/limits.rs", "in_proportion"),
    "max_slices": ("tests/test_faults_scale.py", "test_slices_squeezed_in_many_entries"),
    "MAX_SLICES_IN_MANY_DIMENSIONS": ("rust/wire/src/bundle/tiling.rs", "too_many_to_compare"),
    "max_snappy_output": ("rust/wire/src/limits.rs", "in_proportion"),
    "MAX_BYTES": ("tests/test_limits.py", "test_a_state_file"),
    "LARGEST": ("tests/test_limits.py", "test_a_fingerprint"),
    "MAX_BLOCK_STARTS": ("rust/wire/src/table/find.rs", "zeros_are_no_blocks"),
    "MAX_SHARED_STRINGS": ("tests/test_verify_findings.py", "test_strings_that_share_too_often"),
    "MAX_BINS": ("tests/test_stats.py", "test_some_by_name_and_what_is_no_number"),
    "MAX_FINDINGS": ("rust/store/src/finding.rs", "as_many_as_anybody_reads"),
    "MAX_LEN": ("tests/test_limits.py", "test_a_graph_of_four_gigabytes"),
    "MAX_UNPACKED": ("rust/wire/src/riegeli/tests.rs", "max_unpacked"),
    "max_unpacked": ("rust/wire/src/riegeli/tests.rs", "max_unpacked"),
    "MAX_FILLED_TENSOR": ("rust/wire/src/tensor_proto/values.rs", "filled_up_to_the_limit"),
    "MAX_PORTS": ("tests/test_limits.py", "test_outputs_of_a_node"),
    "MAX_SHARED_READS": ("tests/test_diff.py", "test_bytes_that_are_shared_without_end"),
    "MAX_OUTPUT_ARGS": ("tests/test_limits.py", "test_outputs_of_a_definition"),
    "MAX_OUTPUTS": ("tests/test_limits.py", "test_outputs_of_a_graph"),
    "MAX_LISTED": ("tests/test_limits.py", "test_lists"),
    "_NESTED": ("tests/test_saved_model_faults.py", "test_composite_tensors_in_one_another"),
    "PATHS_PER_BYTE": ("tests/test_objects_hostile.py", "test_paths_out_of_all_proportion"),
    "MAX_STEPS": ("tests/test_limits.py", "test_steps"),
    "MAX_ALL_STEPS": (
        "tests/test_variables_hostile.py",
        "test_many_assignments_at_the_end_of_a_long_way",
    ),
    "MAX_LINKS": (
        "tests/test_variables_hostile.py",
        "test_many_calls_of_a_function_with_many_restores",
    ),
}

# Beyond these something is left out, shortened or done otherwise: nothing is refused.
HARMLESS = {
    "MAX_DEPTH",
    "MAX_KEPT",
    "MAX_NAME",
    "MAX_PATH",
    "MAX_SCOPES",
    "MAX_SLICED_RANK",
    "MAX_SLOTS",
    "MAX_SUFFIX",
}


def documented() -> dict[str, str]:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", (ROOT / "docs" / "limits.md").read_text(), re.M)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def sources() -> str:
    files = [*(ROOT / "rust").glob("*/src/**/*.rs"), *(ROOT / "python").glob("**/*.py")]
    return "\n".join(path.read_text() for path in sorted(files))


def in_code() -> dict[str, set[int]]:
    """The values of all constants that are numbers; some names are there twice."""
    found: dict[str, set[int]] = {}
    constant = r"^(?:pub |pub\(crate\) )?(?:const )?(\w+)(?:: u?\w+)? = ([\d_ <]+);?(?: #.*)?$"
    text = re.sub(r"u32::MAX as \w+", str(2**32 - 1), sources())
    for name, value in re.findall(constant, text, re.M):
        left, _, right = value.partition("<<")
        found.setdefault(name, set()).add(int(left) << int(right or 0))
    return found


def test_the_values_are_those_of_the_code() -> None:
    code = in_code()
    for name, value in documented().items():
        number = re.match(r"[\d,]+", value)
        assert number is not None, name
        if name.islower() and name[0] != "_":
            assert f"pub fn {name}(" in sources()
        else:
            assert int(number[0].replace(",", "")) in code[name], name


def test_no_limit_is_left_out() -> None:
    named = re.findall(r"pub (?:const|fn) (\w+)", (ROOT / "rust/wire/src/limits.rs").read_text())
    named += re.findall(r"const (MAX_\w+):", sources())
    assert set(named) - HARMLESS - set(documented()) == set()
    assert set(documented()) == set(TESTED)


@pytest.mark.parametrize("name", TESTED)
def test_each_limit_has_its_test(name: str) -> None:
    file, test = TESTED[name]
    assert re.search(rf"(?:def|fn) {test}\b|\b{test}\(", (ROOT / file).read_text())


# Checkpoints.


def test_shards(tmp_path: Path) -> None:
    for count in (1 << 20, (1 << 20) + 1):
        bundle = sound()
        bundle.items[b""] = header_proto(count)
        prefix = bundle.write(tmp_path / "b")
        Path(prefix + ".data-00000-of-00001").rename(f"{prefix}.data-00000-of-{count:05}")
        if count == 1 << 20:
            assert tb.open(prefix)["kernel"].shape == (2, 3)
            continue
        with refused(UnsupportedError, "1048577", "1048576", part="bundle header"):
            tb.open(prefix)


def test_files_of_v1(tmp_path: Path) -> None:
    for count, error, text in (
        (65_536, CorruptionError, ""),
        (65_537, UnsupportedError, "its name counts 65537 files, at most 65536 can be opened"),
    ):
        path = tmp_path / f"m{count}-00000-of-{count:05}"
        file = V1File()
        file.add("w", np.int64(1))
        file.write(path)
        with pytest.raises((error, FileNotFoundError)) as caught:
            tb.open(path)
        assert text in str(caught.value)
        assert isinstance(caught.value, UnsupportedError) == (count > 65_536)


def test_a_state_file(tmp_path: Path) -> None:
    sound().write(tmp_path / "b")
    text = b'model_checkpoint_path: "b"\n#'
    for size in (4 << 20, (4 << 20) + 1):
        (tmp_path / "checkpoint").write_bytes(text + b"." * (size - len(text)))
        if size == 4 << 20:
            assert len(tb.open(tmp_path)) == 3
            continue
        with refused(UnsupportedError, "it has more than 4194304 bytes", part="state file"):
            tb.open(tmp_path)


def test_a_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(saved_model(meta_graph(graph_def([node("a")]))))
    for size in (1 << 16, (1 << 16) + 1):
        unknown = bytes_field(100, bytes(size - 5))
        assert len(unknown) == size
        (tmp_path / "fingerprint.pb").write_bytes(unknown)
        model = tb.load_saved_model(tmp_path)
        if size == 1 << 16:
            assert model.fingerprint is not None
            continue
        with pytest.raises(CorruptionError, match="65537 bytes are too many: at most 65536"):
            model.fingerprint  # noqa: B018 - raises


# Graphs.


def test_text() -> None:
    """A node's attributes, in one another: each is three messages deep."""
    deep = b"attr{value{func{" * 33 + b"attr{"
    assert Message.parse_text("tensorflow.NodeDef", deep + b"}" * 100).to_bytes()
    with pytest.raises(CorruptionError, match="messages nest deeper than 100"):
        Message.parse_text("tensorflow.NodeDef", deep + b"value{" + b"}" * 101)


def test_a_graph_of_four_gigabytes(tmp_path: Path) -> None:
    start = meta_graph(graph_def([node("a", "NoOp")]))
    for size in (2**32 - 1, 2**32):
        path = tmp_path / "g.meta"
        rest = size - len(start) - 7
        tag = b"\xa2\x06" + varint5(rest)
        with path.open("wb") as file:
            file.write(start + tag)
            file.truncate(size)
        if size < 2**32:
            assert tb.load_meta_graph(path).graph.get_operation_by_name("a").type == "NoOp"
            continue
        with refused(UnsupportedError, "4294967296 bytes", path=path):
            tb.load_meta_graph(path)


def varint5(value: int) -> bytes:
    return bytes([*(value >> 7 * i & 0x7F | 0x80 for i in range(4)), value >> 28])


MANY = 1 << 20
WIDE = op_def("Wide", outputs=[arg_def("o", dtype=1, number_attr="k")])


def test_outputs_of_a_node() -> None:
    graph = opened(node("a", "Wide", k=of_int(MANY)), ops=[WIDE])
    assert len(graph.get_operation_by_name("a").outputs) == MANY
    graph = opened(node("a", "Wide", k=of_int(MANY + 1)), ops=[WIDE])
    with pytest.raises(CorruptionError, match="claims 1048577 outputs, at most 1048576 can be"):
        graph.get_operation_by_name("a").outputs  # noqa: B018 - raises


def test_outputs_of_a_definition() -> None:
    for count in (1 << 14, (1 << 14) + 1):
        op = op_def("Big", outputs=[arg_def("o", dtype=1)] * count)
        found = opened(node("a", "Big"), ops=[op]).get_operation_by_name("a")
        if count == 1 << 14:
            assert len(found.outputs) == count
            continue
        with pytest.raises(CorruptionError, match="16385 outputs, at most 16384"):
            found.outputs  # noqa: B018 - raises


def test_outputs_of_a_graph() -> None:
    whole = node("a", "Wide", k=of_int(MANY))
    assert len(opened(whole, ops=[WIDE]).outputs) == MANY
    graph = opened(whole, node("b", "Wide", k=of_int(1)), ops=[WIDE])
    with pytest.raises(UnsupportedError, match="more than 1048576 outputs that nobody takes"):
        graph.outputs  # noqa: B018 - raises


def test_lists() -> None:
    for count in (4, 5):
        nodes = [node("a", "Wide", k=of_int(MANY))]
        nodes += [node(f"b{i}", "Taker", ["a:o"]) for i in range(count)]
        graph = opened(
            node("n", "NoOp"),
            functions=[function(op_def("f"), nodes)],
            ops=[WIDE, op_def("Taker")],
        )
        found = "\n".join(graph.functions["f"].graph.problems())
        assert ("more than 4194304 tensors" in found) == (count == 5)


def test_steps(tmp_path: Path) -> None:
    """A way from a restored tensor to its variable that is too long to be one."""
    ends = {}
    for steps in (60, 70):
        chain = ["save/restore", *(f"i{k}" for k in range(steps))]
        ways = [node(name, "Identity", [source]) for source, name in pairwise(chain)]
        graph = graph_of(
            variable("v"),
            strings("save/names", "key"),
            strings("save/specs", ""),
            restore("save/restore", "save/names", "save/specs"),
            *ways,
            node("assign", "Assign", ["v", chain[-1]]),
        )
        variables = tb.Variables(checkpoint_of(tmp_path, key=(2,)), graph)
        ends[steps] = variables["v"].key, "".join(one.text for one in variables.findings)
    assert ends[60] == ("key", "")
    assert "more than 64 steps" in ends[70][1]


def test_constants_that_are_filled() -> None:
    """Three values for 2^28 floats and one: beyond it; equal ones are free of it."""
    values = b"\0\0\x80?" * 2 + b"\0\0\0@"
    many = (1 << 28) + 1
    graph = opened(
        const("k", tensor_proto(1, [many], more=bytes_field(5, values))),
        const("z", tensor_proto(1, [many], more=bytes_field(5, values[:4]))),
    )
    with pytest.raises(UnsupportedError, match="MAX_FILLED_TENSOR"):
        graph.get_operation_by_name("k").get_attr("value")
    assert graph.get_operation_by_name("z").get_attr("value").shape == (many,)
