"""Program (c): a hand-made activation, then an op that TensorFlow itself does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from program_files import activation, with_unknown_op
from program_runner import run_without_tensorflow


def test_the_activation(tf: Any, tmp_path: Path) -> None:
    prefix = activation(tf, tmp_path)
    values = tmp_path / "values.npz"
    run_without_tensorflow("program_activation", prefix, values, "plain")
    run_without_tensorflow("program_activation", f"{prefix}.meta", values, "plain")


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_with_an_op_that_nobody_knows(tf: Any, tmp_path: Path, text: bool) -> None:
    from google.protobuf import text_format

    prefix = activation(tf, tmp_path)
    meta = with_unknown_op(Path(f"{prefix}.meta"))
    data = text_format.MessageToString(meta).encode() if text else meta.SerializeToString()
    Path(f"{prefix}.meta").write_bytes(data)
    with tf.Graph().as_default(), pytest.raises(tf.errors.NotFoundError, match="OpThatNobodyKnows"):
        tf.compat.v1.train.import_meta_graph(meta)
    values = tmp_path / "values.npz"
    run_without_tensorflow("program_activation", prefix, values, "custom")
    run_without_tensorflow("program_activation", f"{prefix}.meta", values, "custom")
