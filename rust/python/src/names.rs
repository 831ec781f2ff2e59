//! Names of tensors: any bytes on disk, `str` in Python. What is not UTF-8 becomes lone surrogates and back.

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::borrow::Cow;

/// A name that becomes a `str`.
pub(crate) struct Name<'a>(pub(crate) &'a [u8]);

impl<'py> IntoPyObject<'py> for Name<'_> {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return Ok(PyString::new(py, text));
        }
        let args = ("utf-8", "surrogateescape");
        let text = PyBytes::new(py, self.0).call_method1(intern!(py, "decode"), args)?;
        Ok(text.cast_into()?)
    }
}

/// A `str` as the bytes on disk; `None` if no bytes decode to it.
pub(crate) fn from_python<'a>(name: &'a Bound<'_, PyString>) -> PyResult<Option<Cow<'a, [u8]>>> {
    if let Ok(text) = name.to_str() {
        return Ok(Some(Cow::Borrowed(text.as_bytes())));
    }
    match name.call_method1(intern!(name.py(), "encode"), ("utf-8", "surrogateescape")) {
        Ok(bytes) => Ok(Some(Cow::Owned(bytes.extract()?))),
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(name.py()) => Ok(None),
        Err(error) => Err(error),
    }
}
