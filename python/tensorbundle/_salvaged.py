"""What is lost of a salvaged checkpoint, when it is asked for.

A tensor that is lost must not look like one that never was, nor give way to another of its name:
names lead to tensors by key, by the path of an object, by full name, in this order.
"""

from __future__ import annotations

from ._verify import MORE, closed_shards, error_of
from .errors import CorruptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import ObjectGraphReader, Reader
    from ._verify import VerifyReport
    from .errors import TensorNotFoundError


class Lost:
    """The lost tensors of a checkpoint. It does not hold the reader, which may be closed."""

    __slots__ = ("_closed", "_full_names", "_incomplete", "_report")

    def __init__(self, report: VerifyReport) -> None:
        self._report = report
        self._closed = closed_shards(report)
        # A finding that is only counted may be of the index, too.
        kinds = ["damaged index", MORE]
        if report.format == "V1":  # each file knows itself what it holds
            kinds += ["missing shard", "unreadable"]
        self._incomplete = any(each.kind in kinds for each in report.findings)
        self._full_names: dict[str, str] | None = None

    def key(self, reader: Reader, name: str) -> str | None:
        """The tensor that ``name`` would mean, if that one is lost."""
        report = self._report
        if not report.lost:
            return None
        if report.is_lost(name):
            return name
        if reader.has_key(name):
            return None
        objects = reader.object_graph
        if objects is None:
            return None
        keys = [key for node in objects.find(name) for _, _, key, _ in objects.attributes(node)]
        if keys:
            return next(filter(report.is_lost, keys), None)
        if self._full_names is None:
            self._full_names = self._find_full_names(objects)
        return self._full_names.get(name)

    def _find_full_names(self, objects: ObjectGraphReader) -> dict[str, str]:
        """The full names of lost tensors. Another that shares its name is not meant alone."""
        found: dict[str, str] = {}
        for node in range(len(objects)):
            for _, full_name, key, _ in objects.attributes(node):
                if full_name and self._report.is_lost(key):
                    found.setdefault(full_name, key)
        return found

    def refuse(self, reader: Reader, name: str) -> None:
        """Raises what says why, if the tensor that ``name`` means is lost."""
        key = self.key(reader, name)
        if key is not None:
            raise self._error(key)

    def explain(self, missing: TensorNotFoundError) -> None:
        """Says that the index may have lost it, if parts of the index are damaged."""
        if self._incomplete:
            missing.add_note(
                "The index of this checkpoint is damaged, or a file of it is gone: the tensor may"
                " have been lost with that, which Checkpoint.report names."
            )

    def _error(self, tensor: str) -> CorruptionError:
        """The exception for a lost tensor."""
        report, shards = self._report, self._closed
        reason = report.reason(tensor)
        if reason is not None and reason.tensor is not None:
            return error_of(reason, reason.text)
        if reason is not None and reason.kind == MORE:
            text = f"the finding that says why may be one that was left out: {reason.text}"
            error = error_of(reason, f"tensor {tensor!r} is lost; {text}")
        elif len(shards) > 1:  # which one it was in, the report does not say
            text = f"its bytes are in one of {len(shards)} files that are gone or cannot be read"
            text += f", of which the first: {shards[0].text}"
            error = CorruptionError(f"tensor {tensor!r} is lost: {text}")
            error.part = shards[0].part
        elif reason is not None:
            error = error_of(reason, f"tensor {tensor!r} is lost: {reason.text}")
        else:
            text = f"tensor {tensor!r} of {report.prefix} is lost"
            error = CorruptionError(f"{text}: Checkpoint.report says what is damaged")
            error.path = report.prefix
        error.tensor = tensor
        return error
