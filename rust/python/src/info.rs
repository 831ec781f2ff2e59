//! What an index says of a tensor, as Python objects that are made when they are asked for.

use crate::dtypes;
use crate::names::Name;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tensorbundle_store::{Format, HOST, Listing, Part, Row, Tensors};
use tensorbundle_wire::bundle::{ByteOrder, Entry, Shape, TensorSlice, elements};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::dtype::{DataType, Layout};

/// A tensor of a listing.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
pub(crate) struct TensorInfo {
    shared: Arc<Shared>,
    row: usize,
}

/// What the infos of one call have in common.
pub(crate) struct Shared {
    listing: Arc<Listing>,
    order: ByteOrder,
    format: Format,
    /// Whether tensors are views of a map, and the shards that the system could not map all the same.
    mapped: bool,
    unmapped: Vec<u32>,
}

impl Shared {
    pub(crate) fn new(tensors: &Tensors, listing: Arc<Listing>) -> Arc<Self> {
        // The values of V1 files are copied out of protos.
        let (order, format) = (tensors.order(), tensors.format());
        let options = tensors.options();
        let mapped = options.mmap && !options.files.is_remote() && format == Format::V2;
        Arc::new(Self { listing, order, format, mapped, unmapped: tensors.unmapped_shards() })
    }
}

/// A slice of a partitioned tensor.
#[pyclass(frozen, eq, hash, module = "tensorbundle._native")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct SliceInfo {
    start: Vec<i64>,
    shape: Vec<i64>,
    /// Its shard; `None` if the index lacks its entry, as for all that follow.
    #[pyo3(get)]
    shard: Option<i32>,
    /// Where in the shard, in bytes; `None` in V1.
    #[pyo3(get)]
    offset: Option<i64>,
    /// How many bytes of the shard.
    #[pyo3(get)]
    nbytes: Option<i64>,
    /// The masked checksum as stored; `None` in V1.
    #[pyo3(get)]
    crc32c: Option<u32>,
}

#[pymethods]
impl SliceInfo {
    /// Where it begins, for each dimension.
    #[getter]
    fn start<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.start)
    }

    /// How long it is, for each dimension.
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
            (Some(shard), None) => format!("shard={shard}"),
            _ => "missing".to_owned(),
        };
        let (start, shape) = (self.start(py)?.repr()?, self.shape(py)?.repr()?);
        Ok(format!("SliceInfo(start={start}, shape={shape}, {place})"))
    }
}

/// All tensors of a listing.
pub(crate) fn all<'py>(py: Python<'py>, shared: &Arc<Shared>) -> PyResult<Bound<'py, PyList>> {
    let rows = 0..shared.listing.len();
    PyList::new(py, rows.map(|row| TensorInfo { shared: shared.clone(), row }))
}

impl TensorInfo {
    /// The tensor of a listing of one.
    pub(crate) fn only(shared: Arc<Shared>) -> Self {
        Self { shared, row: 0 }
    }

    fn row(&self) -> PyResult<Row<'_>> {
        let row = self.shared.listing.row(self.row);
        row.ok_or_else(|| PyValueError::new_err("no such tensor in its listing"))
    }

    /// The row, unless the tensor is partitioned and in no one file.
    fn piece(&self) -> PyResult<Option<Row<'_>>> {
        Ok(Some(self.row()?).filter(|row| row.parts.is_empty()))
    }

    /// The same, unless the values lie within a proto and have no place of their own.
    fn placed(&self) -> PyResult<Option<Row<'_>>> {
        Ok(self.piece()?.filter(|_| self.shared.format == Format::V2))
    }

    fn is_mapped(&self, row: &Row<'_>) -> bool {
        let unmapped = |shard| self.shared.unmapped.contains(&shard);
        self.shared.mapped && !u32::try_from(row.shard).is_ok_and(unmapped)
    }
}

impl PartialEq for TensorInfo {
    fn eq(&self, other: &Self) -> bool {
        self.row().ok() == other.row().ok() && self.shared.order == other.shared.order
    }
}

impl Hash for TensorInfo {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Name, place and checksum tell tensors apart; the rest is left to equality.
        if let Ok(row) = self.row() {
            (row.name, row.offset, row.crc.0).hash(state);
        }
    }
}

