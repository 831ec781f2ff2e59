"""The names of ``tf.train`` that read checkpoints, for code that has them already.

>>> import tensorbundle as tf
>>> for name, shape in tf.train.list_variables("run/model.ckpt-1000"):  # doctest: +SKIP
...     array = tf.train.load_variable("run/model.ckpt-1000", name)

Arguments and results are TensorFlow's: arrays are copies that may be written to, a scalar is a
NumPy scalar, a single string is ``bytes``, and every checksum is checked. What is better left to
TensorFlow's readers is not imitated: a damaged index is an error here, never a shorter list, and
partitioned variables of V1 files are read. Paths are paths, not patterns: the only pattern that is
known is that of the files of a V1 checkpoint, ``…-?????-of-00008``.

Paths may be URLs. ``storage_options``, which TensorFlow does not have, are those of
:func:`tensorbundle.open`; without them, a URL is read as fsspec is configured (``fsspec.config``).

Errors are those of :mod:`tensorbundle.errors` and ``OSError``. Where there is no checkpoint it is a
:class:`CheckpointNotFoundError`, which code that catches ``ValueError`` catches too.
"""

from __future__ import annotations

import os

from ._checkpoint import Checkpoint
from ._directory import STATE_FILE, CheckpointState, list_checkpoints, load_state
from ._native import is_checkpoint, named_in, read_state
from ._paths import is_dir, located
from .errors import CheckpointError, CorruptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ._dtype import DType
    from ._native import Reader
    from ._paths import StorageOptions
    from ._remote import Store

    Path = str | bytes | os.PathLike[str]

__all__ = [
    "CheckpointNotFoundError",
    "CheckpointReader",
    "NewCheckpointReader",
    "checkpoint_exists",
    "checkpoints_iterator",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
]


class CheckpointNotFoundError(CheckpointError, FileNotFoundError, ValueError):
    """There is no checkpoint at a path: what TensorFlow says with a ``ValueError``, or its own."""

    def __str__(self) -> str:
        return OSError.__str__(self)


def load_checkpoint(
    ckpt_dir_or_file: Path, *, storage_options: StorageOptions = None
) -> CheckpointReader:
    """Opens a checkpoint: a prefix, or a directory, of which it is the latest.

    Args:
        ckpt_dir_or_file: where it is.
        storage_options: of a URL, as for :func:`tensorbundle.open`.

    Raises:
        CheckpointNotFoundError: there is none.
        ValueError: ``storage_options`` for a path of this machine.
        CorruptionError, UnsupportedError, OSError: as :func:`tensorbundle.open`.
    """
    return CheckpointReader(ckpt_dir_or_file, storage_options=storage_options)


def NewCheckpointReader(  # noqa: N802 - TensorFlow's name
    filepattern: Path, *, storage_options: StorageOptions = None
) -> CheckpointReader:
    """The same by its older name."""
    return CheckpointReader(filepattern, storage_options=storage_options)


