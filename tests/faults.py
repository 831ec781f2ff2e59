"""What the fault tests share: a sound bundle to break, and how an error must look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from tensorbundle.errors import CheckpointError, CorruptionError
from writer import Bundle


def sound() -> Bundle:
    """Three tensors in one shard; `bias` comes first on disk and in the index."""
    bundle = Bundle()
    bundle.add("bias", np.array([1, 2, 3], "<f4"))
    bundle.add("kernel", np.arange(6, dtype="<f4").reshape(2, 3))
    bundle.add("words", [b"one", b"", b"three"])
    return bundle


@contextmanager
def refused(
    error: type[CheckpointError],
    *fragments: str,
    path: str | Path | None = None,
    part: str | None = None,
    offset: int | None = None,
    tensor: str | None = None,
) -> Iterator[None]:
    """The body raises exactly `error`, with all fragments in its text and these attributes."""
    with pytest.raises(error) as caught:
        yield
    assert type(caught.value) is error
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message
    if path is not None:
        assert caught.value.path == str(path)
        assert Path(path).name in message
    if part is not None:
        assert caught.value.part == part
        assert part in message
    if offset is not None:
        assert caught.value.offset == offset
        assert str(offset) in message
    if tensor is not None:
        assert caught.value.tensor == tensor
        assert tensor in message


def touch(prefix: str, name: str = "kernel", **options: Any) -> None:
    """Open and read one tensor, wherever on the way the fault shows."""
    with tb.open(prefix, **options) as ckpt:
        ckpt[name]


def list_all(prefix: str, **options: Any) -> None:
    with tb.open(prefix, **options) as ckpt:
        ckpt.infos()


def both_refuse(prefix: str, *fragments: str, **attributes: Any) -> None:
    """A lookup and a listing are refused alike, mapped and read, and blame the index."""
    for act in (touch, list_all):
        for mmap in (True, False):
            with refused(CorruptionError, *fragments, path=prefix + ".index", **attributes):
                act(prefix, mmap=mmap)
