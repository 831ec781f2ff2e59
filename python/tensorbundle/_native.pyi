"""The native module: use it through :mod:`tensorbundle`."""

from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, final

import numpy as np
from typing_extensions import Buffer

from ._columns import GraphColumns
from ._dtype import DType
from ._remote import Store

__version__: str
__debug_build__: bool

def tensorflow_versions() -> list[str]:
    """The versions of TensorFlow that the list of its ops was made from, in order."""

def tensorflow_op(name: str) -> tuple[str, str] | None:
    """The first and the last of :func:`tensorflow_versions` that has the op.

    ``None`` if none has.
    """

@final
class TensorBuffer(Buffer):
    """A tensor's bytes, read-only; whoever views them keeps them where they are."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...

@final
class SliceInfo:
    """One stored slice of a partitioned tensor (FORMAT 5.1)."""

    @property
    def start(self) -> tuple[int, ...]:
        """Where it begins, for each dimension."""
    @property
    def shape(self) -> tuple[int, ...]:
        """How long it is, for each dimension."""
    @property
    def shard(self) -> int | None:
        """Its shard; ``None`` if the index lacks its entry, as for all that follow."""
    @property
    def offset(self) -> int | None:
        """Where in the shard, in bytes."""
    @property
    def nbytes(self) -> int | None:
        """How many bytes of the shard."""
    @property
    def crc32c(self) -> int | None:
        """The masked checksum as stored."""

@final
class TensorInfo:
    """What the index says of a tensor (FORMAT 3.3). Equal if all of it is; picklable.

    Every attribute is made when it is asked for, and none touches the shards.
    """

    @property
    def name(self) -> str:
        """Its name; bytes that are not UTF-8 are lone surrogates (``surrogateescape``)."""
    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array that reading gives.

        ``object`` for strings and variants; ml_dtypes' for bfloat16, float8, float4, int4, int2;
        byte-swapped in a big-endian checkpoint. Imports NumPy. Raises UnsupportedError for a type
        that NumPy has none for.
        """
    @property
    def type_name(self) -> str:
        """TensorFlow's name of the type: ``"float32"``, ``"qint8"``, ``"unknown(99)"``."""
    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape; ``()`` for a scalar."""
    @property
    def size(self) -> int:
        """How many elements."""
    @property
    def nbytes(self) -> int:
        """How many bytes are stored; of a partitioned tensor, all slices together.

        In V1 files, which store numbers in other forms, the bytes of the elements.
        """
    @property
    def shard(self) -> int | None:
        """Number of its data shard; ``None`` for a partitioned tensor."""
    @property
    def offset(self) -> int | None:
        """Where in the shard, in bytes; ``None`` for a partitioned tensor, and in V1 files."""
    @property
    def crc32c(self) -> int | None:
        """The masked CRC-32C as stored (FORMAT 0.2, 4).

        ``None`` for a partitioned tensor, and in V1 files, whose blocks have checksums.
        """
    @property
    def aligned(self) -> bool:
        """Whether the array that reading gives is aligned for its type."""
    @property
    def zero_copy(self) -> bool:
        """Whether reading gives a view of the mapped shard."""
    @property
    def slices(self) -> tuple[SliceInfo, ...]:
        """Its slices; empty unless it is partitioned."""

@final
class Message:
    """A protobuf message, read-only: ``msg.field``, or ``msg["field"]`` for any name.

    A field is taken from the bytes when it is asked for. A string is a ``str``, with lone
    surrogates for what is not UTF-8; an enum is an ``int``; a repeated field is a tuple and a map a
    dict; a message that is not set is ``None``, and any other field that is not set is its default:
    ask :meth:`has`. The members of this class win over fields of the same name: those are
    ``msg["type_name"]``. Broken bytes raise CorruptionError when they are touched. Equal if type
    and bytes are; picklable.
    """

    @staticmethod
    def parse(type_name: str, data: bytes) -> Message:
        """A message of a type such as ``"tensorflow.NodeDef"``, from its serialized bytes."""
    @staticmethod
    def parse_text(type_name: str, text: bytes) -> Message:
        """A message of a type such as ``"tensorflow.GraphDef"``, from text format (``.pbtxt``)."""
    @property
    def type_name(self) -> str:
        """The full name of its type: ``"tensorflow.SaverDef"``."""
    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all fields that its type has, set or not."""
    def has(self, field: str) -> bool:
        """Whether a field is set; a repeated field or a map, whether it has values.

        As protobuf has it, a plain number, string or enum of proto3 that is the default is not set.
        """
    def which(self, oneof: str) -> str | None:
        """Which field of a oneof is set; ``None`` if none is."""
    def enum_name(self, field: str) -> str | tuple[str, ...]:
        """The name of an enum field's value; of a repeated field's, all; the number if none."""
    def to_bytes(self) -> bytes:
        """Its serialized bytes, as they are stored."""
    def to_dict(self) -> dict[str, Any]:
        """What is set, as plain objects: messages and maps are dicts, repeated fields lists."""
    def unpack(self) -> Message:
        """The message in a ``google.protobuf.Any``; UnsupportedError if its type is not known."""
    def __getattr__(self, name: str, /) -> Any:
        """The value of a field."""
    def __getitem__(self, key: str, /) -> Any:
        """The value of a field."""