class CheckpointReader:
    """An open checkpoint. Made by :func:`load_checkpoint`. Safe to share between threads."""

    __slots__ = ("_ckpt",)

    def __init__(self, path: Path, *, storage_options: StorageOptions = None) -> None:
        """See :func:`load_checkpoint`."""
        path = os.fsdecode(path)
        try:
            self._ckpt = Checkpoint(path, verify=True, storage_options=storage_options)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _not_found(error) from None

    @property
    def _reader(self) -> Reader:
        return self._ckpt._open  # pyright: ignore[reportPrivateUsage]

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shape of each tensor, in stored order."""
        return {name: list(shape) for name, shape in self._ckpt.shapes().items()}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """The type of each tensor, in stored order: it has a ``name`` and an ``as_numpy_dtype``."""
        return self._reader.types()

    def has_tensor(self, tensor_str: str | bytes) -> bool:
        """Whether there is a tensor of this name."""
        return self._reader.has_key(_text(tensor_str))

    def get_tensor(self, tensor_str: str | bytes) -> Any:
        """The value of a tensor: an array of its own, a NumPy scalar, or the ``bytes`` of a string.

        Raises:
            TensorNotFoundError: there is no tensor of this name.
            CorruptionError, UnsupportedError, OSError: as :meth:`tensorbundle.Checkpoint.read`;
                its checksum is always checked.
        """
        import numpy as np

        name = _text(tensor_str)
        self._reader.require_key(name)  # not what an object of that name holds
        array = self._ckpt.read(name)
        own = np.array(array, array.dtype.newbyteorder("="), order="C")
        return own if own.ndim else own[()]

    def debug_string(self) -> bytes:
        """A line for each tensor: name, type and shape."""
        shapes = self._ckpt.shapes()
        lines = (
            f"{name} ({dtype.proto_name}) [{','.join(map(str, shapes[name]))}]\n"
            for name, dtype in self._reader.types().items()
        )
        return "".join(lines).encode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return f"<tensorbundle.train.CheckpointReader {self._ckpt.prefix!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._ckpt.path, self._ckpt._store)  # pyright: ignore[reportPrivateUsage]


def _reopen(path: str, store: Store | None) -> CheckpointReader:
    return CheckpointReader(path, storage_options=store)


def list_variables(
    ckpt_dir_or_file: Path, *, storage_options: StorageOptions = None
) -> list[tuple[str, list[int]]]:
    """Name and shape of each tensor, sorted by name.

    Takes ``storage_options`` and raises as :func:`load_checkpoint`.
    """
    reader = load_checkpoint(ckpt_dir_or_file, storage_options=storage_options)
    return sorted(reader.get_variable_to_shape_map().items())


def load_variable(
    ckpt_dir_or_file: Path, name: str, *, storage_options: StorageOptions = None
) -> Any:
    """The value of a tensor, whose name may end in ``:0``.

    Takes ``storage_options`` as :func:`load_checkpoint`, and raises as that and
    :meth:`CheckpointReader.get_tensor`.
    """
    reader = load_checkpoint(ckpt_dir_or_file, storage_options=storage_options)
    return reader.get_tensor(name.removesuffix(":0"))


def latest_checkpoint(
    checkpoint_dir: Path,
    latest_filename: str | None = None,
    *,
    storage_options: StorageOptions = None,
) -> str | None:
    """The latest checkpoint of a directory by its state file; ``None`` if there is none.

    A path in the file that leads out of the directory is not followed: if there is a checkpoint of
    that name beside the file, it is that; else there is a warning, and ``None``. TensorFlow follows
    it.

    Args:
        checkpoint_dir: the directory.
        latest_filename: the name of its state file, if it is another than ``checkpoint``.
        storage_options: of a URL, as for :func:`tensorbundle.open`.

    Raises:
        CorruptionError: the state file names no checkpoint.
        ValueError: ``storage_options`` for a path of this machine.
    """
    directory, store = located(os.fsdecode(checkpoint_dir), storage_options)
    # Of all that the file names, only the latest is looked for: iterators ask again and again.
    state = _tolerated(
        lambda: read_state(
            os.path.join(directory, latest_filename or STATE_FILE),  # noqa: PTH118
            store,
        )
    )
    if state is None:
        return None
    written: str = state[0]
    whole = os.path.join(directory, written)  # noqa: PTH118
    try:
        found = named_in(directory, written, False, store)
    except OSError:  # files of it are missing: opening it says which
        return whole
    if found is None and is_checkpoint(whole, store):
        _warn(
            f"the state file of {directory!r} names the checkpoint {whole!r}, which lies outside "
            "of that directory: it is not followed; give its path if you trust it"
        )
    return found


def get_checkpoint_state(
    checkpoint_dir: Path,
    latest_filename: str | None = None,
    *,
    storage_options: StorageOptions = None,
) -> CheckpointState | None:
    """The state file of a directory; ``None`` if there is none, or with a warning if it is no such.

    Takes ``storage_options`` as :func:`latest_checkpoint`.

    Raises:
        CorruptionError: it names no ``model_checkpoint_path``.
        ValueError: ``storage_options`` for a path of this machine.
    """
    directory = os.fsdecode(checkpoint_dir)
    name = latest_filename or STATE_FILE
    state: CheckpointState | None = _tolerated(
        lambda: load_state(directory, filename=name, storage_options=storage_options)
    )
    return state


def _tolerated(read: Callable[[], Any]) -> Any:
    """What reading a state file gives; ``None`` where TensorFlow goes on without one."""
    try:
        return read()
    except OSError:
        return None
    except CorruptionError as error:
        if "names no model_checkpoint_path" in str(error):
            raise
        _warn(str(error), 4)
        return None


def checkpoint_exists(checkpoint_prefix: Path, *, storage_options: StorageOptions = None) -> bool:
    """Whether there is a checkpoint, whole or not.

    Of this prefix, or with this file; or in this directory. Takes ``storage_options`` as
    :func:`latest_checkpoint`.
    """
    path, store = located(os.fsdecode(checkpoint_prefix), storage_options)
    if is_dir(path, store) and not is_checkpoint(path, store):
        return bool(list_checkpoints(path, storage_options=store))
    return is_checkpoint(path, store)


def checkpoints_iterator(
    checkpoint_dir: Path,
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
    *,
    storage_options: StorageOptions = None,
) -> Iterator[str]:
    """The latest checkpoint of a directory, and each newer one when it comes.

    Args:
        checkpoint_dir: the directory; it need not exist yet.
        min_interval_secs: at least so many seconds pass from one to the next.
        timeout: for how many seconds to wait for the next; without it, for ever.
        timeout_fn: called after that; if it gives true the iterator ends, else it waits on. Without
            it, the iterator ends.
        storage_options: of a URL, as for :func:`tensorbundle.open`.
    """
    import time

    last: str | None = None
    while True:
        new = _wait_for_new(checkpoint_dir, last, timeout, storage_options)
        if new is None:
            if timeout_fn is None or timeout_fn():
                return
            continue
        started = time.monotonic()
        last = new
        yield new
        left = started + min_interval_secs - time.monotonic()
        if left > 0:
            time.sleep(left)


# How often the state file is looked at, in seconds.
_POLL = 1.0


def _wait_for_new(
    directory: Path, last: str | None, timeout: float | None, storage_options: StorageOptions
) -> str | None:
    import time

    end = None if timeout is None else time.monotonic() + timeout
    while True:
        path = latest_checkpoint(directory, storage_options=storage_options)
        if path is not None and path != last:
            return path
        left = _POLL if end is None else min(_POLL, end - time.monotonic())
        if left <= 0:
            return None
        time.sleep(left)


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name


def _not_found(error: OSError) -> CheckpointNotFoundError:
    text = os.strerror(error.errno or 0) if error.strerror is None else error.strerror
    made = CheckpointNotFoundError(error.errno, text, error.filename)
    made.path = None if error.filename is None else os.fsdecode(error.filename)
    return made


def _warn(text: str, level: int = 3) -> None:
    import warnings

    warnings.warn(text, stacklevel=level)
