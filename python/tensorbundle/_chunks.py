"""A checkpoint from front to back, in pieces of bounded size: what a pipeline reads.

Pieces come as they lie in the files: by shard, then by offset. They are read in groups of
``max_bytes`` or less; while one group is handed out, a thread reads the next:

    group 1: a, b, c   → handed out         group 2: d[0:4]   → being read

Of a store, groups are half as large, and another thread reads the one after the next, so that its
line has no pause between the two.

A thread lives for one group, so nothing outlasts an iteration that stops early, and a fork leaves
nothing behind: whoever finds that its group was not read reads it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

from ._arrays import tensor
from ._chunk import Chunk
from .errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._native import Reader, TensorInfo

# However small they are: what is in a group takes memory beside its bytes.
_MOST_PIECES = 4096

# Groups of a store that are read at once.
_DEPTH_OF_STORE = 2


class _Piece(NamedTuple):
    """What is to be read: all of a tensor, or the rows at an index of its leading dimensions."""

    info: TensorInfo
    within: tuple[int, ...]
    rows: tuple[int, int] | None
    nbytes: int
    first: bool  # the first of a tensor that is cut

    @property
    def part(self) -> tuple[int | slice, ...]:
        return self.within if self.rows is None else (*self.within, slice(*self.rows))


def chunks(
    reader: Reader, infos: Iterable[TensorInfo], max_bytes: int, read_ahead: bool, verify: bool
) -> Generator[Chunk, None, None]:
    """The pieces of these tensors, in the order in which they lie in the files."""
    v1 = reader.format == "V1"
    depth = _DEPTH_OF_STORE if reader.is_remote and read_ahead else 1
    room = max(max_bytes // depth, 16)  # so that all of them are as much as one elsewhere
    pieces = itertools.chain.from_iterable(
        cut(info, max_bytes, v1, room) for info in sorted(infos, key=_place)
    )
    groups = _grouped(pieces, room)
    ahead: deque[Ahead] = deque()

    def fill() -> None:
        for group in itertools.islice(groups, depth - len(ahead)):
            ahead.append(Ahead(reader, group, verify))
            if read_ahead:
                ahead[-1].start()

    try:
        while True:
            fill()
            if not ahead:
                return
            found, error = ahead[0].take()
            ahead.popleft()
            if error is None:
                fill()
            while found:
                yield found.popleft()
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # which knows this frame, and so the files that it holds
    finally:
        for each in ahead:
            each.stop()
        for each in ahead:
            each.wait()


def _place(info: TensorInfo) -> tuple[int, int]:
    """Where it begins in the files. In V1 they are in the order of their names, as listed."""
    if info.shard is not None:
        return info.shard, info.offset or 0
    places = [(piece.shard or 0, piece.offset or 0) for piece in info.slices]
    return min(places, default=(0, 0))


def cut(info: TensorInfo, max_bytes: int, v1: bool, room: int) -> Iterator[_Piece]:
    """A tensor of ``max_bytes`` or less; of a larger one pieces of ``room`` bytes or less.

    Each is of elements that lie together.

    What cannot be read in parts is not cut: strings, whose lengths stand before all of them, and
    tensors of V1 files, whose records are read whole.
    """
    width = 0 if v1 or info.nbytes <= max_bytes else _width(info)
    if not width or not info.size:
        yield _Piece(info, (), None, info.nbytes, False)
        return
    # The outermost axis of which one index is small enough.
    shape, axis = info.shape, 0
    row = info.size // shape[0] * width
    while row > room and axis + 1 < len(shape):
        axis += 1
        row //= shape[axis]
    step = max(room // max(row, 1), 1)
    first = True
    for within in _indices(shape[:axis]):
        for start in range(0, shape[axis], step):
            rows = start, min(start + step, shape[axis])
            yield _Piece(info, within, rows, (rows[1] - start) * row, first)
            first = False


def _indices(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """``itertools.product`` of ranges, which would make lists of them: a claimed shape is cheap."""
    if not shape:
        yield ()
        return
    for outer in _indices(shape[:-1]):
        for i in range(shape[-1]):
            yield (*outer, i)


def _width(info: TensorInfo) -> int:
    """Bytes of an element; 0 if they differ, or reading will say what is wrong with the type."""
    try:
        dtype = info.dtype
    except UnsupportedError:
        return 0
    return 0 if dtype.hasobject or not info.shape else dtype.itemsize


def _grouped(pieces: Iterator[_Piece], most: int) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    room = most
    for piece in pieces:
        if group and (piece.nbytes > room or len(group) == _MOST_PIECES):
            yield group
            group, room = [], most
        group.append(piece)
        room -= piece.nbytes
    if group:
        yield group


# Bytes between two tensors that are fetched with them: they come sooner than another answer.
_GAP = 64 << 10


def neighbours(group: list[_Piece]) -> dict[int, tuple[int, int, int]]:
    """Runs of whole tensors that lie together: where each begins in the group; shard and bytes."""
    runs: dict[int, tuple[int, int, int]] = {}
    several: set[int] = set()
    first = -1
    for i, piece in enumerate(group):
        info = piece.info
        if piece.rows is not None or info.shard is None or info.offset is None:
            first = -1
            continue
        end = info.offset + info.nbytes
        if first >= 0:
            shard, start, last = runs[first]
            if info.shard == shard and last <= info.offset <= last + _GAP:
                runs[first] = shard, start, end
                several.add(first)
                continue
        first = i
        runs[i] = info.shard, info.offset, end
    return {i: run for i, run in runs.items() if i in several}


class Ahead:
    """A group of pieces, read by a thread of its own or by whoever takes them."""

    def __init__(self, reader: Reader, group: list[_Piece], verify: bool) -> None:
        self._reader = reader
        self._group = group
        self._verify = verify
        self._found: deque[Chunk] = deque()
        self._error: BaseException | None = None
        self._window: tuple[int, int, int] | None = None
        self._done = False
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begins to read, in a thread; without one to be had, it is read when it is taken."""
        thread = Thread(target=self._read, name="tensorbundle-chunks")
        try:
            thread.start()
        except RuntimeError:
            return
        self._thread = thread

    def take(self) -> tuple[deque[Chunk], BaseException | None]:
        """The pieces, and the error that came after them, if one did."""
        self.wait()
        if not self._done:  # there was no thread, or it is of the process before a fork
            self._found, self._error = deque(), None
            self._read()
        error, self._error = self._error, None  # it knows the frame that has this
        return self._found, error

    def stop(self) -> None:
        """Nobody wants it any more."""
        self._stopped.set()

    def wait(self) -> None:
        """Until nothing reads it any more."""
        if self._thread is not None:
            self._thread.join()

    def _read(self) -> None:
        try:
            ahead = neighbours(self._group) if self._reader.is_remote else {}
            for i, piece in enumerate(self._group):
                if i in ahead:
                    self._release()
                    self._window = ahead[i]
                    self._reader.read_ahead(*ahead[i])
                if self._stopped.is_set():
                    break
                self._found.append(self._chunk(piece))
            self._release()
        except BaseException as error:  # raised where it is taken
            self._error = error
        self._done = True

    def _release(self) -> None:
        """What was read ahead, and is now in the pieces, need not stay beside them."""
        if self._window is not None:
            shard, start, _ = self._window
            self._reader.read_ahead(shard, start, start)
            self._window = None

    def _chunk(self, piece: _Piece) -> Chunk:
        name = piece.info.name
        verify = None
        if piece.rows is not None and self._verify:
            # All of a tensor is checked before the first piece of it: to check each piece would
            # be to read all of it each time.
            if piece.first:
                self._reader.check(name)
            verify = False
        elements, dtype, shape, _ = self._reader.read_part(
            name, list(piece.within), piece.rows, verify
        )
        return Chunk(name, piece.part, tensor(name, elements, dtype, shape))