@final
class ArrowTable:
    """Rows and columns in Arrow's format: DuckDB, Polars, pandas, PyArrow take them as they are.

    Immutable. Text is UTF-8: a byte of a name that is not becomes ``\\xNN``.
    """

    @staticmethod
    def from_columns(columns: list[tuple[str, str, Iterable[object]]]) -> ArrowTable:
        """A table of columns: name, kind and values of each, all of one length.

        Kinds are ``str``, ``int``, ``uint``, ``float``, ``bool``, ``list[int]``, ``list[float]``
        and ``list[str]``; any value can be ``None``.

        Raises:
            TypeError: another kind, or a value of another.
            ValueError: columns of several lengths.
        """
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as an ArrowArrayStream: the PyCapsule protocol. Nothing is copied.

        ``requested_schema`` is ignored, as the protocol allows.
        """
    def __arrow_c_schema__(self) -> object:
        """The columns as an ArrowSchema."""
    def __len__(self) -> int:
        """How many rows."""
    @property
    def num_rows(self) -> int:
        """How many rows."""
    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
    def column(self, name: str) -> list[Any]:
        """A column as a list of Python objects.

        Raises:
            ValueError: there is no such column.
        """
    def to_pydict(self) -> dict[str, list[Any]]:
        """All columns as lists of Python objects, by name."""
    def write(self, path: str | PathLike[str]) -> None:
        """Writes a file in Arrow's own format (IPC, "Feather").

        Raises:
            OSError: it cannot be written.
        """

@final
class ArrowWriter:
    """A file in Arrow's own format, to which tables of one schema are appended."""

    @staticmethod
    def create(path: str, like: ArrowTable) -> ArrowWriter: ...
    def append(self, table: ArrowTable) -> None: ...
    def close(self) -> None: ...

@final
class Places:
    """Where checkpoints are, or should be: below :mod:`tensorbundle.catalog`."""

    def __len__(self) -> int: ...
    def paths(self) -> list[str]: ...
    def signatures(self) -> list[tuple[str, str]]: ...
    def sizes(self) -> list[int]: ...
    def index_sizes(self) -> list[int]: ...
    def scan(
        self,
        numbers: list[int],
        verify: bool,
        stats: bool,
        mmap: bool,
        progress: Callable[[int, int], object] | None,
    ) -> tuple[ArrowTable, ArrowTable, ArrowTable, ArrowTable]: ...

def walk(
    roots: list[str],
    follow_links: bool,
    progress: Callable[[int, int], object] | None,
    store: Store | None = None,
    deep: bool = True,
    listed: bool = False,
) -> tuple[Places, ArrowTable, int, int]:
    """Below :func:`tensorbundle.catalog.discover`."""

def folders(directory: str, store: Store | None = None) -> tuple[list[str], int]:
    """The directories in one, by their names alone, and how many links to others."""

def stats(
    reader: Reader,
    which: list[bool] | None,
    bins: int,
    progress: Callable[[int, int], object] | None,
) -> list[RawStats]:
    """Below :meth:`tensorbundle.Checkpoint.stats`."""

def places_of(paths: list[str], store: Store | None = None) -> Places:
    """The places of these paths, as a walk finds them."""

