//! The difference of two checkpoints, below the `DiffReport` that users see.

use crate::errors::{self, short_repr};
use crate::names::{self, Name};
use crate::reader::Reader;
use crate::watch::{stopped, watched};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::cmp::Ordering;
use tensorbundle_checkpoint::diff::{
    self as core, Collision, Diff, Failed, Figures, Kind, Names, Options, Row, Tolerance,
};
use tensorbundle_store::Listing;

/// TensorFlow's name of a type, and a shape.
type Typed<'py> = (String, Bound<'py, PyTuple>);

/// Elements, changed, beyond, finite, strange; largest and mean absolute difference, largest relative one, cosine.
type RawFigures = (u64, u64, u64, u64, u64, Option<f64>, Option<f64>, Option<f64>, Option<f64>);

/// Kind, name in A and in B, type and shape in A and in B, why it cannot be told, figures.
type RawRow<'py> = (
    &'static str,
    Option<Bound<'py, PyString>>,
    Option<Bound<'py, PyString>>,
    Option<Typed<'py>>,
    Option<Typed<'py>>,
    Option<&'static str>,
    Option<RawFigures>,
);

/// What became of each tensor.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct DiffRows(pub(crate) Diff);

/// Compares two checkpoints. `renamed` holds the names of A's tensors in B, `of_a` and `of_b` say which count.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the arguments of tensorbundle.diff")]
pub(crate) fn diff(
    py: Python<'_>,
    a: &Bound<'_, Reader>,
    b: &Bound<'_, Reader>,
    renamed: Option<Vec<Bound<'_, PyString>>>,
    of_a: Option<Vec<bool>>,
    of_b: Option<Vec<bool>>,
    lost_of_a: Vec<Bound<'_, PyString>>,
    lost_of_b: Vec<Bound<'_, PyString>>,
    fast: bool,
    rtol: f64,
    atol: f64,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<DiffRows> {
    let encode = |name: &Bound<'_, PyString>| match names::from_python(name)? {
        Some(bytes) => Ok(bytes.into_owned()),
        None => Err(PyValueError::new_err(format!("{} is no name of a tensor", short_repr(name)?))),
    };
    let all =
        |names: &[Bound<'_, PyString>]| names.iter().map(encode).collect::<PyResult<Vec<_>>>();
    let names = Names {
        renamed: renamed.as_deref().map(all).transpose()?,
        of_a,
        of_b,
        lost_of_a: all(&lost_of_a)?.into_iter().collect(),
        lost_of_b: all(&lost_of_b)?.into_iter().collect(),
    };
    let options = Options { fast, tolerance: Tolerance { rtol, atol } };
    let (a, b) = (a.get().tensors(), b.get().tensors());
    match watched(py, progress, |watch| core::diff(a, b, &names, options, watch))? {
        Ok(Ok(diff)) => Ok(DiffRows(diff)),
        Ok(Err(Failed::Stopped)) => Err(stopped()),
        Ok(Err(Failed::Collision(collision))) => Err(collided(py, &collision)?),
        Err(error) => Err(errors::to_python(py, error)),
    }
}

fn collided(py: Python<'_>, collision: &Collision) -> PyResult<PyErr> {
    let shown = |name: &[u8]| short_repr(&Name(name).into_pyobject(py)?);
    Ok(PyValueError::new_err(format!(
        "rename: {} and {} of the first checkpoint both become {}",
        shown(&collision.first)?,
        shown(&collision.second)?,
        shown(&collision.renamed)?
    )))
}

#[pymethods]
impl DiffRows {
    fn __len__(&self) -> usize {
        self.0.rows.len()
    }

    /// How many bytes of elements were compared, on both sides together.
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// How many rows there are of each kind that there are rows of.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut counts: Vec<(Kind, usize)> = Vec::new();
        for row in &self.0.rows {
            match counts.iter_mut().find(|(kind, _)| *kind == row.kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((row.kind, 1)),
            }
        }
        counts.sort_unstable();
        let dict = PyDict::new(py);
        for (kind, count) in counts {
            dict.set_item(kind.name(), count)?;
        }
        Ok(dict)
    }

    /// The numbers of the rows of a kind; those with figures first by how far they changed, if `by_change`.
    fn rows_of(&self, kind: &str, by_change: bool) -> Vec<usize> {
        let of_kind = |(_, row): &(usize, &Row)| row.kind.name() == kind;
        let mut rows: Vec<_> = self.0.rows.iter().enumerate().filter(of_kind).collect();
        if by_change {
            rows.sort_by(|(_, a), (_, b)| further(b.figures.as_deref(), a.figures.as_deref()));
        }
        rows.into_iter().map(|(i, _)| i).collect()
    }

    /// The names of the rows of a kind: in B, or in A if B has none.
    fn names_of<'py>(&self, py: Python<'py>, kind: &str) -> PyResult<Bound<'py, PyList>> {
        let names = self.0.rows.iter().filter(|row| row.kind.name() == kind).map(|row| {
            let own = row.b.and_then(|i| self.0.b.name(i));
            Name(own.or_else(|| self.0.a.name(row.a?)).unwrap_or_default())
        });
        PyList::new(py, names.collect::<Vec<_>>())
    }

    /// One row.
    fn row<'py>(&self, py: Python<'py>, i: usize) -> PyResult<RawRow<'py>> {
        let row = self.0.rows.get(i).ok_or_else(|| PyIndexError::new_err("no such row"))?;
        let (a, b) = (&self.0.a, &self.0.b);
        let name = |listing: &Listing, i: Option<usize>| {
            i.and_then(|i| listing.name(i)).map(|name| Name(name).into_pyobject(py)).transpose()
        };
        let typed = |listing: &Listing, i: Option<usize>| -> PyResult<Option<Typed<'py>>> {
            let Some(row) = i.and_then(|i| listing.row(i)) else { return Ok(None) };
            Ok(Some((row.dtype.to_string(), PyTuple::new(py, row.dims)?)))
        };
        Ok((
            row.kind.name(),
            name(a, row.a)?,
            name(b, row.b)?,
            typed(a, row.a)?,
            typed(b, row.b)?,
            row.reason,
            row.figures.as_deref().map(raw_figures),
        ))
    }
}

fn raw_figures(own: &Figures) -> RawFigures {
    (
        own.elements,
        own.changed,
        own.beyond,
        own.finite,
        own.strange,
        own.max_abs(),
        own.mean_abs(),
        own.max_rel(),
        own.cosine(),
    )
}

/// Which changed further, by the largest difference. Before all others come those of which an element that is not finite
/// changed; strings, of which only the number of changed ones is known, come last.
fn further(a: Option<&Figures>, b: Option<&Figures>) -> Ordering {
    let size = |own: Option<&Figures>| match own {
        Some(own) if own.finite > 0 => {
            let size = if own.strange > 0 { f64::INFINITY } else { own.max_abs };
            (size, own.changed)
        }
        Some(own) if own.strange > 0 => (f64::INFINITY, own.changed),
        own => (-1.0, own.map_or(0, |own| own.changed)),
    };
    let (a, b) = (size(a), size(b));
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}
