"""The fingerprint of a SavedModel (FORMAT 9.3)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import Message


class Fingerprint:
    """What ``fingerprint.pb`` says of a SavedModel (FORMAT 9.3)."""

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        """It comes from :attr:`SavedModel.fingerprint`."""
        self.message = message
        """All of it: a FingerprintDef."""

    def _hash(self, name: str) -> int:
        number: int = self.message[name]
        return number

    @property
    def saved_model_checksum(self) -> int:
        """Of the graphs, written again in one order; not of the file's bytes."""
        return self._hash("saved_model_checksum")

    @property
    def graph_def_program_hash(self) -> int:
        """Of the graph."""
        return self._hash("graph_def_program_hash")

    @property
    def signature_def_hash(self) -> int:
        """Of the signatures."""
        return self._hash("signature_def_hash")

    @property
    def saved_object_graph_hash(self) -> int:
        """Of the object graph."""
        return self._hash("saved_object_graph_hash")

    @property
    def checkpoint_hash(self) -> int:
        """Of ``variables/variables.index``; 0 if there was none."""
        return self._hash("checkpoint_hash")

    @property
    def producer(self) -> int:
        """The version of fingerprints that the writer wrote; 0 if it does not say."""
        version = self.message["version"]
        return 0 if version is None else int(version["producer"])

    @property
    def uuid(self) -> str:
        """A random number, in decimal; ``""`` if there is none."""
        uuid: str = self.message["uuid"]
        return uuid

    @property
    def singleprint(self) -> str:
        """The four hashes that say whether two SavedModels are the same, joined with ``/``."""
        names = ("graph_def_program", "signature_def", "saved_object_graph", "checkpoint")
        return "/".join(str(self._hash(f"{name}_hash")) for name in names)

    def __repr__(self) -> str:
        return f"<tensorbundle.Fingerprint {self.singleprint}>"
