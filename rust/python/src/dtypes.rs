//! Element types, looked up once each: NumPy's, which `tensorbundle/_dtypes.py` chooses, and TensorFlow's.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tensorbundle_wire::bundle::ByteOrder;
use tensorbundle_wire::dtype::DataType;

/// Room for every number the format defines.
const KNOWN: usize = 64;

static LITTLE: [PyOnceLock<Py<PyAny>>; KNOWN] = [const { PyOnceLock::new() }; KNOWN];
static BIG: [PyOnceLock<Py<PyAny>>; KNOWN] = [const { PyOnceLock::new() }; KNOWN];

/// The NumPy type of elements of type `dtype` that lie in byte order `order`. Imports NumPy.
pub(crate) fn numpy_dtype<'py>(
    py: Python<'py>,
    dtype: DataType,
    order: ByteOrder,
) -> PyResult<Bound<'py, PyAny>> {
    let make = || -> PyResult<Py<PyAny>> {
        let module = py.import("tensorbundle._dtypes")?;
        let args = (dtype.to_string(), order == ByteOrder::Big);
        Ok(module.call_method1("numpy_dtype", args)?.unbind())
    };
    let cells = if order == ByteOrder::Big { &BIG } else { &LITTLE };
    let cell = usize::try_from(dtype.0).ok().and_then(|number| cells.get(number));
    match cell {
        Some(cell) => Ok(cell.get_or_try_init(py, make)?.bind(py).clone()),
        None => Ok(make()?.into_bound(py)),
    }
}

/// Numbers of types and, from 100 on, of references to them.
const NUMBERS: usize = 164;

static DTYPES: [PyOnceLock<Py<PyAny>>; NUMBERS] = [const { PyOnceLock::new() }; NUMBERS];

/// The `DType` of a type in a graph. Does not import NumPy.
pub(crate) fn dtype(py: Python<'_>, dtype: DataType) -> PyResult<Bound<'_, PyAny>> {
    let make = || -> PyResult<Py<PyAny>> {
        let class = py.import("tensorbundle._dtype")?.getattr("DType")?;
        Ok(class.call_method1("_of", (dtype.0, dtype.to_string()))?.unbind())
    };
    match usize::try_from(dtype.0).ok().and_then(|number| DTYPES.get(number)) {
        Some(cell) => Ok(cell.get_or_try_init(py, make)?.bind(py).clone()),
        None => Ok(make()?.into_bound(py)),
    }
}

/// The `DType` of a number.
#[pyfunction]
pub(crate) fn dtype_of(py: Python<'_>, number: i32) -> PyResult<Bound<'_, PyAny>> {
    dtype(py, DataType(number))
}