@final
class Reader:
    """An open checkpoint: what :class:`tensorbundle.Checkpoint` is made of."""

    @staticmethod
    def open(
        path: str, mmap: bool, verify: bool, follow: bool, store: Store | None = None
    ) -> Reader: ...
    @staticmethod
    def salvage(
        path: str,
        mmap: bool,
        verify: bool,
        follow: bool,
        progress: Callable[[int, int], object] | None,
        store: Store | None = None,
    ) -> tuple[Reader, RawReport]:
        """A reader of the tensors that are sound, and what is wrong with the others."""

    def verify(self, progress: Callable[[int, int], object] | None) -> RawReport:
        """Checks everything, reading the files anew."""

    def to_arrow(self, graph: MetaGraphReader | None, objects: bool) -> ArrowTable: ...
    @property
    def prefix(self) -> str: ...
    @property
    def index_path(self) -> str | None: ...
    @property
    def format(self) -> str: ...
    @property
    def meta_path(self) -> str | None: ...
    @property
    def is_remote(self) -> bool: ...
    def read_ahead(self, shard: int, start: int, end: int) -> None:
        """Reads bytes of a shard in a store ahead of the tensors in them.

        They stay until an empty range from the same ``start`` is read.
        """

    @property
    def num_shards(self) -> int: ...
    @property
    def endianness(self) -> str: ...
    @property
    def producer(self) -> int: ...
    def shard_path(self, i: int) -> str: ...
    def __len__(self) -> int: ...
    def names(self) -> tuple[str, ...]: ...
    def shapes(self) -> dict[str, tuple[int, ...]]: ...
    def dtypes(self) -> dict[str, np.dtype[Any]]: ...
    def types(self) -> dict[str, DType]: ...
    def contains(self, name: str) -> bool: ...
    def has_key(self, name: str) -> bool: ...
    def require_key(self, name: str) -> None: ...
    def info(self, name: str) -> TensorInfo: ...
    def infos(self) -> list[TensorInfo]: ...
    @property
    def object_graph(self) -> ObjectGraphReader | None: ...
    def read(
        self, name: str, rows: slice | range | None, aligned: bool, verify: bool | None
    ) -> tuple[TensorBuffer | list[bytes], np.dtype[Any], tuple[int, ...], int]: ...
    def read_part(
        self, name: str, within: list[int], rows: tuple[int, int] | None, verify: bool | None
    ) -> tuple[TensorBuffer | list[bytes], np.dtype[Any], tuple[int, ...], int]:
        """The rows at an index of leading dimensions. The pages of a view are brought in."""

    def check(self, name: str) -> None:
        """Checks the checksums of a tensor, in bounded memory."""

def read_state(
    path: str, store: Store | None = None
) -> tuple[str, list[str], list[float], float | None]:
    """What a state file says: the latest path, all, their times, when one was kept for good."""

def named_in(directory: str, written: str, follow: bool, store: Store | None = None) -> str | None:
    """The path by which to open what the state file of a directory calls ``written``."""

def is_checkpoint(path: str, store: Store | None = None) -> bool:
    """Whether there is a checkpoint of this prefix, or of this pattern of V1 files."""

def scan_directory(directory: str, store: Store | None = None) -> list[tuple[str, str, int | None]]:
    """Prefix, format and, of V1, how many files, of each checkpoint in a directory."""

@final
class ObjectGraphReader:
    """The objects of a checkpoint: what :class:`tensorbundle.ObjectGraph` is made of."""

    def __len__(self) -> int: ...
    @property
    def prefix(self) -> str: ...
    @property
    def message(self) -> Message: ...
    def children(self, node: int) -> list[tuple[str, int]]: ...
    def edges(self, node: int) -> list[tuple[str, int, bool]]: ...
    def attributes(self, node: int) -> list[tuple[str, str, str, tuple[str, ...]]]: ...
    def key(self, node: int) -> str | None: ...
    def path(self, node: int) -> str | None: ...
    def short_path(self, node: int) -> str | None: ...
    def slots(self, node: int) -> list[tuple[str, int, int]]: ...
    def states(self, node: int) -> list[tuple[str, int]]: ...
    def saver(self, node: int) -> tuple[str, str] | None: ...
    def has_values(self, node: int) -> bool | None: ...
    def find(self, path: str) -> list[int]: ...
    def by_path(self, path: str) -> int: ...
    def by_key(self, key: str) -> int: ...
    def by_full_name(self, name: str) -> int: ...
    def resolve(self, name: str) -> str: ...
    def paths(self) -> dict[str, str]: ...
    def problems(self) -> list[str]: ...

