//! What an index says of a tensor, as Python objects that are made when they are asked for.

use crate::{dtypes, names};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tensorbundle_store::{Bundle, Info, Listing, Part};
use tensorbundle_wire::bundle::{ByteOrder, Entry, Shape, TensorSlice};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::dtype::{DataType, Layout};

/// A tensor of a listing.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
pub(crate) struct TensorInfo {
    listing: Arc<Listing>,
    row: usize,
    order: ByteOrder,
    mapped: bool,
}

/// A slice of a partitioned tensor.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct SliceInfo {
    start: Vec<i64>,
    shape: Vec<i64>,
    #[pyo3(get)]
    shard: Option<i32>,
    #[pyo3(get)]
    offset: Option<i64>,
    #[pyo3(get)]
    nbytes: Option<i64>,
    #[pyo3(get)]
    crc32c: Option<u32>,
}

#[pymethods]
impl SliceInfo {
    #[getter]
    fn start<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.start)
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let place = (self.shard, self.offset, self.nbytes, self.crc32c);
        let state = (self.start.clone(), self.shape.clone(), place).into_pyobject(py)?;
        Ok((py.get_type::<Self>().getattr("_restore")?, state))
    }

    /// Makes a slice again from what `__reduce__` gave.
    #[classmethod]
    fn _restore(
        _class: &Bound<'_, PyType>,
        start: Vec<i64>,
        shape: Vec<i64>,
        place: (Option<i32>, Option<i64>, Option<i64>, Option<u32>),
    ) -> Self {
        let (shard, offset, nbytes, crc32c) = place;
        Self { start, shape, shard, offset, nbytes, crc32c }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let place = match (self.shard, self.offset) {
            (Some(shard), Some(offset)) => format!("shard={shard}, offset={offset}"),
            _ => "missing".to_owned(),
        };
        let (start, shape) = (self.start(py)?.repr()?, self.shape(py)?.repr()?);
        Ok(format!("SliceInfo(start={start}, shape={shape}, {place})"))
    }
}

/// All tensors of a listing.
pub(crate) fn all(bundle: &Bundle, listing: &Arc<Listing>) -> Vec<TensorInfo> {
    let rows = 0..listing.infos().len();
    rows.map(|row| TensorInfo::new(bundle, listing.clone(), row)).collect()
}

impl TensorInfo {
    pub(crate) fn new(bundle: &Bundle, listing: Arc<Listing>, row: usize) -> Self {
        let shard = listing.infos().get(row).and_then(|info| u32::try_from(info.entry.shard).ok());
        let mapped = bundle.is_mapped(shard.unwrap_or(0));
        Self { listing, row, order: bundle.header().order, mapped }
    }

    fn info(&self) -> PyResult<&Info> {
        let info = self.listing.infos().get(self.row);
        info.ok_or_else(|| PyValueError::new_err("no such tensor in its listing"))
    }

    fn entry(&self) -> PyResult<&Entry> {
        Ok(&self.info()?.entry)
    }

    /// The entry, unless the tensor is partitioned and has no place of its own.
    fn piece(&self) -> PyResult<Option<&Entry>> {
        Ok(Some(self.entry()?).filter(|entry| entry.slices.is_empty()))
    }
}

impl PartialEq for TensorInfo {
    fn eq(&self, other: &Self) -> bool {
        self.info().ok() == other.info().ok() && self.order == other.order
    }
}

impl Hash for TensorInfo {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Name, place and checksum tell tensors apart; the rest is left to equality.
        if let Ok(info) = self.info() {
            (&info.name, info.entry.offset, info.entry.crc.0).hash(state);
        }
    }
}

