//! State files and the checkpoints of a directory, as plain values for `tensorbundle/_directory.py`.

use crate::errors;
use crate::names::{self, Name};
use crate::remote::files;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use std::ffi::OsString;
use std::path::PathBuf;
use tensorbundle_checkpoint::{self as core, Located};

/// The latest path, all paths, their times, and when the last one was kept for good.
type State<'py> = (Bound<'py, PyString>, Bound<'py, PyList>, Vec<f64>, Option<f64>);

/// What a state file says, paths as written.
#[pyfunction]
#[pyo3(signature = (path, store=None))]
pub(crate) fn read_state<'py>(
    py: Python<'py>,
    path: PathBuf,
    store: Option<Bound<'py, PyAny>>,
) -> PyResult<State<'py>> {
    let files = files(store);
    let state = py.detach(|| core::read_state_file(&files, &path));
    let state = state.map_err(|error| errors::to_python(py, error))?;
    let latest = Name(&state.latest).into_pyobject(py)?;
    let all = PyList::new(py, state.all.iter().map(|path| Name(path)))?;
    Ok((latest, all, state.timestamps, state.last_preserved))
}

/// The path by which to open what a directory's state file calls `written`; `None` if it is not there.
#[pyfunction]
#[pyo3(signature = (directory, written, follow, store=None))]
pub(crate) fn named_in(
    py: Python<'_>,
    directory: PathBuf,
    written: &Bound<'_, PyString>,
    follow: bool,
    store: Option<Bound<'_, PyAny>>,
) -> PyResult<Option<OsString>> {
    let files = files(store);
    let Some(bytes) = names::from_python(written)? else {
        return Ok(None);
    };
    let named = py.detach(|| {
        let named = core::named_in(&files, &directory, &bytes, follow);
        files.trouble().and(named)
    });
    let named = named.map_err(|error| errors::to_python(py, error))?;
    Ok(named.map(|(path, _)| path.into()))
}

/// Whether there is a checkpoint of this prefix, or of this pattern of V1 files; it may be broken.
#[pyfunction]
#[pyo3(signature = (path, store=None))]
pub(crate) fn is_checkpoint(
    py: Python<'_>,
    path: PathBuf,
    store: Option<Bound<'_, PyAny>>,
) -> PyResult<bool> {
    let files = files(store);
    let (is, trouble) = py.detach(|| (core::is_checkpoint(&files, &path), files.trouble()));
    trouble.map(|()| is).map_err(|error| errors::to_python(py, error))
}

/// Prefix, format and, of V1, how many files there should be, of each checkpoint in a directory.
#[pyfunction]
#[pyo3(signature = (directory, store=None))]
pub(crate) fn scan_directory(
    py: Python<'_>,
    directory: PathBuf,
    store: Option<Bound<'_, PyAny>>,
) -> PyResult<Vec<(OsString, &'static str, Option<usize>)>> {
    let files = files(store);
    let found = py.detach(|| core::checkpoints_in(&files, &directory));
    let found = found.map_err(|error| errors::to_python(py, error))?;
    let row = |found: Located| match found {
        Located::Bundle(prefix) => (prefix.into(), "V2", None),
        Located::V1(v1) => (v1.prefix.into(), "V1", v1.count),
    };
    Ok(found.into_iter().map(row).collect())
}