@final
class AttrPlaceholder:
    """In the body of a function: an attribute's value that the caller gives."""

    @property
    def name(self) -> str:
        """The name of the caller's attribute."""

@final
class FunctionRef:
    """A function that an attribute names (NameAttrList). Equal if name and attributes are."""

    @property
    def name(self) -> str:
        """The function's name: see :attr:`Graph.functions`."""
    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes it is to be called with, as :meth:`Operation.get_attr` gives them."""

@final
class Operation:
    """A node of a graph (FORMAT 7.2). Equal if it is the same node of the same open graph.

    Everything is decoded when it is asked for; a fault in the node is raised then, as a
    CorruptionError.
    """

    @property
    def name(self) -> str:
        """Its name, unique in its graph. Bytes that are not UTF-8 are lone surrogates."""
    @property
    def type(self) -> str:
        """The name of its op, ``"MatMul"``; ``"_Arg"`` for an argument of a function."""
    @property
    def device(self) -> str:
        """The device it is placed on; ``""`` if on none."""
    @property
    def graph(self) -> Graph:
        """The graph it is in."""
    @property
    def index(self) -> int:
        """Its number: where it stands among the nodes of the file."""
    @property
    def nbytes(self) -> int:
        """How many bytes of the file it takes, a constant's value and all."""
    @property
    def inputs(self) -> list[Tensor]:
        """The tensors it takes, in order. In a function, each one of a list that is passed whole.

        Raises:
            CorruptionError: an input names a node or output that does not exist.
        """
    @property
    def control_inputs(self) -> list[Operation]:
        """The operations it waits for without taking a tensor of theirs.

        Raises:
            CorruptionError: an input names a node or output that does not exist.
        """
    @property
    def outputs(self) -> list[Tensor]:
        """The tensors it gives.

        How many the op's definition says: in the file's op list, of a function, or in the list of
        TensorFlow's own ops. Of an op without any, as many as are used, and at least one.
        """
    @property
    def control_outputs(self) -> list[Operation]:
        """The operations that wait for it without taking a tensor of it.

        Goes over all edges once.
        """
    def get_attr(self, name: str) -> Any:
        """The value of an attribute; where it was stripped, the default of the file's op list.

        Returns:
            ``int``, ``float``, ``bool``; ``bytes`` for a string; :class:`DType` for a type; for a
            shape a tuple with ``None`` for unknown dimensions, or ``None`` for an unknown rank;
            for a tensor a read-only array, which is a view of the file where its bytes allow it;
            :class:`FunctionRef`; :class:`AttrPlaceholder`; or a list of one of these.

        Raises:
            ValueError: there is no such attribute.
            CorruptionError: the value is damaged: a tensor of a false size, several kinds in a
            list.
            UnsupportedError: a tensor that would be expanded to more than 1 GiB, or of a type
            without a dtype.
        """
    @property
    def attrs(self) -> dict[str, Any]:
        """All attributes by name, as :meth:`get_attr` gives them."""
    @property
    def node_def(self) -> Message:
        """The NodeDef as it is in the file."""
    @property
    def op_def(self) -> Message | None:
        """The OpDef of its op in the file, or of the function it calls.

        ``None`` if there is none.
        """