#[pymethods]
impl TensorInfo {
    /// Its name; bytes that are not UTF-8 are lone surrogates (`surrogateescape`).
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Name(self.row()?.name).into_pyobject(py)
    }

    /// The dtype of the array that reading gives. Imports NumPy.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtypes::numpy_dtype(py, self.row()?.dtype, self.shared.order)
    }

    /// TensorFlow's name of the type.
    #[getter]
    fn type_name(&self) -> PyResult<String> {
        Ok(self.row()?.dtype.to_string())
    }

    /// Its shape; `()` for a scalar.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.row()?.dims)
    }

    /// How many elements.
    #[getter]
    fn size(&self) -> PyResult<u64> {
        Ok(elements(self.row()?.dims))
    }

    /// How many bytes are stored; of a partitioned tensor, all slices together; of V1, the bytes of the elements.
    #[getter]
    fn nbytes(&self) -> PyResult<u64> {
        Ok(self.row()?.stored_bytes())
    }

    /// Number of its data shard; `None` for a partitioned tensor.
    #[getter]
    fn shard(&self) -> PyResult<Option<i32>> {
        Ok(self.piece()?.map(|row| row.shard))
    }

    /// Where in the shard, in bytes; `None` for a partitioned tensor, and in V1.
    #[getter]
    fn offset(&self) -> PyResult<Option<i64>> {
        Ok(self.placed()?.map(|row| row.offset))
    }

    /// The masked CRC-32C as stored; `None` for a partitioned tensor, and in V1.
    #[getter]
    fn crc32c(&self) -> PyResult<Option<u32>> {
        Ok(self.placed()?.map(|row| row.crc.0))
    }

    /// Whether the array that reading gives is aligned for its type.
    #[getter]
    fn aligned(&self) -> PyResult<bool> {
        let row = self.row()?;
        Ok(match row.dtype.layout() {
            // What is put together is put where it is aligned, and so is what is read.
            Layout::Fixed { unit, .. } if self.zero_copy()? => row.offset % unit as i64 == 0,
            _ => true,
        })
    }

    /// Whether reading gives a view of the mapped shard.
    #[getter]
    fn zero_copy(&self) -> PyResult<bool> {
        let row = self.row()?;
        let fixed = matches!(row.dtype.layout(), Layout::Fixed { .. });
        let swapped = row.dtype == DataType::BFLOAT16 && self.shared.order != HOST;
        Ok(fixed && !swapped && row.parts.is_empty() && self.is_mapped(&row))
    }

    /// Its slices; empty unless it is partitioned.
    #[getter]
    fn slices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let row = self.row()?;
        PyTuple::new(
            py,
            row.parts.iter().map(|part| slice_info(part, row.dims, self.shared.format)),
        )
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let row = self.row()?;
        let (name, shape) = (self.name(py)?, self.shape(py)?);
        let mut text = format!("TensorInfo({}, {}, {}", name.repr()?, row.dtype, shape.repr()?);
        match row.parts.len() {
            0 if self.shared.format == Format::V1 => {
                text.push_str(&format!(", shard={})", row.shard))
            }
            0 => text.push_str(&format!(", shard={}, offset={})", row.shard, row.offset)),
            slices => text.push_str(&format!(", {slices} slices)")),
        }
        Ok(text)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let row = self.row()?;
        let place = (row.shard, row.offset, row.size, row.crc.0);
        let whole: Packed = (row.dtype.0, signed(row.dims), place);
        let parts =
            row.parts.iter().map(|part| (part.slice.0.clone(), part.entry.as_ref().map(pack)));
        let parts = parts.collect::<Vec<_>>();
        let (big, v1) = (self.shared.order == ByteOrder::Big, self.shared.format == Format::V1);
        let state = (PyBytes::new(py, row.name), whole, parts, big, v1, self.is_mapped(&row));
        Ok((py.get_type::<Self>().getattr("_restore")?, state.into_pyobject(py)?))
    }

    /// Makes an info again from what `__reduce__` gave.
    #[classmethod]
    fn _restore(
        _class: &Bound<'_, PyType>,
        name: Vec<u8>,
        whole: Packed,
        parts: Vec<PackedPart>,
        big: bool,
        v1: bool,
        mapped: bool,
    ) -> PyResult<Self> {
        let parts = parts.into_iter().map(|(slice, entry)| {
            Ok(Part { slice: TensorSlice(slice), entry: entry.map(unpack).transpose()? })
        });
        let listing = Listing::of(&name, &unpack(whole)?, parts.collect::<PyResult<_>>()?);
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let format = if v1 { Format::V1 } else { Format::V2 };
        let listing = Arc::new(listing);
        let shared = Shared { listing, order, format, mapped, unmapped: Vec::new() };
        Ok(Self::only(Arc::new(shared)))
    }
}

/// An entry as plain values: type, shape, and shard, offset, size and checksum.
type Packed = (i32, Vec<i64>, (i32, i64, i64, u32));

/// A slice: start and length for each dimension, and its entry.
type PackedPart = (Vec<(i64, Option<i64>)>, Option<Packed>);

fn pack(entry: &Entry) -> Packed {
    let place = (entry.shard, entry.offset, entry.size, entry.crc.0);
    (entry.dtype.0, signed(entry.shape.dims()), place)
}

fn unpack((dtype, dims, (shard, offset, size, crc)): Packed) -> PyResult<Entry> {
    Ok(Entry {
        dtype: DataType(dtype),
        shape: Shape::new(&dims).map_err(|fault| PyValueError::new_err(fault.to_string()))?,
        shard,
        offset,
        size,
        crc: MaskedCrc(crc),
        slices: Vec::new(),
    })
}

fn signed(dims: &[u64]) -> Vec<i64> {
    dims.iter().map(|&dim| dim as i64).collect()
}

fn slice_info(part: &Part, dims: &[u64], format: Format) -> SliceInfo {
    let (start, shape) = part.slice.extents(dims).unzip();
    let entry = part.entry.as_ref();
    let placed = entry.filter(|_| format == Format::V2);
    SliceInfo {
        start,
        shape,
        shard: entry.map(|entry| entry.shard),
        offset: placed.map(|entry| entry.offset),
        nbytes: entry.map(|entry| entry.size),
        crc32c: placed.map(|entry| entry.crc.0),
    }
}
