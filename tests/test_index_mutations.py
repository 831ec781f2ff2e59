"""400 mutations of one index, its checksums repaired: no signal, no hang, no silent loss.

    .venv/bin/python tests/test_index_mutations.py

says what becomes of TensorFlow's reader with the same files, each in a process of its own. That is
no test: the number is TensorFlow's own affair.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuzz_bases import bases
from fuzz_files import run
from fuzz_worker import made

COUNT = 400


def test_an_error_or_an_answer(tmp_path: Path) -> None:
    failures = run("index", 0, COUNT, tmp_path)
    assert not failures, "\n".join(failures)


def test_most_of_them_change_the_index(tmp_path: Path) -> None:
    sound = bases(tmp_path)
    changed = {
        mutation.files["model.ckpt.index"]
        for mutation in (made(sound, "index", number)[0] for number in range(COUNT))
    }
    assert len(changed) > 300


def attempt(tf: Any, prefix: str) -> int:
    """Whether opening fails; tensors are asked for in turn, also behind one that fails."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = list(reader.get_variable_to_shape_map())
    except Exception:
        return 1
    for name in names:
        with suppress(Exception):
            reader.get_tensor(name)
    return 0


def tensorflow_reads(prefix: str) -> str:
    """What becomes of TensorFlow that lists and reads all tensors."""
    import tensorflow as tf

    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.alarm(20)
        os._exit(attempt(tf, prefix))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "an error" if os.WEXITSTATUS(status) else "a listing"


def main() -> None:
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sound = bases(place)
        base = sound[0]
        prefix = place / base.kind / base.path
        for number in range(COUNT):
            mutation, _ = made(sound, "index", number)
            for name, data in mutation.files.items():
                assert data is not None
                (place / base.kind / name).write_bytes(data)
            outcomes[tensorflow_reads(str(prefix))] += 1
    for outcome, count in outcomes.most_common():
        print(f"{count:4} {outcome}")


if __name__ == "__main__":
    sys.exit(main())