@final
class Tensor:
    """An output of an operation. Equal if it is the same output of the same open graph."""

    @property
    def name(self) -> str:
        """``"operation:number"``, the name by which it is fed and fetched."""
    @property
    def op(self) -> Operation:
        """The operation it comes from."""
    @property
    def value_index(self) -> int:
        """Which output of its operation it is.

        In a function, outputs of an op that is defined nowhere are numbered as they are first
        named.
        """
    @property
    def graph(self) -> Graph:
        """The graph it is in."""
    @property
    def dtype(self) -> DType | None:
        """Its element type; ``None`` where nothing says."""
    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Its shape as far as the file says: ``None`` for an unknown dimension or rank.

        From ``_output_shapes``, a constant's value, attributes; nothing is inferred beyond that.
        """
    def consumers(self) -> list[Operation]:
        """The operations that take it, once for each input that does. Goes over all edges once."""

@final
class Function:
    """A function of the library (FORMAT 7.3)."""

    @property
    def name(self) -> str:
        """Its name, which nodes that call it have as their op or in an attribute."""
    @property
    def graph(self) -> Graph:
        """Its body: a graph with names of its own."""
    @property
    def arguments(self) -> list[Tensor]:
        """Its arguments, as tensors of operations of type ``_Arg``."""
    @property
    def returns(self) -> dict[str, list[Tensor]]:
        """The tensors of each output of its signature.

        Raises:
            CorruptionError: it returns a tensor that does not exist.
        """
    @property
    def control_returns(self) -> dict[str, Operation]:
        """The operations that run whenever it is called, by the names of its control outputs."""
    @property
    def attrs(self) -> dict[str, Any]:
        """Its own attributes by name, as :meth:`Operation.get_attr` gives them."""
    def arg_attrs(self, i: int) -> dict[str, Any]:
        """The attributes of argument ``i`` by name."""
    @property
    def function_def(self) -> Message:
        """Its FunctionDef as it is in the file, with the signature."""
    @property
    def nbytes(self) -> int:
        """How many bytes of the file it takes."""

@final
class Scope:
    """A name scope: the part of operations' names before a ``/``."""

    @property
    def name(self) -> str:
        """Its name with those of the scopes it lies in, ``"a/b"``; ``""`` for the root."""
    @property
    def num_operations(self) -> int:
        """How many operations are in it, at any depth."""
    @property
    def nbytes(self) -> int:
        """How many bytes of the file they take."""
    @property
    def children(self) -> list[Scope]:
        """The scopes right in it, in order of their names. 100 levels at most are told apart."""

