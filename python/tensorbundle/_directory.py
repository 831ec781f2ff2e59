"""A directory of checkpoints, and its state file (FORMAT 1.4)."""

from __future__ import annotations

import os

from ._native import named_in, read_state, scan_directory
from ._paths import located

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._checkpoint import Checkpoint
    from ._paths import StorageOptions
    from ._remote import Store

STATE_FILE = "checkpoint"


def load_state(
    directory: str | os.PathLike[str],
    *,
    filename: str = STATE_FILE,
    follow: bool = False,
    storage_options: StorageOptions = None,
) -> CheckpointState:
    """Reads the state file of a directory: which checkpoints were saved there, and when.

    Args:
        directory: where the file lies.
        filename: what it is called there, if not ``checkpoint``.
        follow: believe paths in it that lead out of the directory. Without it, such a path stands
            for the checkpoint of that name beside the file, if there is one.
        storage_options: of a URL, what its file system is opened with, as for
            :func:`tensorbundle.open`.

    Raises:
        OSError: there is no such file, or it cannot be read.
        CorruptionError: it is no text that TensorFlow writes, or it names no checkpoint.

    Source: FORMAT 1.4.
    """
    directory, store = located(directory, storage_options)
    path = os.path.join(directory, filename)  # noqa: PTH118
    return CheckpointState(directory, path, follow, store)


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

    def __init__(self, directory: str, path: str, follow: bool, store: Store | None = None) -> None:
        """See :func:`tensorbundle.load_state`."""
        latest, every, timestamps, preserved = read_state(path, store)
        self.path = path
        """The state file."""
        self.model_checkpoint_path = _usable(directory, latest, follow, store)
        """The latest checkpoint."""
        self.all_model_checkpoint_paths = [
            _usable(directory, each, follow, store) for each in every
        ]
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


def _usable(directory: str, written: str, follow: bool, store: Store | None) -> str:
    try:
        found = named_in(directory, written, follow, store)
    except OSError:  # files of it are missing: opening it says which
        found = None
    return os.path.join(directory, written) if found is None else found  # noqa: PTH118


def list_checkpoints(
    directory: str | os.PathLike[str],
    *,
    filename: str = STATE_FILE,
    storage_options: StorageOptions = None,
) -> list[StoredCheckpoint]:
    """The checkpoints in a directory, by the files that are there, in the order of their numbers.

    Opens none of them. Those that only the state file knows of are listed too, as missing. A
    directory without a state file, or with a broken one, is listed all the same.

    Args:
        directory: the directory itself; what lies in directories below is not looked for.
        filename: the name of the state file.
        storage_options: of a URL, what its file system is opened with, as for
            :func:`tensorbundle.open`.

    Raises:
        OSError: the directory cannot be read.

    Source: FORMAT 1.
    """
    directory, store = located(directory, storage_options)
    sizes = _sizes(directory) if store is None else _sizes_in(directory, store)
    state: CheckpointState | None
    try:
        state = load_state(directory, filename=filename, storage_options=store)
    except (OSError, ValueError):
        state = None
    times: dict[str, float | None] = {}
    latest = None
    if state is not None:
        stamps = state.all_model_checkpoint_timestamps
        recorded = zip(state.all_model_checkpoint_paths, state.recorded_paths, strict=True)
        paths = [_beside(directory, *each) for each in recorded]
        latest = _beside(directory, state.model_checkpoint_path, state.recorded_path)
        times = {path: None for path in [latest, *paths] if path is not None}
        if len(stamps) == len(paths):
            times.update(
                (path, stamp)
                for path, stamp in zip(paths, stamps, strict=True)
                if path is not None and abs(stamp) < float("inf")
            )
    found: dict[str, StoredCheckpoint] = {}
    names = _by_stem(sizes)
    for prefix, kind, count in scan_directory(directory, store):
        stem = os.path.basename(prefix)  # noqa: PTH119
        own = {name: sizes[name] for name in sorted(names.get(stem, ()))}
        found[prefix] = StoredCheckpoint(prefix, kind, *_files(stem, kind, count, own), store)
    for prefix in times:
        if prefix not in found:
            found[prefix] = StoredCheckpoint(prefix, None, {}, 0, store)
    for prefix, each in found.items():
        each.recorded = prefix in times
        each.timestamp = times.get(prefix)
        each.latest = prefix == latest
    return sorted(found.values(), key=lambda each: natural(each.name))


