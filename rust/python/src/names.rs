//! Names of tensors: any bytes on disk, `str` in Python. What is not UTF-8 becomes lone surrogates and back.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::borrow::Cow;

/// A name as `str`.
pub(crate) fn to_python<'py>(py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyString>> {
    if let Ok(text) = std::str::from_utf8(name) {
        return Ok(PyString::new(py, text));
    }
    let text =
        PyBytes::new(py, name).call_method1(intern!(py, "decode"), ("utf-8", "surrogateescape"))?;
    Ok(text.cast_into()?)
}

/// A `str` as the bytes on disk.
pub(crate) fn from_python<'a>(name: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(text) = name.to_str() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let bytes = name.call_method1(intern!(name.py(), "encode"), ("utf-8", "surrogateescape"))?;
    Ok(Cow::Owned(bytes.extract()?))
}