@final
class Graph:
    """A graph, or the body of a function: the vocabulary of ``tf.Graph``, read-only (FORMAT 7).

    Immutable, shared without locks. Lists are in the order of the file. Where ``elements`` are
    asked for, give an operation, a tensor or a name of either, or several of them.
    """

    def to_arrow(self, *, functions: bool = False) -> ArrowTable:
        """The nodes as columns in Arrow's format; with ``functions`` those of all functions, too.

        ``function`` (the name of the function whose body it is in; null in the graph itself),
        ``name``, ``op``, ``device``, ``scope``, ``inputs`` (as stored: ``x``, ``x:1``) and
        ``controls`` (the nodes it waits for).

        Raises:
            CorruptionError: a function's body is damaged.
        """
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """:meth:`to_arrow` as an ArrowArrayStream, for whoever takes the PyCapsule protocol."""
    def __len__(self) -> int:
        """How many operations."""
    def __contains__(self, element: object, /) -> bool:
        """Is there an operation or tensor of this name; or is it one of this graph?"""
    def get_operations(self) -> list[Operation]:
        """All operations."""
    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of this name.

        Raises:
            NotInGraphError: a KeyError: there is none; ``near`` holds names that are close.
            ValueError: the name of a tensor.
            CorruptionError: several operations have this name.
        """
    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor of this name, ``"operation:number"`` (FORMAT 7.4).

        Raises:
            NotInGraphError: a KeyError: there is no such operation, or it has fewer outputs.
            ValueError: not the name of a tensor.
            CorruptionError: several operations have this name.
        """
    def as_graph_element(
        self, obj: object, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Tensor | Operation:
        """The operation or tensor that ``obj`` names; or ``obj``, if it is one of this graph.

        Raises:
            NotInGraphError, ValueError: as the look-ups by name; or it is of another graph.
            TypeError: neither a name nor an element that is allowed.
        """
    def get_collection(self, key: str, scope: str | None = None) -> list[Any]:
        """The items of a collection; none if there is no such collection (FORMAT 7.5).

        Args:
            key: the collection's key, ``"trainable_variables"``.
            scope: a regular expression: only items whose name begins with a match of it; items
                without a name are left out then.

        Returns:
            Operations and tensors; integers; floats; for the collections that TensorFlow fills with
            protos a :class:`Message` of its type (VariableDef, WhileContextDef, CondContextDef,
            QueueRunnerDef, SaverDef); what an Any holds, or the Any, if its type is not known; and
            ``bytes`` for anything else and for what does not parse.

        Raises:
            CorruptionError: it names an element that is not in the graph.
        """
    def get_all_collection_keys(self) -> list[str]:
        """The keys of all collections, in order."""
    @property
    def function_name(self) -> str | None:
        """The name of the function it is the body of; ``None`` for the graph itself."""
    @property
    def functions(self) -> dict[str, Function]:
        """The functions of the library by name, in the order of the file."""
    def op_counts(self, functions: bool = False) -> dict[str, int]:
        """How many nodes there are of each op, the most frequent first.

        ``functions``: in those too.
        """
    @property
    def placeholders(self) -> list[Operation]:
        """The operations that are fed: Placeholder, PlaceholderV2, PlaceholderWithDefault."""
    @property
    def outputs(self) -> list[Tensor]:
        """The tensors that look like results.

        No node takes them, and they are no state nor part of saving it.
        """
    @property
    def custom_ops(self) -> dict[str, list[Operation]]:
        """The nodes, in functions too, of each op that is neither TensorFlow's nor a function's.

        TensorFlow's are those of a list made from the registries of :func:`tensorflow_versions`.
        """
    def constants(self) -> list[Operation]:
        """The constants, in functions too, the largest first: see :attr:`Operation.nbytes`."""
    def ancestors(
        self, elements: object, *, control: bool = True, stop: object = None
    ) -> list[Operation]:
        """What ``elements`` depend on, they themselves included.

        Args:
            elements: where to start.
            control: follow control inputs too.
            stop: elements that are come to but not gone beyond, as if they were fed.

        Raises:
            CorruptionError: an input on the way names nothing.
        """
    def descendants(
        self, elements: object, *, control: bool = True, stop: object = None
    ) -> list[Operation]:
        """What depends on ``elements``, they themselves included.

        Arguments as in :meth:`ancestors`.
        """
    def between(self, sources: object, sinks: object, *, control: bool = True) -> list[Operation]:
        """What lies on the ways from ``sources`` to ``sinks``, both included."""
    def scopes(self) -> Scope:
        """The name scopes as a tree: its root."""
    def to_graph_def_bytes(self, outputs: object = None, *, inputs: object = None) -> bytes:
        """The graph as a serialized GraphDef, of the file's own bytes: nothing kept is changed.

        Args:
            outputs: only what these need, and the functions that those nodes need; ``None``: all.
            inputs: with ``outputs``: elements that are kept, but not what they depend on.

        Raises:
            ValueError: the body of a function is no GraphDef.
            CorruptionError: an input on the way names nothing.
        """
    def to_dot(self, operations: object = None) -> str:
        """The graph, or some operations of it, in the DOT language; control edges are dashed."""
    def columns(self) -> GraphColumns:
        """Names, ops and edges of all nodes as arrays. Imports NumPy."""
    def problems(self) -> list[str]:
        """What is wrong with nodes, functions and inputs: a sentence each; empty if all is well."""
    @property
    def producer(self) -> int:
        """The version of graphs that its producer wrote, new field or old.

        0 if the file does not say.
        """

@final
class MetaGraphReader:
    """An open graph file: what :class:`tensorbundle.MetaGraph` is made of."""

    @staticmethod
    def open(
        path: str, mmap: bool, tags: list[str] | None, store: Store | None = None
    ) -> MetaGraphReader: ...
    @staticmethod
    def parse(data: bytes, tags: list[str] | None) -> MetaGraphReader: ...
    @property
    def path(self) -> str | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def message(self) -> Message: ...
    @property
    def graph(self) -> Graph: ...
    def array(self, tensor: Message) -> np.ndarray[Any, np.dtype[Any]]: ...

@final
class SavedModelReader:
    """The file of a SavedModel: what :class:`tensorbundle.SavedModel` is made of."""

    @staticmethod
    def open(path: str, mmap: bool, store: Store | None = None) -> SavedModelReader: ...
    @property
    def path(self) -> str: ...
    @property
    def schema_version(self) -> int: ...
    def __len__(self) -> int: ...
    def tags(self) -> list[tuple[str, ...]]: ...
    def choose(self, tags: list[str] | None) -> int: ...
    def meta_graph(self, i: int) -> MetaGraphReader: ...

def read_fingerprint(path: str, store: Store | None = None) -> Message:
    """The FingerprintDef in a file."""

def index_fingerprint(path: str, mmap: bool, store: Store | None = None) -> int:
    """FarmHash's Fingerprint64 of a file."""

def dtype_of(number: int) -> DType:
    """The type of a number."""

RawStats = tuple[
    str,
    str,
    tuple[int, ...],
    tuple[
        tuple[int, int, int, int, int, int],
        tuple[float, float] | None,
        tuple[float, float, float] | None,
    ]
    | None,
    tuple[list[float], list[int]] | None,
]
"""Name, type, shape; the counts; least and greatest; mean, std, norm; edges and counts of bins."""

RawFinding = tuple[
    str,
    str,
    str | None,
    str | None,
    int | None,
    int | None,
    int | None,
    str | None,
    str | None,
    str,
]
"""Kind, part, tensor, path, shard, first byte, byte behind the last, got, want, sentence."""

RawReport = tuple[str, str, int, int, list[RawFinding], list[RawFinding], list[str]]
"""Prefix, format, how many tensors, how many bytes, findings, notes, lost tensors."""

def verify(
    path: str,
    mmap: bool,
    follow: bool,
    progress: Callable[[int, int], object] | None,
    store: Store | None = None,
) -> RawReport:
    """Checks the checkpoint that ``path`` means."""

RawFigures = tuple[int, int, int, int, int, float | None, float | None, float | None, float | None]
"""Elements, changed, beyond, finite, strange; largest and mean absolute difference, largest
relative one, cosine."""

RawDiff = tuple[
    str,
    str | None,
    str | None,
    tuple[str, tuple[int, ...]] | None,
    tuple[str, tuple[int, ...]] | None,
    str | None,
    RawFigures | None,
]
"""Kind, name in A and in B, type and shape in A and in B, why it cannot be told, figures."""

@final
class DiffRows:
    """What became of each tensor: what :class:`tensorbundle.DiffReport` is made of."""

    def __len__(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    def counts(self) -> dict[str, int]: ...
    def rows_of(self, kind: str, by_change: bool) -> list[int]: ...
    def names_of(self, kind: str) -> list[str]: ...
    def row(self, i: int) -> RawDiff: ...

def diff(
    a: Reader,
    b: Reader,
    renamed: list[str] | None,
    of_a: list[bool] | None,
    of_b: list[bool] | None,
    lost_of_a: list[str],
    lost_of_b: list[str],
    fast: bool,
    rtol: float,
    atol: float,
    progress: Callable[[int, int], object] | None,
) -> DiffRows:
    """Compares two checkpoints."""

def join(
    checkpoint: Reader | None, graph: MetaGraphReader | None
) -> tuple[list[VariableRow], list[tuple[str, str | None, str | None, str]]]:
    """Variables, and what does not fit: which way, the variable, the tensor, a sentence."""

@final
class VariableRow:
    """A variable as the join found it: what :class:`tensorbundle.Variable` is made of."""

    @property
    def name(self) -> str | None: ...
    @property
    def full_name(self) -> str | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def dtype(self) -> DType | None: ...
    @property
    def shape(self) -> tuple[int | None, ...] | None: ...
    @property
    def trainable(self) -> bool | None: ...
    @property
    def resource(self) -> bool | None: ...
    @property
    def collections(self) -> tuple[str, ...]: ...
    @property
    def key(self) -> str | None: ...
    @property
    def key_source(self) -> str | None: ...
    @property
    def stored(self) -> bool: ...
    @property
    def owner(self) -> int | None: ...
    @property
    def slot(self) -> str | None: ...
    @property
    def tensor_name(self) -> str | None: ...
    @property
    def initializer_name(self) -> str | None: ...
    @property
    def snapshot_name(self) -> str | None: ...
    @property
    def initial_value_name(self) -> str | None: ...
    def op(self, graph: MetaGraphReader) -> Operation | None: ...
    @property
    def place(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None: ...
    @property
    def parts(self) -> list[VariableRow]: ...
