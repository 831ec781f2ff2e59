//! An open SavedModel, below the `SavedModel` that users see.

use super::Shared;
use super::reader::{MetaGraphReader, bytes_of};
use crate::errors;
use crate::message::Message;
use crate::names::Name;
use crate::remote::files;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tensorbundle_checkpoint as core;
use tensorbundle_graph::File;
use tensorbundle_store::Error;
use tensorbundle_wire::Fault;
use tensorbundle_wire::message::Message as Wire;
use tensorbundle_wire::schema::schema;

/// The file of a SavedModel, with all its graphs.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct SavedModelReader {
    file: File,
    path: Arc<Path>,
}

impl SavedModelReader {
    fn raise(&self, py: Python<'_>, fault: Fault) -> PyErr {
        errors::to_python(py, Error::fault(&self.path, fault))
    }
}

#[pymethods]
impl SavedModelReader {
    /// Opens the file at `path`, or that of the directory.
    #[staticmethod]
    #[pyo3(signature = (path, mmap, store=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        mmap: bool,
        store: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let files = files(store);
        let open = || {
            let file = core::open_saved_model(&files, &path, mmap)?;
            Ok(Self { file, path: core::file_of(&files, &path).into() })
        };
        py.detach(open).map_err(|error| errors::to_python(py, error))
    }

    /// The file.
    #[getter]
    fn path(&self) -> OsString {
        self.path.as_os_str().to_owned()
    }

    /// The version of the format; 0 if it does not say.
    #[getter]
    fn schema_version(&self, py: Python<'_>) -> PyResult<i64> {
        self.file.schema_version().map_err(|fault| self.raise(py, fault))
    }

    fn __len__(&self) -> usize {
        self.file.len()
    }

    /// The tags of each graph.
    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for i in 0..self.file.len() {
            let tags = self.file.tags(i).map_err(|fault| self.raise(py, fault))?;
            list.append(PyTuple::new(py, tags.iter().map(|tag| Name(tag)))?)?;
        }
        Ok(list)
    }

    /// The number of the graph with these tags; without them of the only one, or the one that is to be served.
    fn choose(&self, py: Python<'_>, tags: Option<Vec<Bound<'_, PyString>>>) -> PyResult<usize> {
        let tags = tags.map(bytes_of).transpose()?;
        core::choose(&self.file, tags.as_deref()).map_err(|fault| self.raise(py, fault))
    }

    /// Graph `i`.
    fn meta_graph(&self, py: Python<'_>, i: usize) -> PyResult<MetaGraphReader> {
        if i >= self.file.len() {
            return Err(PyIndexError::new_err(format!("no graph {i} among {}", self.file.len())));
        }
        let meta = py.detach(|| self.file.meta_graph(i)).map_err(|fault| self.raise(py, fault))?;
        Ok(MetaGraphReader { shared: Arc::new(Shared { meta, path: Some(self.path.clone()) }) })
    }
}

/// The FingerprintDef in a file.
#[pyfunction]
#[pyo3(signature = (path, store=None))]
pub(crate) fn read_fingerprint(
    py: Python<'_>,
    path: PathBuf,
    store: Option<Bound<'_, PyAny>>,
) -> PyResult<Message> {
    let files = files(store);
    let raise = |error| errors::to_python(py, error);
    let bytes = py.detach(|| core::read_fingerprint(&files, &path)).map_err(raise)?;
    let ty = schema().message("tensorflow.FingerprintDef");
    let ty =
        ty.ok_or_else(|| raise(Error::from(Fault::unsupported("schema", "no FingerprintDef"))))?;
    Ok(Message::new(Wire::new(ty, bytes), Some(path.into())))
}

/// FarmHash's Fingerprint64 of a file.
#[pyfunction]
#[pyo3(signature = (path, mmap, store=None))]
pub(crate) fn index_fingerprint(
    py: Python<'_>,
    path: PathBuf,
    mmap: bool,
    store: Option<Bound<'_, PyAny>>,
) -> PyResult<u64> {
    let files = files(store);
    let word = py.detach(|| core::index_fingerprint(&files, &path, mmap));
    word.map_err(|error| errors::to_python(py, error))
}
