//! Values of attributes as Python objects.

use super::Place;
use crate::buffer::TensorBuffer;
use crate::dtypes;
use crate::names::Name;
use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use tensorbundle_graph::{Attr, Func, List, PartialShape};
use tensorbundle_wire::bundle::ByteOrder;
use tensorbundle_wire::tensor_proto::{Elements, decode};
use tensorbundle_wire::{Fault, limits};

/// A function that an attribute names, with the attributes it is to be called with.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct FunctionRef {
    name: Py<PyString>,
    attrs: Py<PyDict>,
    /// The same, as arrays cannot be held against each other.
    raw: Vec<(Bytes, Attr)>,
}

#[pymethods]
impl FunctionRef {
    /// The function's name.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.name.bind(py).clone()
    }

    /// The attributes that stand with it, by name.
    #[getter]
    fn attrs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.attrs.bind(py).copy()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("FunctionRef({})", self.name.bind(py).repr()?))
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else {
            return Ok(false);
        };
        let other = other.get();
        Ok(self.name.bind(py).as_any().eq(other.name.bind(py))? && self.raw == other.raw)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.name.bind(py).hash()
    }
}

/// An attribute that a function leaves to its caller.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct AttrPlaceholder {
    name: Bytes,
}

#[pymethods]
impl AttrPlaceholder {
    /// The name of the caller's attribute.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Name(&self.name).into_pyobject(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("AttrPlaceholder({})", self.name(py)?.repr()?))
    }
}

/// A shape: a tuple, with `None` for a dimension that is not known; `None` where not even the rank is.
pub(crate) fn shape<'py>(py: Python<'py>, shape: &PartialShape) -> PyResult<Bound<'py, PyAny>> {
    Ok(match shape {
        Some(dims) => PyTuple::new(py, dims)?.into_any(),
        None => py.None().into_bound(py),
    })
}

/// A serialized TensorProto as an array. Its elements are a view of the file wherever it has them as they are.
pub(crate) fn array<'py>(
    py: Python<'py>,
    place: &Place,
    tensor: &Bytes,
) -> PyResult<Bound<'py, PyAny>> {
    let value = decode(tensor).map_err(|fault| place.raise(py, fault))?;
    let list = |list: &[Bytes]| -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, list.iter().map(|bytes| PyBytes::new(py, bytes)))?.into_any())
    };
    let raw = |bytes| Ok::<_, PyErr>(Bound::new(py, TensorBuffer(bytes))?.into_any());
    let (elements, splat) = match value.elements {
        Elements::Raw(bytes) => (raw(bytes)?, false),
        Elements::List(strings) => (list(&strings)?, false),
        Elements::Splat(bytes) => (raw(bytes)?, true),
        Elements::SplatList(bytes) => (list(&[bytes])?, true),
    };
    let dtype = dtypes::numpy_dtype(py, value.dtype, ByteOrder::Little)?;
    let shape = PyTuple::new(py, value.shape.dims())?;
    let make = py.import("tensorbundle._arrays")?.getattr("array")?;
    make.call1((elements, dtype, &shape, splat)).map_err(|reason| {
        // More dimensions than NumPy has, or sizes that overflow.
        if !reason.is_instance_of::<PyValueError>(py) {
            return reason;
        }
        let what = format!("NumPy has no array of shape {}: {}", value.shape, reason.value(py));
        place.raise(py, Fault::unsupported("tensor", what))
    })
}

/// An attribute's value.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    place: &Place,
    attr: &Attr,
) -> PyResult<Bound<'py, PyAny>> {
    value(py, place, attr, 0)
}

fn value<'py>(
    py: Python<'py>,
    place: &Place,
    attr: &Attr,
    depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match attr {
        Attr::None => PyList::empty(py).into_any(), // as TensorFlow's get_attr has it
        Attr::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Attr::Int(int) => PyInt::new(py, *int).into_any(),
        Attr::Float(float) => PyFloat::new(py, f64::from(*float)).into_any(),
        Attr::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Attr::Type(dtype) => dtypes::dtype(py, *dtype)?,
        Attr::Shape(dims) => shape(py, dims)?,
        Attr::Tensor(tensor) => array(py, place, tensor)?,
        Attr::Placeholder(name) => {
            Bound::new(py, AttrPlaceholder { name: name.clone() })?.into_any()
        }
        Attr::Func(func) => function(py, place, func, depth)?,
        Attr::List(list) => elements(py, place, list, depth)?.into_any(),
    })
}

fn elements<'py>(
    py: Python<'py>,
    place: &Place,
    list: &List,
    depth: usize,
) -> PyResult<Bound<'py, PyList>> {
    match list {
        List::Empty => Ok(PyList::empty(py)),
        List::Bytes(list) => PyList::new(py, list.iter().map(|bytes| PyBytes::new(py, bytes))),
        List::Ints(list) => PyList::new(py, list),
        List::Floats(list) => PyList::new(py, list.iter().map(|&float| f64::from(float))),
        List::Bools(list) => PyList::new(py, list),
        List::Types(list) => all(py, list, |&dtype| dtypes::dtype(py, dtype)),
        List::Shapes(list) => all(py, list, |dims| shape(py, dims)),
        List::Tensors(list) => all(py, list, |tensor| array(py, place, tensor)),
        List::Funcs(list) => all(py, list, |func| function(py, place, func, depth)),
    }
}

/// A list of elements each of which can fail.
fn all<'py, T>(
    py: Python<'py>,
    list: &[T],
    make: impl FnMut(&T) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, list.iter().map(make).collect::<PyResult<Vec<_>>>()?)
}

fn function<'py>(
    py: Python<'py>,
    place: &Place,
    func: &Func,
    depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    if depth > limits::MAX_MESSAGE_DEPTH {
        let what = format!("functions nest deeper than {}", limits::MAX_MESSAGE_DEPTH);
        return Err(place.raise(py, Fault::corrupt("attribute", what)));
    }
    let attrs = PyDict::new(py);
    let raw = func.attrs().map_err(|fault| place.raise(py, fault))?;
    for (name, attr) in &raw {
        attrs.set_item(Name(name), value(py, place, attr, depth + 1)?)?;
    }
    let name = Name(&func.name).into_pyobject(py)?.unbind();
    Ok(Bound::new(py, FunctionRef { name, attrs: attrs.unbind(), raw })?.into_any())
}
