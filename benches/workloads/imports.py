"""`import`: what it costs to start, as whole processes."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from harness import Side, alternate, process, tensorflow
from report import Row, under, within
from workload import Parameters, Workload

_NAME = "import"
_ROUNDS = 41
_ROUNDS_TENSORFLOW = 2
# What is imported only when it is needed is needed here.
_FIRST_USE = "import tensorbundle; tensorbundle.open('model.ckpt')['layer_00/kernel'].sum()"
_INSPECT = "tensorflow.python.tools.inspect_checkpoint"


def parameters(_size: float) -> Parameters:
    return {"tensors": 24}


def make(directory: Path, parameters: Parameters) -> None:
    tf = tensorflow()
    names = [f"layer_{index:02d}/kernel" for index in range(parameters["tensors"])]
    tf.raw_ops.SaveV2(
        prefix=str(directory / "model.ckpt"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.fill([16, index + 1], float(index)) for index in range(len(names))],
    )


def measure(directory: Path, _parameters: Parameters) -> list[Row]:
    def python(*arguments: str, name: str) -> Side:
        return Side(name, process([sys.executable, *arguments], directory))

    # The console script, as a user starts it.
    script = str(Path(sysconfig.get_path("scripts")) / "tensorbundle")
    times = alternate(
        [
            python("-c", "import numpy", name="numpy"),
            python("-c", "import tensorbundle", name="tensorbundle"),
            python("-c", _FIRST_USE, name="first use"),
            python("-c", "pass", name="python"),
            Side("ls", process([script, "ls", "model.ckpt"], directory)),
        ],
        _ROUNDS,
    )
    inspect = ("-m", _INSPECT, "--file_name", "model.ckpt")
    slow = alternate(
        [
            python("-c", "import tensorflow", name="tensorflow"),
            python(*inspect, name="inspect"),
        ],
        _ROUNDS_TENSORFLOW,
        # Too much code to stay in every page cache.
        attempts=1,
    )
    imported = ("`import tensorbundle`", times["tensorbundle"])
    listed = ("`ls` of a small checkpoint", times["ls"])
    return [
        Row(_NAME, *imported, "`import numpy`", times["numpy"], within(1.1)),
        Row(_NAME, *imported, "`python -c pass`", times["python"]),
        Row(_NAME, *imported, "`import tensorflow`", slow["tensorflow"]),
        Row(
            _NAME,
            "import, open, sum a tensor",
            times["first use"],
            "`import numpy`",
            times["numpy"],
        ),
        Row(_NAME, *listed, "TensorFlow's inspect_checkpoint", slow["inspect"], under(0.08, "s")),
    ]


WORKLOAD = Workload(_NAME, parameters, make, measure)
