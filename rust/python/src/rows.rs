//! `rows=`: a slice or a range over the first dimension, as one run of rows and a step through it.

use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyRange, PyRangeMethods, PySlice};
use std::ops::Range;

/// The rows to read, and the step to take through them.
pub(crate) struct Rows {
    pub(crate) range: Range<u64>,
    pub(crate) step: isize,
}

/// Resolves `rows` against `len` rows: a slice as lists do, a range only if all of it is there.
pub(crate) fn resolve(rows: &Bound<'_, PyAny>, len: u64) -> PyResult<Rows> {
    let all = isize::try_from(len).map_err(|_| PyValueError::new_err("too many rows"))?;
    let (first, count, step) = if let Ok(slice) = rows.cast::<PySlice>() {
        let indices = slice.indices(all)?;
        (indices.start, indices.slicelength as isize, indices.step)
    } else if let Ok(range) = rows.cast::<PyRange>() {
        (range.start()?, range.len()? as isize, range.step()?)
    } else {
        let kind = rows.get_type().name()?;
        return Err(PyTypeError::new_err(format!("rows must be a slice or a range, not {kind}")));
    };
    if count == 0 {
        return Ok(Rows { range: 0..0, step: 1 });
    }
    let last = (count - 1).checked_mul(step).and_then(|way| way.checked_add(first));
    let inside = |row: isize| u64::try_from(row).ok().filter(|&row| row < len);
    let (Some(first), Some(last)) = (inside(first), last.and_then(inside)) else {
        return Err(PyIndexError::new_err(format!(
            "{} is out of range for {len} rows",
            rows.repr()?
        )));
    };
    Ok(Rows { range: first.min(last)..first.max(last) + 1, step })
}
