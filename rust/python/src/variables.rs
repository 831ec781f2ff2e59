//! The join of a graph and a checkpoint, below the `Variable` that users see.

use crate::dtypes;
use crate::errors;
use crate::graph::{MetaGraphReader, Operation, attrs_shape};
use crate::names::Name;
use crate::reader::Reader;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use std::sync::Arc;
use tensorbundle_checkpoint::{self as core, Join};
use tensorbundle_store::Error;

/// A variable as the join found it.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
pub(crate) struct VariableRow {
    join: Arc<Join>,
    i: usize,
    /// Which part of it; `None` is the whole.
    part: Option<usize>,
}

/// Variables and findings: which way it does not fit, the variable, the tensor, a sentence.
type Joined<'py> = (Bound<'py, PyList>, Vec<FindingRow<'py>>);
type Text<'py> = Bound<'py, PyString>;
type FindingRow<'py> = (&'static str, Option<Text<'py>>, Option<Text<'py>>, Text<'py>);

/// Joins a checkpoint and a graph, each of which may be missing.
#[pyfunction]
pub(crate) fn join<'py>(
    py: Python<'py>,
    checkpoint: Option<&Reader>,
    graph: Option<&MetaGraphReader>,
) -> PyResult<Joined<'py>> {
    let joined = joined(py, checkpoint, graph)?;
    let findings = joined.findings.iter().map(|finding| {
        let name = |name: &Bytes| Name(name).into_pyobject(py);
        Ok((
            finding.misfit.name(),
            finding.variable.as_ref().map(name).transpose()?,
            finding.key.as_ref().map(name).transpose()?,
            PyString::new(py, &finding.text),
        ))
    });
    let findings = findings.collect::<PyResult<_>>()?;
    let join = Arc::new(joined);
    let rows = 0..join.variables.len();
    let rows = PyList::new(py, rows.map(|i| VariableRow { join: join.clone(), i, part: None }))?;
    Ok((rows, findings))
}

/// The join itself.
pub(crate) fn joined(
    py: Python<'_>,
    checkpoint: Option<&Reader>,
    graph: Option<&MetaGraphReader>,
) -> PyResult<Join> {
    let listing = checkpoint.map(|reader| reader.shared_listing(py)).transpose()?;
    let meta = graph.map(|graph| &graph.shared.meta);
    let objects = match checkpoint.map(|reader| reader.load_objects(py)) {
        None => None,
        Some(Ok(objects)) => objects.map(|objects| Ok(&objects.graph)),
        // Without a graph, names tell nearly as much; with one, what is no graph of objects is one more finding.
        Some(Err(error)) if meta.is_none() || is_no_graph(&error) => Some(Err(error.to_string())),
        Some(Err(error)) => return Err(errors::to_python(py, error)),
    };
    let joined = py.detach(|| core::join(meta, listing.as_deref(), objects));
    joined.map_err(|fault| {
        let path = graph.and_then(|graph| graph.shared.path.as_deref());
        let error = match path {
            Some(path) => Error::fault(path, fault),
            None => Error::from(fault),
        };
        errors::to_python(py, error)
    })
}

fn is_no_graph(error: &Error) -> bool {
    matches!(error, Error::Fault { fault, .. } if fault.part() == core::OBJECT_GRAPH_PART)
}

impl PartialEq for VariableRow {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.join, &other.join) && (self.i, self.part) == (other.i, other.part)
    }
}

impl std::hash::Hash for VariableRow {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.join).addr(), self.i, self.part).hash(state);
    }
}

impl VariableRow {
    fn core(&self) -> Option<&core::Variable> {
        let whole = self.join.variables.get(self.i)?;
        match self.part {
            None => Some(whole),
            Some(part) => whole.parts.get(part),
        }
    }

    fn text<'py>(
        &self,
        py: Python<'py>,
        of: impl FnOnce(&core::Variable) -> Option<&Bytes>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        self.core().and_then(of).map(|text| Name(text).into_pyobject(py)).transpose()
    }

    fn def<'py>(
        &self,
        py: Python<'py>,
        of: impl FnOnce(&tensorbundle_graph::VariableDef) -> &Bytes,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, |variable| variable.def.as_ref().map(of).filter(|text| !text.is_empty()))
    }
}

#[pymethods]
impl VariableRow {
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, |variable| Some(&variable.name))
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.core().map_or("", |variable| variable.kind.name())
    }

    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.core().and_then(|variable| variable.dtype).map(|it| dtypes::dtype(py, it)).transpose()
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        attrs_shape(py, self.core().map_or(&None, |variable| &variable.shape))
    }

    #[getter]
    fn trainable(&self) -> Option<bool> {
        self.core()?.trainable
    }

    #[getter]
    fn resource(&self) -> Option<bool> {
        self.core()?.resource
    }

    #[getter]
    fn collections<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let keys = self.core().map_or(&[][..], |variable| &variable.collections);
        PyTuple::new(py, keys.iter().map(|key| Name(key)))
    }

    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, |variable| variable.key.as_ref())
    }

    #[getter]
    fn key_source(&self) -> Option<&'static str> {
        let variable = self.core()?;
        variable.key.as_ref().map(|_| variable.key_from.name())
    }

    #[getter]
    fn stored(&self) -> bool {
        self.core().is_some_and(|variable| variable.stored)
    }

    #[getter]
    fn owner(&self) -> Option<usize> {
        self.core()?.owner
    }

    #[getter]
    fn slot<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, |variable| variable.owner.map(|_| &variable.slot))
    }

    #[getter]
    fn full_name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.text(py, |variable| Some(&variable.full_name).filter(|name| !name.is_empty()))
    }

    #[getter]
    fn tensor_name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.def(py, |def| &def.variable_name)
    }

    #[getter]
    fn initializer_name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.def(py, |def| &def.initializer_name)
    }

    #[getter]
    fn snapshot_name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.def(py, |def| &def.snapshot_name)
    }

    #[getter]
    fn initial_value_name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.def(py, |def| &def.initial_value_name)
    }

    /// Its operation in the graph.
    fn op(&self, graph: &MetaGraphReader) -> Option<Operation> {
        Some(graph.place().operation(self.core()?.node?))
    }

    /// Where a part lies in the whole: starts and lengths.
    #[getter]
    fn place<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyTuple>, Bound<'py, PyTuple>)>> {
        let place = self.core().and_then(|variable| variable.place.as_ref());
        place.map(|(start, len)| Ok((PyTuple::new(py, start)?, PyTuple::new(py, len)?))).transpose()
    }

    #[getter]
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let len = self.core().map_or(0, |variable| variable.parts.len());
        let part = |part| Self { join: self.join.clone(), i: self.i, part: Some(part) };
        PyList::new(py, (0..len).map(part))
    }
}
