"""The files that a graph of a SavedModel needs (FORMAT 9.1)."""

# pathlib would take longer to import than all of this package.
# ruff: noqa: PTH118

from __future__ import annotations

import os

from ._paths import file_size, is_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._meta_graph import MetaGraph
    from ._remote import Store


class Asset:
    """A file that a graph needs: a vocabulary, for instance."""

    __slots__ = ("_store", "filename", "path", "problem", "tensor_name")

    def __init__(
        self, filename: str, tensor_name: str, directory: str, store: Store | None = None
    ) -> None:
        """They come from :attr:`SavedModel.assets`."""
        self._store = store
        self.filename = filename
        """Its name in ``assets/``, as the graph has it."""
        self.tensor_name = tensor_name
        """The tensor of the graph that is given its path: ``"asset_path_initializer:0"``."""
        inside = filename not in ("", ".", "..") and not set(filename) & set("/\\\0")
        self.path: str | None = os.path.join(directory, "assets", filename) if inside else None
        """Where it is; ``None`` if the name would lead out of the directory."""
        self.problem = None if inside else f"the name {filename!r} leads out of assets/"
        """Why it is not looked for; ``None`` if all is well."""

    @property
    def size(self) -> int | None:
        """Its bytes; ``None`` if it is not there, or not looked for."""
        if self.path is None or not self.exists:
            return None
        return file_size(self.path, self._store)

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self.path is not None and is_file(self.path, self._store)

    def __repr__(self) -> str:
        state = "" if self.exists else " missing" if self.problem is None else " not followed"
        return f"<tensorbundle.Asset {self.filename!r}{state}>"


def assets_of(graph: MetaGraph, directory: str, store: Store | None = None) -> list[Asset]:
    """The files that a graph needs."""
    found = graph.asset_file_def
    if not found:  # as TensorFlow 1 had it
        listed = graph.graph.get_collection("saved_model_assets")
        found = tuple(
            one for one in listed if getattr(one, "type_name", "") == "tensorflow.AssetFileDef"
        )
    assets: list[Asset] = []
    for one in found:
        info = one["tensor_info"]
        name = "" if info is None else info["name"]
        assets.append(Asset(one["filename"], name, directory, store))
    return assets
