//! TensorFlow's own ops, as Python sees them.

use pyo3::prelude::*;
use tensorbundle_graph::known;

/// The versions of TensorFlow that the list of its ops was made from.
#[pyfunction]
pub(crate) fn tensorflow_versions() -> Vec<&'static str> {
    known::versions()
}

/// The first and the last of those versions that has this op; `None` if none of them has.
#[pyfunction]
pub(crate) fn tensorflow_op(name: &str) -> Option<(&'static str, &'static str)> {
    known::find(name.as_bytes()).map(|op| (op.first, op.last))
}
