//! Graphs as Python sees them: operations and tensors are a number and a reference to their graph.

mod attrs;
mod collections;
mod columns;
mod dot;
mod element;
mod function;
mod known;
mod operation;
mod reader;
mod saved_model;
mod scope;
mod view;

pub(crate) use attrs::{AttrPlaceholder, FunctionRef, shape as attrs_shape};
pub(crate) use function::Function;
pub(crate) use known::{tensorflow_op, tensorflow_versions};
pub(crate) use operation::{Operation, Tensor};
pub(crate) use reader::MetaGraphReader;
pub(crate) use saved_model::{SavedModelReader, index_fingerprint, read_fingerprint};
pub(crate) use scope::Scope;
pub(crate) use view::Graph;

use crate::errors;
use crate::message::Message;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::path::Path;
use std::sync::Arc;
use tensorbundle_graph as core;
use tensorbundle_store::Error;
use tensorbundle_wire::Fault;
use tensorbundle_wire::message::Message as Wire;
use tensorbundle_wire::schema::schema;

/// From so many objects on it pays to stop the garbage collector while they are made.
const MANY: usize = 1000;

/// The garbage collector, stopped for a while if it was running.
struct Paused<'py>(Option<Bound<'py, PyAny>>);

impl<'py> Paused<'py> {
    fn new(py: Python<'py>) -> PyResult<Self> {
        let gc = py.import("gc")?.into_any();
        if !gc.call_method0("isenabled")?.extract()? {
            return Ok(Self(None));
        }
        gc.call_method0("disable")?;
        Ok(Self(Some(gc)))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // It does not fail; and there would be nobody to tell.
        let _ = self.0.take().map(|gc| gc.call_method0("enable"));
    }
}

/// A file's graph, shared by all that refers to it.
pub(crate) struct Shared {
    pub(crate) meta: core::MetaGraph,
    pub(crate) path: Option<Arc<Path>>,
}

impl Shared {
    /// The exception of a fault in this file.
    pub(crate) fn raise(&self, py: Python<'_>, fault: Fault) -> PyErr {
        let error = match &self.path {
            Some(path) => Error::fault(path, fault),
            None => Error::from(fault),
        };
        errors::to_python(py, error)
    }
}

/// The graph of a file, or the body of one of its functions.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) function: Option<u32>,
}

impl Place {
    /// The graph itself.
    pub(crate) fn graph(&self, py: Python<'_>) -> PyResult<core::Graph<'_>> {
        // The body of a function was gone over when its place was made, and is kept.
        self.shared.meta.graph_of(self.function).map_err(|fault| self.raise(py, fault))
    }

    pub(crate) fn raise(&self, py: Python<'_>, fault: Fault) -> PyErr {
        self.shared.raise(py, fault)
    }

    /// Runs what takes time without the GIL.
    pub(crate) fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(core::Graph<'_>) -> tensorbundle_wire::Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| self.shared.meta.graph_of(self.function).and_then(work));
        done.map_err(|fault| self.raise(py, fault))
    }

    /// A message of this file, as the core sees it.
    pub(crate) fn wire(&self, name: &str, bytes: bytes::Bytes) -> tensorbundle_wire::Result<Wire> {
        let ty = schema().message(name);
        let missing = || Fault::unsupported("schema", format!("there is no message {name}"));
        Ok(Wire::new(ty.ok_or_else(missing)?, bytes))
    }

    /// A message of this file.
    pub(crate) fn message(
        &self,
        py: Python<'_>,
        name: &str,
        bytes: bytes::Bytes,
    ) -> PyResult<Message> {
        let wire = self.wire(name, bytes).map_err(|fault| self.raise(py, fault))?;
        Ok(Message::new(wire, self.shared.path.clone()))
    }

    pub(crate) fn operation(&self, i: u32) -> Operation {
        Operation { place: self.clone(), i }
    }

    pub(crate) fn tensor(&self, i: u32, port: u32) -> Tensor {
        Tensor { place: self.clone(), i, port }
    }

    pub(crate) fn operations<'py>(
        &self,
        py: Python<'py>,
        numbers: impl IntoIterator<Item = u32, IntoIter: ExactSizeIterator>,
    ) -> PyResult<Bound<'py, PyList>> {
        let numbers = numbers.into_iter();
        // The garbage collector tracks every object of a class of ours, though they refer to nothing that it
        // could collect: walking over them again and again takes five times as long as making them.
        let _paused = (numbers.len() > MANY).then(|| Paused::new(py)).transpose()?;
        PyList::new(py, numbers.map(|i| self.operation(i)))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.function == other.function
    }
}

impl Eq for Place {}

impl std::hash::Hash for Place {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.shared).addr(), self.function).hash(state);
    }
}
