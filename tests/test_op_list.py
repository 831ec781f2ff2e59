"""rust/graph/src/ops.txt, the list of TensorFlow's own ops, against TensorFlow's registry."""

from __future__ import annotations

import re
from typing import Any

import pytest

from make_op_list import OPS, RELEASES, outputs, registry

LINES = OPS.read_text(encoding="ascii").splitlines()
ROWS = [line.split("\t") for line in LINES if not line.startswith("#")]
LIST = {row[0]: tuple(row[1:]) for row in ROWS}
(VERSIONS,) = (
    line.removeprefix("# versions:").split() for line in LINES if line.startswith("# versions:")
)


def test_form(tf: Any) -> None:
    assert OPS.read_bytes().endswith(b"\n")
    assert all(line.startswith("#") for line in LINES[: len(LINES) - len(ROWS)])
    assert all(len(row) == 4 for row in ROWS)
    names = [row[0] for row in ROWS]
    assert names == sorted(set(names))

    dtypes = {dtype.name for dtype in vars(tf.dtypes).values() if isinstance(dtype, tf.DType)}
    one = rf"(?:\$\w+|{'|'.join(map(re.escape, sorted(dtypes)))})"
    output = rf"\w+:(?:\*\$\w+|(?:\$\w+\*)?{one})&?"
    fields = re.compile(rf"\?|(?:{output}(?:,{output})*)?")
    for name, first, last, found in ROWS:
        assert re.fullmatch(r"_*[A-Z][\w>]*", name, re.ASCII)
        assert VERSIONS.index(first) <= VERSIONS.index(last)
        assert fields.fullmatch(found), (name, found)


def test_versions(tf: Any) -> None:
    assert [*(release[0] for release in RELEASES), tf.__version__] == VERSIONS
    assert VERSIONS[-1] == "2.21.0"


@pytest.mark.usefixtures("tf")
def test_ops_of_this_tensorflow() -> None:
    ops = registry()
    assert len(ops) > 1900
    assert {name: LIST[name][1:] for name in ops if name in LIST} == {
        name: (VERSIONS[-1], outputs(op)) for name, op in ops.items()
    }
    # The one that is in no registry: its library is loaded on demand, its Python has no definition.
    assert {name for name, row in LIST.items() if row[1] == VERSIONS[-1]} - set(ops) == {
        "CheckPreemption"
    }
    assert [name for name, row in LIST.items() if row[2] == "?"] == ["CheckPreemption"]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("NoOp", ("0.12.1", "2.21.0", "")),
        ("Split", ("0.12.1", "2.21.0", "output:$num_split*$T")),
        ("Switch", ("0.12.1", "2.21.0", "output_false:$T,output_true:$T")),
        ("VariableV2", ("1.0.0", "2.21.0", "ref:$dtype&")),
        ("IteratorGetNext", ("1.2.1", "2.21.0", "components:*$output_types")),
        ("RestoreV2", ("0.12.1", "2.21.0", "tensors:*$dtypes")),
        ("_Arg", ("0.12.1", "2.21.0", "output:$T")),
        ("XlaLaunch", ("1.12.0", "2.21.0", "results:*$Tresults")),
    ],
)
def test_ops_of_today(name: str, row: tuple[str, str, str]) -> None:
    assert LIST[name] == row


@pytest.mark.parametrize(
    ("name", "row"),
    [
        # Of contrib:
        ("BigtableTable", ("1.10.0", "1.15.0", "table:resource")),
        ("GatherTree", ("1.2.1", "1.15.0", "beams:$T")),
        ("KafkaDataset", ("1.6.0", "1.15.0", "handle:variant")),
        ("ZeroInitializer", ("0.12.1", "1.15.0", "output_ref:$T&")),
        # Built in:
        ("CriticalSectionOp", ("1.6.0", "1.6.0", "resource:resource")),
        ("RemoteFusedGraphExecute", ("1.2.1", "2.3.0", "outputs:*$Toutputs")),
        # Of builds for GPUs:
        ("TRTEngineOp", ("1.7.0", "2.15.0", "out_tensor:*$OutT")),
    ],
)
def test_ops_that_are_gone(name: str, row: tuple[str, str, str]) -> None:
    assert LIST[name] == row


@pytest.mark.parametrize(
    "name", ["ShellExecute", "PyCall", "LoadLibrary", "ExecuteOp", "SystemConfig"]
)
def test_no_invented_ops(name: str) -> None:
    assert name not in LIST
