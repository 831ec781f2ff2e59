"""Values of a tensor as JSON, written piece by piece so that memory stays small."""

from __future__ import annotations

import sys

import numpy as np

from tensorbundle.cli import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tensorbundle import TensorInfo

    Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 1 << 16


def write_json(info: TensorInfo, rows: slice | None, values: Array) -> None:
    """`rows` are what was asked for of the tensor, `values` what came."""
    document = {
        "name": info.name,
        "dtype": info.type_name,
        "shape": info.shape,
        "rows": None if rows is None else rows.indices(info.shape[0]),
    }
    head = _json.encode(document).removesuffix("}")
    sys.stdout.write(f'{head}, "values": ')
    sys.stdout.writelines(_pieces(values))
    sys.stdout.write("}\n")


def _pieces(values: Array) -> Iterator[str]:
    if values.ndim == 0 or values.size == 0:
        # Empty tensors may have any number of empty rows: the shape tells.
        yield _json.encode(plain(values) if values.size else [])
        return
    yield "["
    row_size = values.size // len(values)
    step = max(CHUNK // row_size, 1)
    for start in range(0, len(values), step):
        if start:
            yield ",\n"
        if row_size > CHUNK:
            yield from _pieces(values[start])
        else:
            yield _json.encode(plain(values[start : start + step]))[1:-1]
    yield "]"


def plain(values: Array) -> Any:
    """Nested lists of what JSON has."""
    kind = values.dtype.kind
    if kind == "O":
        return _map(_text, values)
    if kind == "c":
        return plain(np.stack((np.real(values), np.imag(values)), axis=-1))
    if kind == "V":  # ml_dtypes
        values = values.astype(np.int64 if "int" in values.dtype.name else np.float64)
    if values.dtype.kind == "f":
        values = values.astype(np.float64)
        if not np.isfinite(values).all():
            return _map(number, values)
    return values.tolist()


def _map(function: Any, values: Array) -> Any:
    return np.asarray(np.frompyfunc(function, 1, 1)(values), dtype=object).tolist()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def number(value: float) -> float | str:
    if value != value:
        return "NaN"
    return value if abs(value) != np.inf else "Infinity" if value > 0 else "-Infinity"
