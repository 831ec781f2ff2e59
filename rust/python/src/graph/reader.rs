//! An open graph, below the `MetaGraph` that users see.

use super::{Graph, Place, Shared, attrs};
use crate::errors;
use crate::message::Message;
use crate::names;
use crate::remote::files;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyString;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tensorbundle_checkpoint::{file_of, open_meta_graph, parse_meta_graph};
use tensorbundle_graph::What;
use tensorbundle_store::Error;

/// A graph with all that belongs to it.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct MetaGraphReader {
    pub(crate) shared: Arc<Shared>,
}

#[pymethods]
impl MetaGraphReader {
    /// Opens the file at `path`, or the SavedModel of that directory.
    #[staticmethod]
    #[pyo3(signature = (path, mmap, tags, store=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        mmap: bool,
        tags: Option<Vec<Bound<'_, PyString>>>,
        store: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let tags = tags.map(bytes_of).transpose()?;
        let files = files(store);
        let open = || {
            let meta = open_meta_graph(&files, &path, mmap, tags.as_deref())?;
            Ok((meta, file_of(&files, &path).into()))
        };
        let (meta, path): (_, Arc<Path>) =
            py.detach(open).map_err(|error| errors::to_python(py, error))?;
        Ok(Self { shared: Arc::new(Shared { meta, path: Some(path) }) })
    }

    /// The graph in the bytes of a file.
    #[staticmethod]
    fn parse(
        py: Python<'_>,
        data: PyBackedBytes,
        tags: Option<Vec<Bound<'_, PyString>>>,
    ) -> PyResult<Self> {
        let tags = tags.map(bytes_of).transpose()?;
        let bytes = Bytes::from_owner(data);
        let meta = py.detach(|| parse_meta_graph(bytes, tags.as_deref()));
        let meta = meta.map_err(|fault| errors::to_python(py, Error::from(fault)))?;
        Ok(Self { shared: Arc::new(Shared { meta, path: None }) })
    }

    /// The file; `None` for bytes.
    #[getter]
    fn path(&self) -> Option<OsString> {
        self.shared.path.as_ref().map(|path| path.as_os_str().to_owned())
    }

    /// What the file is: "MetaGraphDef", "SavedModel" or "GraphDef".
    #[getter]
    fn kind(&self) -> &'static str {
        self.shared.meta.what().name()
    }

    /// The MetaGraphDef, or the GraphDef if the file has no more.
    #[getter]
    fn message(&self, py: Python<'_>) -> PyResult<Message> {
        let name = match self.shared.meta.what() {
            What::Graph => "tensorflow.GraphDef",
            _ => "tensorflow.MetaGraphDef",
        };
        self.place().message(py, name, self.shared.meta.message())
    }

    /// The graph.
    #[getter]
    fn graph(&self) -> Graph {
        Graph(self.place())
    }

    /// A TensorProto of this file as an array.
    fn array<'py>(&self, py: Python<'py>, tensor: &Message) -> PyResult<Bound<'py, PyAny>> {
        attrs::array(py, &self.place(), tensor.bytes())
    }
}

impl MetaGraphReader {
    pub(crate) fn place(&self) -> Place {
        Place { shared: self.shared.clone(), function: None }
    }
}

pub(super) fn bytes_of(tags: Vec<Bound<'_, PyString>>) -> PyResult<Vec<Vec<u8>>> {
    let bytes =
        tags.iter().map(|tag| Ok(names::from_python(tag)?.unwrap_or_default().into_owned()));
    bytes.collect()
}
