//! What the values of tensors are like, below the `StatsReport` that users see.

use crate::errors;
use crate::names::Name;
use crate::reader::Reader;
use crate::watch::{stopped, watched};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use tensorbundle_checkpoint::stats::{self as core, Extreme, MAX_BINS, Sums};

/// Elements, NaN, infinities above and below zero, zeros, subnormals; least and greatest; mean, spread, norm.
type RawSums<'py> = (
    (u64, u64, u64, u64, u64, u64),
    Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    Option<(f64, f64, f64)>,
);

/// Name, type and shape; sums, if its values are numbers; edges and counts of bins.
type RawStats<'py> = (
    Bound<'py, PyString>,
    String,
    Bound<'py, PyTuple>,
    Option<RawSums<'py>>,
    Option<(Vec<f64>, Vec<u64>)>,
);

/// The values of tensors; `which` says of each, in stored order, whether it counts.
#[pyfunction]
pub(crate) fn stats<'py>(
    py: Python<'py>,
    reader: &Bound<'py, Reader>,
    which: Option<Vec<bool>>,
    bins: usize,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<RawStats<'py>>> {
    if bins > MAX_BINS {
        return Err(PyValueError::new_err(format!("{bins} bins, at most {MAX_BINS} can be had")));
    }
    let tensors = reader.get().tensors();
    let listing = reader.get().shared_listing(py)?;
    let counts = |row: &usize| which.as_ref().is_none_or(|which| which.get(*row) == Some(&true));
    let rows: Vec<_> = (0..listing.len()).filter(counts).collect();
    let made = watched(py, progress, |watch| core::stats(tensors, &rows, bins, watch))?;
    let made = made.map_err(|error| errors::to_python(py, error))?;
    let made = made.map_err(|_| stopped())?;
    let raw = made.into_iter().filter_map(|one| Some((listing.row(one.row)?, one)));
    raw.map(|(row, one)| {
        let histogram = one.sums.filter(|_| bins > 0).map(|sums| {
            let edges = core::edges(&sums, bins);
            (edges, one.histogram)
        });
        Ok((
            Name(row.name).into_pyobject(py)?,
            row.dtype.to_string(),
            PyTuple::new(py, row.dims)?,
            one.sums.map(|sums| raw_sums(py, &sums)).transpose()?,
            histogram.filter(|(edges, _)| !edges.is_empty()),
        ))
    })
    .collect()
}

fn raw_sums<'py>(py: Python<'py>, sums: &Sums) -> PyResult<RawSums<'py>> {
    let number = |extreme| {
        Ok::<_, PyErr>(match extreme {
            Extreme::Float(value) => value.into_pyobject(py)?.into_any(),
            Extreme::Integer(value) => value.into_pyobject(py)?.into_any(),
        })
    };
    let extremes = match sums.extremes {
        Some((low, high)) => Some((number(low)?, number(high)?)),
        None => None,
    };
    let figures = (sums.finite() > 0).then(|| (sums.mean, sums.std(), sums.norm()));
    let counts = (sums.elements, sums.nan, sums.pos_inf, sums.neg_inf, sums.zeros, sums.subnormals);
    Ok((counts, extremes, figures))
}
