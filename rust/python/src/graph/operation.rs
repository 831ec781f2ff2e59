//! A node, and an output of one.

use super::{Graph, Place, attrs, element};
use crate::dtypes;
use crate::errors::short_repr;
use crate::message::Message;
use crate::names::{self, Name};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use std::borrow::Cow;
use tensorbundle_graph::{CONTROL, Edge};

/// A node of a graph.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    pub(crate) place: Place,
    pub(crate) i: u32,
}

/// An output of a node.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Tensor {
    pub(crate) place: Place,
    pub(crate) i: u32,
    pub(crate) port: u32,
}

/// How many attributes an error lists.
const LISTED: usize = 20;

impl Operation {
    fn edges(&self, py: Python<'_>) -> PyResult<Vec<Edge>> {
        self.place.detached(py, |graph| graph.inputs(self.i))
    }
}

#[pymethods]
impl Operation {
    /// Its name, unique in its graph.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Name(self.place.graph(py)?.body().name(self.i)).into_pyobject(py)
    }

    /// What it does: the name of its op.
    #[getter(r#type)]
    fn type_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Name(self.place.graph(py)?.body().op(self.i)).into_pyobject(py)
    }

    /// The device it is placed on; `""` if on none.
    #[getter]
    fn device<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let graph = self.place.graph(py)?;
        Name(graph.body().node(self.i).map_or(&[], |node| node.device())).into_pyobject(py)
    }

    /// The graph it is in.
    #[getter]
    fn graph(&self) -> Graph {
        Graph(self.place.clone())
    }

    /// Its number: where it stands in the file.
    #[getter]
    fn index(&self) -> u32 {
        self.i
    }

    /// How many bytes of the file it takes, a constant's value and all.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.place.graph(py)?.body().node_len(self.i))
    }

    /// The tensors it takes, in order.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let edges = self.edges(py)?;
        let data = edges.iter().filter_map(|edge| Some((edge.src, u32::try_from(edge.port).ok()?)));
        let tensors: Vec<_> = data.map(|(i, port)| self.place.tensor(i, port)).collect();
        PyList::new(py, tensors)
    }

    /// The operations it waits for without taking a tensor of theirs.
    #[getter]
    fn control_inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let edges = self.edges(py)?;
        let control = edges.iter().filter(|edge| edge.port == CONTROL).map(|edge| edge.src);
        self.place.operations(py, control.collect::<Vec<_>>())
    }

    /// The tensors it gives.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let i = self.i;
        let len = self.place.detached(py, |graph| Ok(graph.all_ports(i)?.len()))?;
        PyList::new(py, (0..len).map(|port| self.place.tensor(i, port)))
    }

    /// The operations that wait for it without taking a tensor of it.
    #[getter]
    fn control_outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let i = self.i;
        let users = self.place.detached(py, |graph| {
            Ok(graph.edges()?.users_of(i, CONTROL).map(|used| used.dst).collect::<Vec<_>>())
        })?;
        self.place.operations(py, users)
    }

    /// The value of an attribute.
    fn get_attr<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let graph = self.place.graph(py)?;
        let wanted = names::from_python(name)?.unwrap_or(Cow::Borrowed(b""));
        let attr = graph.attr(self.i, &wanted).map_err(|fault| self.place.raise(py, fault))?;
        if let Some(attr) = attr {
            return attrs::to_python(py, &self.place, &attr);
        }
        let known = graph.attrs(self.i).map_err(|fault| self.place.raise(py, fault))?;
        let shown = known.iter().take(LISTED).map(|(name, _)| tensorbundle_wire::shown(name));
        let mut has = shown.collect::<Vec<_>>().join(", ");
        match known.len() {
            0 => has.push_str("none"),
            len if len > LISTED => has.push_str(", …"),
            _ => {}
        }
        Err(PyValueError::new_err(format!(
            "operation {} has no attribute {}; it has {has}",
            short_repr(&self.name(py)?)?,
            short_repr(name)?
        )))
    }

    /// All attributes, by name.
    #[getter]
    fn attrs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let graph = self.place.graph(py)?;
        let all = PyDict::new(py);
        for (name, attr) in graph.attrs(self.i).map_err(|fault| self.place.raise(py, fault))? {
            all.set_item(Name(&name), attrs::to_python(py, &self.place, &attr)?)?;
        }
        Ok(all)
    }

    /// The NodeDef as it is in the file.
    #[getter]
    fn node_def(&self, py: Python<'_>) -> PyResult<Message> {
        let bytes = self.place.graph(py)?.body().node_bytes(self.i);
        self.place.message(py, "tensorflow.NodeDef", bytes)
    }

    /// The definition of its op in the file, or of the function it calls; `None` if it has none.
    #[getter]
    fn op_def(&self, py: Python<'_>) -> PyResult<Option<Message>> {
        let graph = self.place.graph(py)?;
        let meta = graph.meta();
        let def = meta.op_def_bytes(graph.body().op(self.i));
        let def = def.map_err(|fault| self.place.raise(py, fault))?;
        def.map(|bytes| self.place.message(py, "tensorflow.OpDef", bytes)).transpose()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (name, op) = (self.name(py)?, self.type_(py)?);
        Ok(format!("<tensorbundle.Operation {} type={}>", short_repr(&name)?, op.to_string_lossy()))
    }
}

#[pymethods]
impl Tensor {
    /// `operation:number`, the name by which it is fed and fetched.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let mut name = self.place.graph(py)?.body().name(self.i).to_owned();
        name.extend_from_slice(format!(":{}", self.port).as_bytes());
        Name(&name).into_pyobject(py)
    }

    /// The operation it comes from.
    #[getter]
    fn op(&self) -> Operation {
        self.place.operation(self.i)
    }

    /// Which output of its operation it is.
    #[getter]
    fn value_index(&self) -> u32 {
        self.port
    }

    /// The graph it is in.
    #[getter]
    fn graph(&self) -> Graph {
        Graph(self.place.clone())
    }

    /// Its element type; `None` where nothing says.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let dtype = self.place.detached(py, |graph| Ok(graph.ports(self.i)?.dtype(self.port)))?;
        dtype.map(|dtype| dtypes::dtype(py, dtype)).transpose()
    }

    /// Its shape, as far as the file says.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        attrs::shape(py, &self.place.detached(py, |graph| graph.shape(self.i, self.port))?)
    }

    /// The operations that take it, once for each input that does.
    fn consumers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (i, port) = (self.i, self.port as i32);
        let users = self.place.detached(py, |graph| {
            Ok(graph.edges()?.users_of(i, port).map(|used| used.dst).collect::<Vec<_>>())
        })?;
        self.place.operations(py, users)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        // Who looks for what is wrong must not be stopped by it.
        let mut text = format!("<tensorbundle.Tensor {}", short_repr(&self.name(py)?)?);
        if let Ok(Some(dtype)) = self.dtype(py) {
            text.push_str(&format!(" dtype={}", dtype.getattr("name")?));
        }
        if let Ok(shape) = self.shape(py) {
            text.push_str(&format!(" shape={}", shape.repr()?));
        }
        text.push('>');
        Ok(text)
    }
}

/// The operation of an element that a caller gave: an operation, a tensor, or a name of either.
pub(crate) fn number_of(place: &Place, given: &Bound<'_, PyAny>) -> PyResult<u32> {
    Ok(match element::find(place, given, true, true)? {
        element::Element::Operation(i) | element::Element::Tensor(i, _) => i,
    })
}
