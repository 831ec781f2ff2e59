"""A directory of checkpoints, and its state file (FORMAT 1.4)."""

from __future__ import annotations

import os

from ._native import named_in, read_state, scan_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._checkpoint import Checkpoint

STATE_FILE = "checkpoint"

# More shards than any save has. A name can claim more, and each would be listed as missing.
MAX_SHARDS = 1 << 16


def load_state(
    directory: str | os.PathLike[str], *, filename: str = STATE_FILE, follow: bool = False
) -> CheckpointState:
    """Reads the state file of a directory: which checkpoints were saved there, and when.

    Args:
        directory: where the file lies.
        filename: what it is called there, if not ``checkpoint``.
        follow: believe paths in it that lead out of the directory. Without it, such a path stands
            for the checkpoint of that name beside the file, if there is one.

    Raises:
        OSError: there is no such file, or it cannot be read.
        CorruptionError: it is no text that TensorFlow writes, or it names no checkpoint.

    Source: FORMAT 1.4.
    """
    directory = os.fspath(directory)
    path = os.path.join(directory, filename)  # noqa: PTH118
    return CheckpointState(directory, path, follow)


class CheckpointState:
    """What a state file says. Made by :func:`tensorbundle.load_state`.

    The members have the names of TensorFlow's ``CheckpointState``. Paths are ready to be opened: a
    relative one is joined to the directory, and one from before the directory was moved is found
    beside the file. What is not there at all is given as it would be called.
    """

    __slots__ = (
        "all_model_checkpoint_paths",
        "all_model_checkpoint_timestamps",
        "last_preserved_timestamp",
        "model_checkpoint_path",
        "path",
        "recorded_path",
        "recorded_paths",
    )

    def __init__(self, directory: str, path: str, follow: bool) -> None:
        """See :func:`tensorbundle.load_state`."""
        latest, every, timestamps, preserved = read_state(path)
        self.path = path
        """The state file."""
        self.model_checkpoint_path = _usable(directory, latest, follow)
        """The latest checkpoint."""
        self.all_model_checkpoint_paths = [_usable(directory, each, follow) for each in every]
        """All checkpoints that were kept, oldest first."""
        self.all_model_checkpoint_timestamps = timestamps
        """When each was saved, in seconds since 1970; empty if the file does not say."""
        self.last_preserved_timestamp = preserved or 0.0
        """When one was kept for good, in seconds since 1970; 0 if the file does not say."""
        self.recorded_path = latest
        """The latest path as it is written in the file."""
        self.recorded_paths = every
        """All paths as they are written in the file."""

    def __repr__(self) -> str:
        number = len(self.all_model_checkpoint_paths)
        return f"<tensorbundle.CheckpointState {self.model_checkpoint_path!r} of {number}>"


def _usable(directory: str, written: str, follow: bool) -> str:
    try:
        found = named_in(directory, written, follow)
    except OSError:  # files of it are missing: opening it says which
        found = None
    return os.path.join(directory, written) if found is None else found  # noqa: PTH118


def list_checkpoints(
    directory: str | os.PathLike[str], *, filename: str = STATE_FILE
) -> list[StoredCheckpoint]:
    """The checkpoints in a directory, by the files that are there, in the order of their numbers.

    Opens none of them. Those that only the state file knows of are listed too, as missing. A
    directory without a state file, or with a broken one, is listed all the same.

    Args:
        directory: the directory itself; what lies in directories below is not looked for.
        filename: the name of the state file.

    Raises:
        OSError: the directory cannot be read.

    Source: FORMAT 1.
    """
    directory = os.fspath(directory)
    sizes = _sizes(directory)
    state: CheckpointState | None
    try:
        state = load_state(directory, filename=filename)
    except (OSError, ValueError):
        state = None
    times: dict[str, float | None] = {}
    latest = None
    if state is not None:
        stamps = state.all_model_checkpoint_timestamps
        paths = [_beside(directory, path) for path in state.all_model_checkpoint_paths]
        latest = _beside(directory, state.model_checkpoint_path)
        times = {latest: None, **dict.fromkeys(paths)}
        if len(stamps) == len(paths):
            pairs = zip(paths, stamps, strict=True)
            times.update((path, stamp) for path, stamp in pairs if abs(stamp) < float("inf"))
    found: dict[str, StoredCheckpoint] = {}
    for prefix, kind, files in scan_directory(directory):
        found[prefix] = StoredCheckpoint(prefix, kind, _files(prefix, kind, files, sizes))
    for prefix in times:
        if prefix not in found:
            found[prefix] = StoredCheckpoint(prefix, None, {})
    for prefix, each in found.items():
        each.recorded = prefix in times
        each.timestamp = times.get(prefix)
        each.latest = prefix == latest
    return sorted(found.values(), key=lambda each: _natural(each.name))


