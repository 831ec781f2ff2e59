//! A function of the library.

use super::{Graph, Place, Shared, Tensor, attrs};
use crate::message::Message;
use crate::names::Name;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use std::sync::Arc;

/// A function.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Function {
    place: Place,
    i: u32,
}

impl Function {
    pub(crate) fn new(shared: &Arc<Shared>, i: u32) -> Self {
        Self { place: Place { shared: shared.clone(), function: Some(i) }, i }
    }

    /// Tensors by the name of what is returned.
    fn returned<'py>(&self, py: Python<'py>, control: bool) -> PyResult<Bound<'py, PyDict>> {
        let graph = self.place.graph(py)?;
        let raise = |fault| self.place.raise(py, fault);
        let all = PyDict::new(py);
        for (output, text) in
            self.place.shared.meta.library().returns(self.i, control).map_err(raise)?
        {
            if control {
                let node = graph.returned_node(&text).map_err(raise)?;
                all.set_item(Name(&output), self.place.operation(node))?;
            } else {
                let edges = graph.returned(&text).map_err(raise)?;
                let tensors: Vec<Tensor> = edges
                    .iter()
                    .filter_map(|edge| {
                        Some(self.place.tensor(edge.src, u32::try_from(edge.port).ok()?))
                    })
                    .collect();
                all.set_item(Name(&output), PyList::new(py, tensors)?)?;
            }
        }
        Ok(all)
    }
}

#[pymethods]
impl Function {
    /// Its name.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Name(self.place.shared.meta.library().name(self.i)).into_pyobject(py)
    }

    /// Its body.
    #[getter]
    fn graph(&self) -> Graph {
        Graph(self.place.clone())
    }

    /// Its arguments, as tensors of operations of type `_Arg`.
    #[getter]
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let body = self.place.graph(py)?.body();
        let first = body.len() as u32;
        let numbers = first..first + body.num_args() as u32;
        PyList::new(py, numbers.map(|i| self.place.tensor(i, 0)).collect::<Vec<_>>())
    }

    /// What it returns: the tensors of each output of its signature.
    #[getter]
    fn returns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.returned(py, false)
    }

    /// The operations that run whenever it is called, by the names of its control outputs.
    #[getter]
    fn control_returns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.returned(py, true)
    }

    /// Its own attributes, by name.
    #[getter]
    fn attrs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        let found = self.place.shared.meta.library().attrs(self.i);
        for (name, attr) in found.map_err(|fault| self.place.raise(py, fault))? {
            all.set_item(Name(&name), attrs::to_python(py, &self.place, &attr)?)?;
        }
        Ok(all)
    }

    /// The attributes of argument `i`, by name.
    fn arg_attrs<'py>(&self, py: Python<'py>, i: u32) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        let found = self.place.shared.meta.library().arg_attrs(self.i, i);
        for (name, attr) in found.map_err(|fault| self.place.raise(py, fault))? {
            all.set_item(Name(&name), attrs::to_python(py, &self.place, &attr)?)?;
        }
        Ok(all)
    }

    /// Its FunctionDef as it is in the file.
    #[getter]
    fn function_def(&self, py: Python<'_>) -> PyResult<Message> {
        let bytes = self.place.shared.meta.library().message(self.i);
        self.place.message(py, "tensorflow.FunctionDef", bytes)
    }

    /// How many bytes of the file it takes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.place.shared.meta.library().message_len(self.i)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let name = crate::errors::short_repr(&self.name(py)?)?;
        // Who looks for what is wrong must not be stopped by it.
        let Ok(graph) = self.place.graph(py) else {
            return Ok(format!("<tensorbundle.Function {name} damaged>"));
        };
        let (args, nodes) = (graph.body().num_args(), graph.body().len());
        Ok(format!("<tensorbundle.Function {name} {args} arguments, {nodes} nodes>"))
    }
}