class StoredCheckpoint:
    """A checkpoint of a directory. Made by :func:`tensorbundle.list_checkpoints`."""

    __slots__ = (
        "_store",
        "files",
        "format",
        "latest",
        "missing",
        "prefix",
        "recorded",
        "timestamp",
    )

    def __init__(
        self,
        prefix: str,
        kind: str | None,
        files: dict[str, int],
        missing: int,
        store: Store | None = None,
    ) -> None:
        self._store = store
        self.prefix = prefix
        """The path to open it by."""
        self.format = kind
        """``"V1"`` or ``"V2"``; ``None`` if only the state file knows of it."""
        self.files = files
        """Its files that are there, by name, with their sizes in bytes."""
        self.missing = missing
        """How many files are missing, as far as the names of the others say."""
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
        digits = self.name.rpartition("-")[2]
        return int(digits) if digits.isdecimal() and len(digits) < min(len(self.name), 19) else None

    @property
    def nbytes(self) -> int:
        """Bytes of the files that are there."""
        return sum(self.files.values())

    def open(self, *, mmap: bool = True, verify: bool = False) -> Checkpoint:
        """Opens it: see :func:`tensorbundle.open`."""
        from ._checkpoint import Checkpoint

        return Checkpoint(self.prefix, mmap=mmap, verify=verify, storage_options=self._store)

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


def _sizes_in(directory: str, store: Store) -> dict[str, int]:
    """The files of a directory in a store."""
    sizes: dict[str, int] = {}
    for name, is_dir, size, _, _ in store.list(directory):
        if not is_dir:
            path = f"{directory.rstrip('/')}/{name}"
            sizes[name] = store.stat(path)[1] if size is None else size
    return sizes


def _by_stem(sizes: dict[str, int]) -> dict[str, list[str]]:
    """The files of a directory by what their names begin with: the prefix they may belong to."""
    import re

    part = re.compile(
        r"(.*?)(\.index|\.meta|\.debug|\.data-\d{5,}-of-\d{5,}|-\d{5,}-of-\d{5,})?", re.DOTALL
    )
    found: dict[str, list[str]] = {}
    for name in sizes:
        match = part.fullmatch(name)
        stems = {name} if match is None else {name, match[1]}
        for stem in stems:
            found.setdefault(stem, []).append(name)
    return found


def _files(
    stem: str, kind: str, count: int | None, own: dict[str, int]
) -> tuple[dict[str, int], int]:
    """What belongs to a checkpoint, of files whose names begin like it; how many are missing."""
    import re

    values = re.compile(
        r"-(\d{5,})-of-(\d{5,})" if kind == "V1" else r"\.data-(\d{5,})-of-(\d{5,})"
    )
    files: dict[str, int] = {}
    numbers: dict[int, set[int]] = {}
    for name, size in own.items():
        match = values.fullmatch(name[len(stem) :])
        if match is None:
            beside = (".meta", ".debug") if kind == "V1" else (".index", ".meta", ".debug")
            if (name == stem and kind == "V1" and count is None) or name[len(stem) :] in beside:
                files[name] = size
            continue
        if kind == "V2" or int(match[2]) == count:
            files[name] = size
            numbers.setdefault(int(match[2]), set()).add(int(match[1]))
    if len(numbers) != 1:  # none, or those of several saves: the index says which are its own
        return files, 0
    ((total, there),) = numbers.items()
    return files, max(total - len(there), 0)


def _beside(directory: str, path: str, written: str) -> str | None:
    """The prefix of a recorded path in this directory; ``None`` if it is of another.

    What a directory that was moved has lost is named as it would be called in it. The path may come
    from another system; of a V1 checkpoint of several files a pattern is recorded.
    """
    import re

    folder, name = os.path.split(path)
    if os.path.normpath(folder) != os.path.normpath(directory):
        if not os.path.isabs(written):  # noqa: PTH117
            return None
        name = os.path.basename(written)  # noqa: PTH119
    name = re.sub(r"-\?{5}-of-\d{5,}$", "", name.rpartition("\\")[2])
    return os.path.join(directory, name)  # noqa: PTH118


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by: model.ckpt-500 before model.ckpt-1000."""
    import re

    return [(len(run) if run.isdecimal() else 0, run) for run in re.split(r"(\d+)", name)]
