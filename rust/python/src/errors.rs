//! One place where errors of the core become exceptions of Python.

use crate::names::Name;
use crate::remote::Raised;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use std::io;
use std::path::Path;
use tensorbundle_store::Error;
use tensorbundle_wire::{Fault, FaultKind};

pyo3::import_exception!(tensorbundle.errors, CorruptionError);
pyo3::import_exception!(tensorbundle.errors, NotInGraphError);
pyo3::import_exception!(tensorbundle.errors, TensorNotFoundError);
pyo3::import_exception!(tensorbundle.errors, UnsupportedError);

/// The exception of an error.
pub(crate) fn to_python(py: Python<'_>, error: Error) -> PyErr {
    let made = match &error {
        Error::Io { path, source, context } => os_error(py, path, source, context),
        Error::Fault { path, tensor, fault } => {
            fault_error(py, &error, path.as_deref(), tensor.as_deref(), fault)
        }
        other => Ok(PyValueError::new_err(other.to_string())),
    };
    made.unwrap_or_else(|failed| failed)
}

/// `TensorNotFoundError`, with names that are near, or a sentence that says more.
pub(crate) fn not_found(
    prefix: &Path,
    wanted: &Bound<'_, PyString>,
    sentence: Option<&str>,
    near: &[&[u8]],
) -> PyErr {
    let py = wanted.py();
    let make = || -> PyResult<PyErr> {
        let near = PyTuple::new(py, near.iter().map(|name| Name(name)))?;
        let mut text = format!("no tensor {} in {}", short_repr(wanted)?, prefix.display());
        match sentence {
            Some(sentence) => text.push_str(&format!(": {sentence}")),
            None => text.push_str(&did_you_mean(&near)?),
        }
        let error = TensorNotFoundError::new_err(text);
        let value = error.value(py);
        value.setattr("tensor", wanted)?;
        value.setattr("path", prefix.as_os_str())?;
        value.setattr("near", near)?;
        Ok(error)
    };
    make().unwrap_or_else(|failed| failed)
}

/// `NotInGraphError`, with names that are near.
pub(crate) fn not_in_graph(wanted: &Bound<'_, PyString>, what: &str, near: &[Vec<u8>]) -> PyErr {
    let py = wanted.py();
    let make = || -> PyResult<PyErr> {
        let near = PyTuple::new(py, near.iter().map(|name| Name(name)))?;
        let error = NotInGraphError::new_err(format!("{what}{}", did_you_mean(&near)?));
        let value = error.value(py);
        value.setattr("name", wanted)?;
        value.setattr("near", near)?;
        Ok(error)
    };
    make().unwrap_or_else(|failed| failed)
}

fn did_you_mean(near: &Bound<'_, PyTuple>) -> PyResult<String> {
    let mut text = String::new();
    for (i, name) in near.iter().enumerate() {
        text.push_str(if i == 0 { "; did you mean " } else { " or " });
        text.push_str(&short_repr(&name)?);
    }
    if !near.is_empty() {
        text.push('?');
    }
    Ok(text)
}

/// The `repr` of a name, cut where nobody would read on.
pub(crate) fn short_repr<T>(name: &Bound<'_, T>) -> PyResult<String> {
    const MOST: usize = 200;
    let text = name.as_any().repr()?.to_string();
    Ok(match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    })
}

fn fault_error(
    py: Python<'_>,
    error: &Error,
    path: Option<&Path>,
    tensor: Option<&[u8]>,
    fault: &Fault,
) -> PyResult<PyErr> {
    let text = error.to_string();
    let made = match fault.kind() {
        FaultKind::Unsupported => UnsupportedError::new_err(text),
        _ => CorruptionError::new_err(text),
    };
    let value = made.value(py);
    value.setattr("part", fault.part())?;
    value.setattr("offset", fault.offset())?;
    value.setattr("path", path.map(Path::as_os_str))?;
    value.setattr("tensor", tensor.map(Name))?;
    Ok(made)
}

/// `OSError` makes the right subclass of itself when it is given errno, text and filename.
fn os_error(py: Python<'_>, path: &Path, source: &io::Error, context: &str) -> PyResult<PyErr> {
    use io::ErrorKind::{
        InvalidInput, IsADirectory, NotADirectory, NotFound, OutOfMemory, PermissionDenied,
        Unsupported,
    };
    if let Some(raised) = source.get_ref().and_then(|ours| ours.downcast_ref::<Raised>())
        && let Some(error) = &raised.error
    {
        return Ok(error.clone_ref(py));
    }
    if source.kind() == OutOfMemory {
        return Ok(PyMemoryError::new_err(format!("no {context}: {}", path.display())));
    }
    // Without a number it is an error of ours, in our words.
    let (errno, mut text) = match (source.raw_os_error(), source.get_ref()) {
        // On Windows the number is not an errno: OSError makes one of it, from its fourth argument.
        (Some(number), _) if cfg!(windows) => {
            let args = (0, source.to_string(), path.as_os_str(), number);
            return Ok(PyErr::from_value(py.get_type::<PyOSError>().call1(args)?));
        }
        (Some(errno), _) => (errno, strerror(py, errno)?),
        (None, ours) => {
            let name = match source.kind() {
                NotFound => "ENOENT",
                PermissionDenied => "EACCES",
                IsADirectory => "EISDIR",
                NotADirectory => "ENOTDIR",
                InvalidInput => "EINVAL",
                Unsupported => "ENOTSUP",
                _ => "EIO",
            };
            let errno = py.import("errno")?.getattr(name)?.extract()?;
            (errno, ours.map_or_else(|| strerror(py, errno), |ours| Ok(ours.to_string()))?)
        }
    };
    if !context.is_empty() {
        text.push_str(&format!(" ({context})"));
    }
    let value = py.get_type::<PyOSError>().call1((errno, text, path.as_os_str()))?;
    Ok(PyErr::from_value(value))
}

fn strerror(py: Python<'_>, errno: i32) -> PyResult<String> {
    py.import("os")?.call_method1("strerror", (errno,))?.extract()
}
