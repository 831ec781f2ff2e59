//! A store of files that Python reads: what `tensorbundle/_remote.py` gives, as the core wants it.
//!
//! The core asks from threads of its own, while nobody holds the interpreter; each question holds it for as long as
//! Python does.

use bytes::Bytes;
use pyo3::exceptions::{
    PyFileNotFoundError, PyIsADirectoryError, PyNotADirectoryError, PyOSError, PyPermissionError,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyIterator;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind};
use std::iter;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tensorbundle_store::{Files, Kind, Listed, Pieces, Remote, Stat};

pyo3::import_exception!(tensorbundle._remote, ReplacedError);
pyo3::import_exception!(tensorbundle._remote, WholeFilesError);

/// Where files are: in the store that this is, or on this machine if it is none.
pub(crate) fn files(store: Option<Bound<'_, PyAny>>) -> Files {
    store.map_or(Files::Local, |store| Files::remote(Arc::new(Store(store.unbind()))))
}

struct Store(Py<PyAny>);

/// Is it a directory, its size, when it was changed, its version.
type RawStat = (bool, u64, i64, Option<String>);

/// The same of an entry, with its name; without a size, nothing else is known.
type RawEntry = (OsString, bool, Option<u64>, i64, Option<String>);

impl Remote for Store {
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let raw: Result<RawStat, _> = Python::attach(|py| {
            self.0.call_method1(py, intern!(py, "stat"), (path.as_os_str(),))?.extract(py)
        });
        let (dir, size, mtime_ns, version) = raw.map_err(io_error)?;
        Ok(stat(dir, size, mtime_ns, version))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let raw: Result<Vec<RawEntry>, _> = Python::attach(|py| {
            self.0.call_method1(py, intern!(py, "list"), (dir.as_os_str(),))?.extract(py)
        });
        let entry = |(name, dir, size, mtime_ns, version): RawEntry| Listed {
            name,
            kind: if dir { Kind::Dir } else { Kind::File },
            stat: size.map(|size| stat(dir, size, mtime_ns, version)),
        };
        Ok(raw.map_err(io_error)?.into_iter().map(entry).collect())
    }

    fn read(&self, path: &Path, version: Option<&str>, range: Range<u64>) -> io::Result<Bytes> {
        let bytes: Result<PyBackedBytes, _> = Python::attach(|py| {
            let args = (path.as_os_str(), version, range.start, range.end);
            Ok(self.0.call_method1(py, intern!(py, "read"), args)?.extract(py)?)
        });
        bytes.map(Bytes::from_owner).map_err(io_error)
    }

    fn pieces(&self, path: &Path, version: Option<&str>, range: Range<u64>) -> Pieces<'_> {
        let pieces: Result<Py<PyAny>, _> = Python::attach(|py| {
            let args = (path.as_os_str(), version, range.start, range.end);
            self.0.call_method1(py, intern!(py, "pieces"), args)
        });
        let pieces = match pieces {
            Ok(pieces) => pieces,
            Err(error) => return Box::new(iter::once(Err(io_error(error)))),
        };
        Box::new(iter::from_fn(move || {
            let piece = Python::attach(|py| next(py, &pieces)).transpose()?;
            Some(piece.map(Bytes::from_owner).map_err(io_error))
        }))
    }
}

fn next(py: Python<'_>, pieces: &Py<PyAny>) -> PyResult<Option<PyBackedBytes>> {
    let Some(piece) = pieces.bind(py).cast::<PyIterator>()?.clone().next() else {
        return Ok(None);
    };
    Ok(Some(piece?.extract::<PyBackedBytes>()?))
}

fn stat(dir: bool, size: u64, mtime_ns: i64, version: Option<String>) -> Stat {
    let kind = if dir { Kind::Dir } else { Kind::File };
    Stat { kind, size, mtime_ns, version: version.map(Into::into) }
}

/// An exception on its way through the core.
#[derive(Debug)]
pub(crate) struct Raised {
    text: String,
    /// What must come out as it is: all but errors of the system.
    pub(crate) error: Option<PyErr>,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Raised {}

fn io_error(error: PyErr) -> io::Error {
    Python::attach(|py| {
        let kind = kind_of(py, &error);
        let value = error.value(py);
        let said = value.getattr(intern!(py, "strerror")).ok();
        let said = said.and_then(|said| said.extract::<String>().ok());
        let text = said.unwrap_or_else(|| value.to_string());
        let error = (!error.is_instance_of::<PyOSError>(py)).then_some(error);
        io::Error::new(kind, Raised { text, error })
    })
}

fn kind_of(py: Python<'_>, error: &PyErr) -> ErrorKind {
    match error {
        error if error.is_instance_of::<ReplacedError>(py) => ErrorKind::StaleNetworkFileHandle,
        error if error.is_instance_of::<WholeFilesError>(py) => ErrorKind::Unsupported,
        error if error.is_instance_of::<PyFileNotFoundError>(py) => ErrorKind::NotFound,
        error if error.is_instance_of::<PyPermissionError>(py) => ErrorKind::PermissionDenied,
        error if error.is_instance_of::<PyIsADirectoryError>(py) => ErrorKind::IsADirectory,
        error if error.is_instance_of::<PyNotADirectoryError>(py) => ErrorKind::NotADirectory,
        _ => ErrorKind::Other,
    }
}