#[pymethods]
impl TensorInfo {
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        names::to_python(py, &self.info()?.name)
    }

    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtypes::numpy_dtype(py, self.entry()?.dtype, self.order)
    }

    #[getter]
    fn type_name(&self) -> PyResult<String> {
        Ok(self.entry()?.dtype.to_string())
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.entry()?.shape.dims())
    }

    #[getter]
    fn size(&self) -> PyResult<u64> {
        Ok(self.entry()?.shape.elements())
    }

    #[getter]
    fn nbytes(&self) -> PyResult<u64> {
        Ok(self.info()?.stored_bytes())
    }

    #[getter]
    fn shard(&self) -> PyResult<Option<i32>> {
        Ok(self.piece()?.map(|entry| entry.shard))
    }

    #[getter]
    fn offset(&self) -> PyResult<Option<i64>> {
        Ok(self.piece()?.map(|entry| entry.offset))
    }

    #[getter]
    fn crc32c(&self) -> PyResult<Option<u32>> {
        Ok(self.piece()?.map(|entry| entry.crc.0))
    }

    #[getter]
    fn aligned(&self) -> PyResult<bool> {
        let entry = self.entry()?;
        Ok(match entry.dtype.layout() {
            // What is put together is put where it is aligned, and so is what is read.
            Layout::Fixed { unit, .. } if entry.slices.is_empty() && self.mapped => {
                entry.offset % unit as i64 == 0
            }
            _ => true,
        })
    }

    #[getter]
    fn zero_copy(&self) -> PyResult<bool> {
        let entry = self.entry()?;
        let fixed = matches!(entry.dtype.layout(), Layout::Fixed { .. });
        let swapped = entry.dtype == DataType::BFLOAT16 && self.order == ByteOrder::Big;
        Ok(self.mapped && fixed && entry.slices.is_empty() && !swapped)
    }

    #[getter]
    fn slices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let info = self.info()?;
        let dims = info.entry.shape.dims();
        let slices = info.parts.iter().map(|part| slice_info(part, dims));
        PyTuple::new(py, slices.map(|slice| Py::new(py, slice)).collect::<PyResult<Vec<_>>>()?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let entry = self.entry()?;
        let mut text = format!(
            "TensorInfo({}, {}, {}",
            self.name(py)?.repr()?,
            entry.dtype,
            self.shape(py)?.repr()?
        );
        match self.piece()? {
            Some(entry) => {
                text.push_str(&format!(", shard={}, offset={})", entry.shard, entry.offset))
            }
            None => text.push_str(&format!(", {} slices)", entry.slices.len())),
        }
        Ok(text)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let info = self.info()?;
        let parts = info.parts.iter().map(|part| part.entry.as_ref().map(pack)).collect::<Vec<_>>();
        let state = (
            PyBytes::new(py, &info.name),
            pack(&info.entry),
            parts,
            self.order == ByteOrder::Big,
            self.mapped,
        );
        Ok((py.get_type::<Self>().getattr("_restore")?, state.into_pyobject(py)?))
    }

    /// Makes an info again from what `__reduce__` gave.
    #[classmethod]
    fn _restore(
        _class: &Bound<'_, PyType>,
        name: Vec<u8>,
        entry: Packed,
        parts: Vec<Option<Packed>>,
        big: bool,
        mapped: bool,
    ) -> PyResult<Self> {
        let entry = unpack(entry)?;
        let parts = entry.slices.iter().zip(parts).map(|(slice, part)| {
            Ok(Part { slice: slice.clone(), entry: part.map(unpack).transpose()? })
        });
        let parts = parts.collect::<PyResult<_>>()?;
        let info = Info { name: name.into(), entry, parts };
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        Ok(Self { listing: Arc::new(Listing::of(info)), row: 0, order, mapped })
    }
}

/// An entry as plain values: type, shape, shard, offset, size, checksum, slices.
type Packed = (i32, Vec<i64>, i32, i64, i64, u32, Vec<Vec<(i64, Option<i64>)>>);

fn pack(entry: &Entry) -> Packed {
    (
        entry.dtype.0,
        entry.shape.dims().iter().map(|&dim| dim as i64).collect(),
        entry.shard,
        entry.offset,
        entry.size,
        entry.crc.0,
        entry.slices.iter().map(|slice| slice.0.clone()).collect(),
    )
}

fn unpack((dtype, dims, shard, offset, size, crc, slices): Packed) -> PyResult<Entry> {
    Ok(Entry {
        dtype: DataType(dtype),
        shape: Shape::new(dims).map_err(|fault| PyValueError::new_err(fault.to_string()))?,
        shard,
        offset,
        size,
        crc: MaskedCrc(crc),
        slices: slices.into_iter().map(TensorSlice).collect(),
    })
}

fn slice_info(part: &Part, dims: &[u64]) -> SliceInfo {
    let extents = &part.slice.0;
    let entry = part.entry.as_ref();
    SliceInfo {
        start: extents.iter().map(|&(start, _)| start).collect(),
        // An extent without a length is the whole dimension.
        shape: extents
            .iter()
            .enumerate()
            .map(|(axis, &(_, length))| {
                length.unwrap_or(dims.get(axis).copied().unwrap_or(0) as i64)
            })
            .collect(),
        shard: entry.map(|entry| entry.shard),
        offset: entry.map(|entry| entry.offset),
        nbytes: entry.map(|entry| entry.size),
        crc32c: entry.map(|entry| entry.crc.0),
    }
}
