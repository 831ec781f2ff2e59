"""A graph as columns: what 400,000 nodes are without 400,000 objects."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ._native import TensorBuffer


class GraphColumns:
    """Names, ops and edges of all nodes, as read-only arrays; made by :meth:`Graph.columns`.

    Nodes are rows in the order of the file. Edges are in the order of the nodes they lead to and of
    their inputs. Arguments of a function are numbered behind its nodes.
    """

    __slots__ = (
        "edge_dst",
        "edge_port",
        "edge_src",
        "name_bytes",
        "name_offsets",
        "op",
        "op_types",
    )

    op_types: tuple[str, ...]
    """The different ops, in order of their first node."""
    op: npt.NDArray[np.uint32]
    """For each node, which of :attr:`op_types` its op is."""
    name_offsets: npt.NDArray[np.int64]
    """Where each node's name begins in :attr:`name_bytes`; one more than there are nodes."""
    name_bytes: npt.NDArray[np.uint8]
    """All names, one behind the other: with the offsets, a column of texts as Arrow has them."""
    edge_dst: npt.NDArray[np.int32]
    """For each edge, the node that it leads to."""
    edge_src: npt.NDArray[np.int32]
    """For each edge, the node that it comes from; -1 if the input names nothing that there is."""
    edge_port: npt.NDArray[np.int32]
    """For each edge, which output of its source it is; -1 for a control edge."""

    def __init__(
        self,
        op_types: tuple[str, ...],
        op: TensorBuffer,
        name_offsets: TensorBuffer,
        name_bytes: TensorBuffer,
        edges: tuple[TensorBuffer, TensorBuffer, TensorBuffer],
    ) -> None:
        """Over the buffers of the native module, without a copy."""
        import numpy as np

        dst, src, port = edges
        self.op_types = op_types
        self.op = np.frombuffer(memoryview(op), np.uint32)
        self.name_offsets = np.frombuffer(memoryview(name_offsets), np.int64)
        self.name_bytes = np.frombuffer(memoryview(name_bytes), np.uint8)
        self.edge_dst = np.frombuffer(memoryview(dst), np.int32)
        self.edge_src = np.frombuffer(memoryview(src), np.int32)
        self.edge_port = np.frombuffer(memoryview(port), np.int32)

    def __len__(self) -> int:
        """How many nodes."""
        return len(self.op)

    def names(self) -> list[str]:
        """The names of all nodes, as ``str``."""
        from itertools import pairwise

        data, offsets = self.name_bytes.tobytes(), self.name_offsets.tolist()
        if data.isascii():
            text = data.decode("ascii")
            return [text[i:j] for i, j in pairwise(offsets)]
        return [data[i:j].decode("utf-8", "surrogateescape") for i, j in pairwise(offsets)]

    def __repr__(self) -> str:
        return f"<tensorbundle.GraphColumns {len(self)} nodes, {len(self.edge_dst)} edges>"