class StoredCheckpoint:
    """A checkpoint of a directory. Made by :func:`tensorbundle.list_checkpoints`."""

    __slots__ = ("files", "format", "latest", "prefix", "recorded", "timestamp")

    def __init__(self, prefix: str, kind: str | None, files: dict[str, int | None]) -> None:
        self.prefix = prefix
        """The path to open it by."""
        self.format = kind
        """``"V1"`` or ``"V2"``; ``None`` if only the state file knows of it."""
        self.files = files
        """Its files by name, with their sizes in bytes; ``None`` for a file that is missing."""
        self.recorded = False
        """Whether the state file knows of it."""
        self.timestamp: float | None = None
        """When it was saved, in seconds since 1970, if the state file says."""
        self.latest = False
        """Whether the state file says that it is the latest."""

    @property
    def name(self) -> str:
        """The last part of its prefix."""
        return os.path.basename(self.prefix)  # noqa: PTH119

    @property
    def step(self) -> int | None:
        """The number that its name ends with: the step, or the count of saves."""
        digits = self.prefix.rpartition("-")[2]
        return int(digits) if digits.isdecimal() and digits != self.prefix else None

    @property
    def nbytes(self) -> int:
        """Bytes of the files that are there."""
        return sum(size or 0 for size in self.files.values())

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of files that are missing."""
        return tuple(name for name, size in self.files.items() if size is None)

    def open(self, *, mmap: bool = True, verify: bool = False) -> Checkpoint:
        """Opens it: see :func:`tensorbundle.open`."""
        from ._checkpoint import Checkpoint

        return Checkpoint(self.prefix, mmap=mmap, verify=verify)

    def __repr__(self) -> str:
        what = self.format or "missing"
        return f"<tensorbundle.StoredCheckpoint {self.prefix!r} {what}>"


def _sizes(directory: str) -> dict[str, int]:
    """The files of a directory."""
    sizes: dict[str, int] = {}
    with os.scandir(directory or os.curdir) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    sizes[entry.name] = entry.stat().st_size
            except OSError:  # gone in the meantime, or a link to nothing
                continue
    return sizes


def _files(
    prefix: str, kind: str, files: list[str], sizes: dict[str, int]
) -> dict[str, int | None]:
    """What belongs to a checkpoint, there or not."""
    import re

    base = os.path.basename(prefix)  # noqa: PTH119
    if kind == "V1":
        names = [os.path.basename(file) for file in files]  # noqa: PTH119
    else:
        names = [f"{base}.index"]
        shards = [name for name in sizes if name.startswith(f"{base}.data-")]
        counts = {int(m[1]) for name in shards if (m := re.search(r"-of-(\d{5,})$", name))}
        if len(counts) == 1:
            count = counts.pop()
            shards = [f"{base}.data-{i:05d}-of-{count:05d}" for i in range(min(count, MAX_SHARDS))]
        names += sorted(shards)
    names += [name for name in (f"{base}.meta", f"{base}.debug") if name in sizes]
    return {name: sizes.get(name) for name in names}


def _beside(directory: str, path: str) -> str:
    """The prefix of a recorded path, were it in this directory.

    It may come from another system. Of a V1 checkpoint of several files a pattern is recorded.
    """
    import re

    name = re.sub(r"-\?{5}-of-\d{5,}$", "", re.split(r"[/\\]", path)[-1])
    return os.path.join(directory, name)  # noqa: PTH118


def _natural(name: str) -> list[tuple[int, str]]:
    """Orders model.ckpt-500 before model.ckpt-1000."""
    import re

    return [(len(run) if run.isdecimal() else 0, run) for run in re.split(r"(\d+)", name)]
