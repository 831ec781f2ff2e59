"""The native module: use it through :mod:`tensorbundle`."""

from typing import Any, final

import numpy as np
from typing_extensions import Buffer

__version__: str
__debug_build__: bool

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
        """How many bytes are stored; of a partitioned tensor, all slices together."""
    @property
    def shard(self) -> int | None:
        """Number of its data shard; ``None`` for a partitioned tensor."""
    @property
    def offset(self) -> int | None:
        """Where in the shard, in bytes; ``None`` for a partitioned tensor."""
    @property
    def crc32c(self) -> int | None:
        """The masked CRC-32C as stored (FORMAT 0.2, 4); ``None`` for a partitioned tensor."""
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
class Reader:
    """An open checkpoint: what :class:`tensorbundle.Checkpoint` is made of."""

    @staticmethod
    def open(path: str, mmap: bool, verify: bool) -> Reader: ...
    @property
    def prefix(self) -> str: ...
    @property
    def index_path(self) -> str: ...
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
    def contains(self, name: str) -> bool: ...
    def info(self, name: str) -> TensorInfo: ...
    def infos(self) -> list[TensorInfo]: ...
    def read(
        self, name: str, rows: slice | range | None, aligned: bool, verify: bool | None
    ) -> tuple[TensorBuffer | list[bytes], np.dtype[Any], tuple[int, ...], int]: ...
