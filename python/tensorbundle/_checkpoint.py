"""An open checkpoint: a mapping from tensors' names to arrays."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping

from ._native import Reader
from ._paths import located
from .errors import TensorNotFoundError

TYPE_CHECKING = False  # importing typing would cost more than the rest of this package
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from ._chunk import Chunk
    from ._diff import Names
    from ._meta_graph import MetaGraph
    from ._native import ArrowTable, TensorInfo
    from ._object_graph import ObjectGraph
    from ._paths import StorageOptions
    from ._remote import Store
    from ._salvaged import Lost
    from ._stats import StatsReport
    from ._variables import Joined, Variables
    from ._verify import Progress, VerifyReport


def open(  # noqa: A001 - the name users expect, as in gzip.open
    path: str | os.PathLike[str],
    *,
    mmap: bool = True,
    verify: bool | None = None,
    follow: bool = False,
    on_error: str = "raise",
    progress: Progress | None = None,
    storage_options: StorageOptions = None,
) -> Checkpoint:
    """Opens a TensorFlow checkpoint, of any format.

    Reads the end of the index and the block with its header; tensors are read when asked for. V1
    and V2 are told apart by content. V1 files (before TensorFlow 0.12) hold their values in another
    form: they are always read, checked and copied.

    Args:
        path: the prefix (``"run/model.ckpt-1000"``), any file of the set (``.index``, ``.meta``,
            ``.data-…``), a V1 file or the pattern of several (``…-?????-of-00008``), a directory
            with a ``checkpoint`` state file or a single checkpoint, or a SavedModel directory.
            Taken as it is: ``*``, ``?`` and ``[`` mean nothing else in it. Or the URL of one:
            ``s3://``, ``gs://``, ``https://``, ``memory://`` and all others that fsspec knows (with
            ``tensorbundle[remote]``). Of those, only the bytes that are needed are fetched.
        mmap: map the data shards, so that arrays are views of them and nothing is copied. The files
            must then not be changed in place or cut short while the checkpoint or an array of it
            lives: the process could see other values, or be ended by ``SIGBUS`` when an array is
            touched. Copies are read, and checks bring pages in by a call that fails instead, so
            there it is an error. Replacing files by renaming is safe (Windows refuses it).
            ``False`` reads the bytes, with the same results: for network file systems, and for
            files that others write to.
        verify: check each tensor's checksum when it is first read. Strings and variants are always
            checked, and so is every block of the index; the bytes of other tensors only if asked,
            because a view does not read them. With ``on_error="skip"`` all are checked now, unless
            this is ``False``.
        follow: go where the state file says, also if that is outside of its directory. Without it,
            a path that leads out is looked for beside the file only: that finds the checkpoints of
            a directory that was moved, and keeps a state file from strangers harmless.
        on_error: ``"skip"`` salvages: what can be read of a damaged checkpoint is opened, every
            tensor that is still good and no other. Blocks of the index that are whole are used
            whatever is wrong with the rest; without a footer they are looked for.
            :attr:`Checkpoint.report` says what is lost, and why. Checks all checksums, with all
            cores, before it returns.
        progress: with ``on_error="skip"``, as for :func:`tensorbundle.verify`.
        storage_options: of a URL, what fsspec opens its file system with. Three are tensorbundle's
            own: ``cache`` (a directory, or ``True`` for this user's own) keeps indexes on this
            machine; ``whole_files=True`` agrees to fetch whole files, once, from servers that have
            no parts of them to give; ``filesystem`` is a file system of fsspec, or a store of
            obstore, that is open already, in which ``path`` is.

    Raises:
        OSError: with ``errno`` and ``filename``; a missing index, or a missing file of a V1
            checkpoint, is a ``FileNotFoundError``. With ``on_error="skip"`` only if there is no
            index, or no file at all.
        CorruptionError: the index or the state file is damaged, or is something else.
        UnsupportedError: a checkpoint of a version that this one cannot read.
        CheckpointError: what it takes to read such a URL is not installed.
        ValueError: ``on_error`` is neither; a NUL in the path; ``storage_options`` for a path of
            this machine.

    Source: FORMAT 1 (names), 2 (table), 3 (bundle), 6 (V1).
    """
    return Checkpoint(
        path,
        mmap=mmap,
        verify=verify,
        follow=follow,
        on_error=on_error,
        progress=progress,
        storage_options=storage_options,
    )


class Checkpoint(Mapping[str, "npt.NDArray[Any]"]):
    """A checkpoint as a read-only mapping: names in stored (bytewise) order, to NumPy arrays.

    Made by :func:`tensorbundle.open`. Safe to share between threads and across ``fork``; pickles as
    its path and options. Arrays outlive it.

    Of a URL, neither user, password and query nor ``storage_options`` are pickled (but ``cache``
    and ``whole_files``): who unpickles it reads with the configuration of its own machine.

    Opened with ``on_error="skip"`` it holds the tensors that are good; a look-up of one that is
    lost raises the :class:`CorruptionError` that says why.

    In a checkpoint of objects (TensorFlow 2) a name that no tensor has may also be the path of an
    object, or a variable's full name: see :meth:`ObjectGraph.resolve`. Iteration and ``len`` are
    by the tensors' own names.

    Names that are not UTF-8 hold lone surrogates (``surrogateescape``), as file names do.
    """

    __slots__ = (
        "__weakref__",
        "_follow",
        "_joined",
        "_lost",
        "_meta_graph",
        "_mmap",
        "_on_error",
        "_path",
        "_reader",
        "_report",
        "_store",
        "_verify",
    )

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mmap: bool = True,
        verify: bool | None = None,
        follow: bool = False,
        on_error: str = "raise",
        progress: Progress | None = None,
        storage_options: StorageOptions = None,
    ) -> None:
        """See :func:`tensorbundle.open`."""
        if on_error not in ("raise", "skip"):
            raise ValueError(f'on_error must be "raise" or "skip", not {on_error!r}')
        self._store: Store | None
        path, self._store = located(path, storage_options)
        self._path = path
        self._mmap = mmap
        self._verify = verify
        self._follow = follow
        self._on_error = on_error
        self._reader: Reader | None
        self._report: VerifyReport | None = None
        self._lost: Lost | None = None
        if on_error == "skip":
            self._salvage(progress)
        else:
            self._reader = Reader.open(path, mmap, bool(verify), follow, self._store)
        self._meta_graph: MetaGraph | None = None
        self._joined: Joined | None = None

    def _salvage(self, progress: Progress | None) -> None:
        from time import perf_counter

        from ._salvaged import Lost
        from ._verify import VerifyReport

        start = perf_counter()
        verify = self._verify is not False
        self._reader, raw = Reader.salvage(
            self._path, self._mmap, verify, self._follow, progress, self._store
        )
        self._report = VerifyReport(raw, perf_counter() - start)
        self._lost = Lost(self._report)

    def _find(self, name: str) -> Reader:
        """The reader, after saying so if the tensor is one that was not salvaged."""
        reader = self._open
        if self._lost is not None:
            self._lost.refuse(reader, name)
        return reader

    @property
    def _open(self) -> Reader:
        if self._reader is None:
            raise ValueError(f"checkpoint {self._path!r} is closed")
        return self._reader

    # The mapping.

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]:
        """The tensor ``name``, as :meth:`read` gives it."""
        return self.read(name)

    def __iter__(self) -> Iterator[str]:
        """The names, in stored order. Goes over the whole index once."""
        return iter(self._open.names())

    def __len__(self) -> int:
        """How many tensors. Goes over the whole index once."""
        return len(self._open)

    def __contains__(self, name: object, /) -> bool:
        """Is there a tensor ``name``, or an object that it means? Not one that is lost.

        Touches one block of the index; if not there, all, and then the object graph.

        Raises:
            CorruptionError, OSError: the index or the object graph cannot be read: that must not
                look like a missing name.
        """
        if not isinstance(name, str):
            return False
        reader = self._open
        if self._lost is not None and self._lost.key(reader, name) is not None:
            return False
        return reader.contains(name)

    if not TYPE_CHECKING:  # Mapping has the types; its own would look for near names on each miss

        def get(self, name, default=None, /):
            """The tensor ``name``, or ``default`` if there is none."""
            return self.read(name) if name in self else default

    # Two checkpoints are equal if they are one: comparing values is not what ``==`` should cost.
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]

    # Tensors.

    def read(
        self,
        name: str,
        *,
        rows: slice | range | None = None,
        aligned: bool = False,
        verify: bool | None = None,
    ) -> npt.NDArray[Any]:
        """Reads a tensor, or some rows of it.

        A tensor that is stored in one piece comes as a view of the mapped shard, without a copy,
        even where its bytes do not lie on a multiple of the element's size (TensorFlow packs them
        densely): then ``flags.aligned`` is false. Copied are: partitioned tensors (put together
        from their slices), strings and variants, everything of V1 files and if ``mmap=False``, and
        bfloat16 of a big-endian checkpoint (other types of it come with a byte-swapped dtype).

        Args:
            name: the tensor's name; or, of a checkpoint of objects, an object's path or full name.
            rows: indices of the first dimension, like ``array[rows]``. Only the bytes, and of a
                partitioned tensor only the slices, that hold them are read.
            aligned: copy if the view would not be aligned.
            verify: check the checksum of the tensor (of the touched slices) now; ``None``: as the
                checkpoint was opened. What was checked once is not checked again. V1 files are
                always checked.

        Returns:
            A read-only array of the tensor's shape and :attr:`TensorInfo.dtype`; 0-dimensional for
            a scalar. Strings are an object array of ``bytes``; variants one of the bytes of their
            ``VariantTensorDataProto``. Call ``.copy()`` for an array to write to.

        Raises:
            TensorNotFoundError: no such tensor; ``near`` holds names that are close. Or the name
                of an object leads to several.
            CorruptionError: entry, slices, shard or, where checked, checksum are not right; of a
                salvaged checkpoint: the tensor is lost, and why.
            UnsupportedError: a type whose values cannot be read (resources, unknown types).
            OSError: a shard is missing or cannot be read.
            IndexError, TypeError, ValueError: ``rows`` does not fit; the checkpoint is closed.

        Source: FORMAT 4 (values), 5 (slices).
        """
        try:
            elements, dtype, shape, step = self._find(name).read(name, rows, aligned, verify)
        except TensorNotFoundError as missing:
            if self._lost is not None:
                self._lost.explain(missing)
            raise
        from ._arrays import tensor

        array = tensor(name, elements, dtype, shape)
        return array if step == 1 else array[::step]

    def chunks(
        self,
        max_bytes: int = 64 << 20,
        *,
        names: Iterable[str] | None = None,
        read_ahead: bool = True,
    ) -> Generator[Chunk, None, None]:
        """Iterates over tensors in pieces of bounded size, in the order in which they lie on disk.

        For whoever goes over many tensors once: the files are read from front to back, and the next
        ``max_bytes`` while the last are worked on. A tensor of up to ``max_bytes`` comes whole. A
        larger one comes in pieces, cut along its first axis; where one row is too large, along the
        axes inside it::

            for name, part, array in ckpt.chunks(16 << 20):
                out[name][part] = array  # part is () for a tensor that comes whole

        Not cut are strings and variants, and tensors of V1 files, whose records must be read whole:
        those take the memory that they take.

        Args:
            max_bytes: of a piece, at most; at least 16, an element. At any moment twice as much is
                read and not yet handed out, at most; of a store, whose large tensors come in pieces
                of half of it, three times as much where many tensors are nearly as large, and what
                is on its way. Of mapped files it is views, as of :meth:`read`, and their pages are
                brought in; a file that was cut short is an error then.
            names: only these tensors; in any order, and each comes once.
            read_ahead: read in threads of their own what comes next. They end with the iteration,
                also with one that is broken off (at the latest when the iterator is closed or
                dropped).

        Returns:
            An iterator of :class:`Chunk`: name, part and array. One thread at a time may use it;
            each may have its own. It goes on in a process that was forked, and after
            :meth:`close`.

        Raises:
            TensorNotFoundError, CorruptionError: one of ``names`` is not there, or the index is not
                right; at once.
            CorruptionError, UnsupportedError, OSError: as :meth:`read`, when the iteration comes to
                the tensor. With ``verify=True`` a tensor that is cut is checked whole before its
                first piece, by a pass of its own.
            ValueError: ``max_bytes`` is below 16; the checkpoint is closed.
            TypeError: ``names`` is one string.
        """
        from ._chunks import chunks

        reader = self._open
        if max_bytes < 16:
            raise ValueError(f"max_bytes must be at least 16, one element; got {max_bytes}")
        if isinstance(names, str):
            raise TypeError(f"names must be several names, such as [{names!r}], not one string")
        if names is None:
            infos = self.infos()
        else:
            infos = list({info.name: info for info in map(self.info, names)}.values())
        return chunks(reader, infos, max_bytes, read_ahead, self.verify_on_read)

    def to_torch(self, name: str, *, share: bool = False) -> Any:
        """Reads a tensor as one of PyTorch, on the CPU.

        bfloat16 and float8 become PyTorch's own types of that name; quantized numbers the plain
        integers.

        Args:
            name: as for :meth:`read`.
            share: do not copy, if the tensor is aligned and of this machine's byte order: the
                result shares the mapped file. Only for tensors that nothing writes to: an operation
                in place, such as ``add_``, ends the process. Where it cannot be shared, it is
                copied.

        Returns:
            A ``torch.Tensor``: without ``share`` a copy of its own, to write to.

        Raises:
            ImportError: PyTorch is not installed.
            TypeError: strings and variants.
            UnsupportedError: a type that PyTorch lacks, such as int4.
            TensorNotFoundError, CorruptionError, OSError: as :meth:`read`.
        """
        from ._torch import to_torch

        return to_torch(self.read(name), name, share)

    def to_jax(self, name: str, *, device: Any = None) -> Any:
        """Reads a tensor as one of JAX.

        On the CPU it shares the mapped file, which nothing can write to through JAX, if it lies on
        a multiple of 64 bytes and is of this machine's byte order; else it is copied.

        Args:
            name: as for :meth:`read`.
            device: a device or sharding of JAX; its default if ``None``.

        Returns:
            A ``jax.Array`` of the tensor's own type; of quantized numbers, the plain integers.

        Raises:
            ImportError: JAX is not installed.
            TypeError: strings and variants.
            UnsupportedError: a type that JAX lacks; one of 64 bits that it would narrow, because
                ``jax_enable_x64`` is off.
            TensorNotFoundError, CorruptionError, OSError: as :meth:`read`.
        """
        from ._jax import to_jax

        return to_jax(self.read(name), name, device)

    def info(self, name: str) -> TensorInfo:
        """What the index says of a tensor. No data is touched.

        Raises:
            TensorNotFoundError: no such tensor; ``near`` holds names that are close.
            CorruptionError: its entry is not right, or it was not salvaged.
        """
        try:
            return self._find(name).info(name)
        except TensorNotFoundError as missing:
            if self._lost is not None:
                self._lost.explain(missing)
            raise

    def infos(self) -> list[TensorInfo]:
        """What the index says of every tensor, in stored order. No data is touched.

        Raises:
            CorruptionError: a block of the index, or an entry, is not right.
        """
        reader = self._open
        # Collections on the way would walk over objects that refer to nothing, again and again.
        collecting = gc.isenabled()
        gc.disable()
        try:
            return reader.infos()
        finally:
            if collecting:
                gc.enable()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, in stored order: the quick way to all of them.

        Raises:
            CorruptionError: a block of the index, or an entry, is not right.
        """
        return self._open.shapes()

    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """The dtype of every tensor, as :attr:`TensorInfo.dtype`, in stored order.

        Raises:
            CorruptionError: a block of the index, or an entry, is not right.
            UnsupportedError: a type that NumPy has no dtype for.
        """
        return self._open.dtypes()

    # Columns.

    def to_arrow(self, *, graph: bool = True) -> ArrowTable:
        """What the index says of every tensor, as columns in Arrow's format. No data is touched.

        In stored order: ``name``, ``dtype`` (TensorFlow's name), ``shape`` (list), ``elements``,
        ``bytes`` (stored; of a partitioned tensor, all slices), ``shard``, ``offset``, ``crc32c``
        (masked, as stored; these three are null for a partitioned tensor, the last two also in
        V1), ``aligned`` (whether it lies in its shard where its elements are aligned), ``slices``
        (0 if it is not partitioned), ``kind`` (weight, slot, average, step, other), ``variable``
        (its name; null if the tensor is no variable's) and ``scope`` (what stands before the last
        ``/`` of that).

        DuckDB, Polars, pandas and PyArrow read the result, and the checkpoint itself, as they are.

        Args:
            graph: ask the graph beside it, or its objects, what each tensor is for. Without, names
                tell.

        Raises:
            CorruptionError: a block of the index, or an entry, is not right.
            OSError, CorruptionError, UnsupportedError: the graph cannot be read.
        """
        meta = self.meta_graph if graph else None
        reader = None if meta is None else meta._reader  # pyright: ignore[reportPrivateUsage]
        return self._open.to_arrow(reader, graph)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """:meth:`to_arrow` as an ArrowArrayStream, for whoever takes the PyCapsule protocol."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    # Its values.

    def stats(
        self,
        names: Names | None = None,
        *,
        histogram: int = 0,
        progress: Progress | None = None,
    ) -> StatsReport:
        """What the values of its tensors are like: counts, extremes, mean, spread, norm.

        Reads every byte once (twice for histograms), with all cores, the GIL let go, without
        copies, a mebibyte at a time (of a store: up to two, 16 times at once); tensors of V1 files
        are read whole, each by one core. Counts of NaN, infinities, zeros and subnormals are exact,
        for every type of numbers. Sums are in float64, in blocks of 1,024 elements put together by
        Chan's update, and do not depend on the number of cores: of up to 2**32 elements the mean is
        within 1e-9 of the mean magnitude, as a bound; in practice within 1e-15.

        Args:
            names: only these tensors: a glob over the whole name, several, or a function.
            histogram: so many bins of equal width from the least to the greatest; 0 is none.
            progress: called some twenty times a second, in this thread, with the bytes done and all
                bytes. What it raises stops the work and comes out, as does ``KeyboardInterrupt``.

        Raises:
            CorruptionError, OSError: a tensor cannot be read; of a checkpoint that was opened with
                ``verify=True`` checksums are checked, too.
            ValueError: a number of bins below 0 or above 65,536.

        Source: FORMAT 4.
        """
        from time import perf_counter

        from ._diff import _chooser  # pyright: ignore[reportPrivateUsage]
        from ._native import stats
        from ._stats import StatsReport

        start = perf_counter()
        if histogram < 0:
            raise ValueError(f"histogram must not be below 0, not {histogram!r}")
        reader = self._open
        wanted = None if names is None else _chooser(names)
        which = None if wanted is None else [bool(wanted(name)) for name in reader.names()]
        raw = stats(reader, which, histogram, progress)
        skipped = tuple(row[0] for row in raw if row[3] is None)
        raw = [row for row in raw if row[3] is not None]
        return StatsReport(self.prefix, raw, skipped, perf_counter() - start)

    # Its soundness.

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Checks everything about it, reading all of its files anew.

        See :func:`tensorbundle.verify`, which also takes checkpoints that cannot be opened.

        Raises:
            OSError: its index is gone.
        """
        from time import perf_counter

        from ._verify import VerifyReport

        start = perf_counter()
        raw = self._open.verify(progress)
        return VerifyReport(raw, perf_counter() - start)

    @property
    def report(self) -> VerifyReport | None:
        """What was found when it was opened with ``on_error="skip"``; else ``None``.

        It stays when the checkpoint is closed.
        """
        return self._report

    # The graph.

    @property
    def meta_path(self) -> str | None:
        """The file with its graph.

        ``PREFIX.meta``, or a SavedModel's; ``None`` if there is none.
        """
        return self._open.meta_path

    @property
    def meta_graph(self) -> MetaGraph | None:
        """Its graph, opened when first asked for; ``None`` if there is none beside it.

        Of a SavedModel with several graphs the one tagged ``serve``;
        :func:`tensorbundle.load_meta_graph` opens the others.

        Raises:
            OSError, CorruptionError, UnsupportedError: as :func:`tensorbundle.load_meta_graph`.
        """
        path = self.meta_path
        if path is None:
            return None
        if self._meta_graph is None:
            from ._meta_graph import MetaGraph

            self._meta_graph = MetaGraph(path, mmap=self._mmap, storage_options=self._store)
        return self._meta_graph

    @property
    def object_graph(self) -> ObjectGraph | None:
        """The objects it was made of, parsed when first asked for; ``None`` if it has only names.

        Raises:
            CorruptionError: the graph is damaged.
            OSError: its shard is missing or cannot be read.

        Source: FORMAT 8.
        """
        nodes = self._open.object_graph
        if nodes is None:
            return None
        from ._object_graph import ObjectGraph

        return ObjectGraph(self, nodes)

    @property
    def variables(self) -> Variables:
        """Its variables, by the graph beside it, else by its objects, else by its tensors' names
        (FORMAT 7.5, 7.6, 8).

        Goes over the whole index and the whole graph once. No data is touched. To join it with
        another
        graph: ``tensorbundle.Variables(ckpt, meta_graph)``.

        Raises:
            OSError, CorruptionError, UnsupportedError: the graph or the index cannot be read.
        """
        from ._variables import Variables

        variables = Variables(self, self.meta_graph, self._joined)
        self._joined = variables._joined  # pyright: ignore[reportPrivateUsage]
        return variables

    # The checkpoint.

    @property
    def path(self) -> str:
        """What it was opened with."""
        return self._path

    @property
    def prefix(self) -> str:
        """The prefix that was found: what its files' names begin with."""
        return self._open.prefix

    @property
    def index_path(self) -> str | None:
        """Its index file; ``None`` in V1, whose files hold everything."""
        return self._open.index_path

    def shard_paths(self) -> list[str]:
        """Its data shards, whether they are there or not; in V1, its files."""
        reader = self._open
        return [reader.shard_path(i) for i in range(reader.num_shards)]

    @property
    def format(self) -> str:
        """``"V1"`` or ``"V2"``."""
        return self._open.format

    @property
    def num_shards(self) -> int:
        """How many data shards it has; in V1, how many files."""
        return self._open.num_shards

    @property
    def endianness(self) -> str:
        """``"little"`` or ``"big"``: byte order of the shards."""
        return self._open.endianness

    @property
    def producer(self) -> int:
        """Version of the format that its writer wrote (FORMAT 3.2)."""
        return self._open.producer

    @property
    def mmap(self) -> bool:
        """Whether it was opened to map its shards."""
        return self._mmap

    @property
    def verify_on_read(self) -> bool:
        """Whether it was opened to check checksums when tensors are first read."""
        return bool(self._verify) and self._on_error == "raise"

    @property
    def on_error(self) -> str:
        """``"raise"``, or ``"skip"`` if it was opened to salvage what is good."""
        return self._on_error

    # Its life.

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._reader is None

    def close(self) -> None:
        """Lets go of the files. Arrays and graphs stay valid and keep what they view mapped."""
        self._reader = None
        self._meta_graph = None
        self._joined = None

    def __enter__(self) -> Checkpoint:
        self._open  # noqa: B018 - raises if it is closed
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._reader is None:
            return f"<tensorbundle.Checkpoint {self._path!r} closed>"
        n = self.num_shards
        kind = f"{self.format} {n} shard{'s' * (n != 1)}"
        if self._report is not None:
            kind += f" salvaged, {len(self._report.lost)} lost"
        return f"<tensorbundle.Checkpoint {self.prefix!r} {kind}>"

    def __reduce__(self) -> tuple[Any, ...]:
        options = (self._mmap, self._verify, self._follow, self._on_error)
        return _reopen, (self._path, *options, self._store)


def _reopen(
    path: str,
    mmap: bool,
    verify: bool | None,
    follow: bool,
    on_error: str,
    store: Store | None,
) -> Checkpoint:
    return Checkpoint(
        path,
        mmap=mmap,
        verify=verify,
        follow=follow,
        on_error=on_error,
        storage_options=store,
    )
