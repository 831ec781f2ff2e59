//! An open checkpoint, below the `Checkpoint` that users see.

use crate::arrow::{self, ArrowTable};
use crate::buffer::TensorBuffer;
use crate::graph::MetaGraphReader;
use crate::info::{self, Shared, TensorInfo};
use crate::names::{self, Name};
use crate::objects::{ObjectGraphReader, Objects};
use crate::remote::files;
use crate::verify::{RawReport, locate_detached, report, run};
use crate::{dtypes, errors, rows};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use tensorbundle_checkpoint::{Located, locate, meta_beside, near_names};
use tensorbundle_store::{Error, Format, Listing, Options, Place, ReadOptions, Tensors, Value};
use tensorbundle_wire::bundle::ByteOrder;

/// An open checkpoint.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct Reader {
    /// What it was found to be.
    located: Located,
    tensors: Arc<Tensors>,
    /// All names, once they were asked for.
    names: PyOnceLock<Py<PyTuple>>,
    /// Its objects, once a name was no tensor's, or they were asked for.
    objects: PyOnceLock<Option<Arc<Objects>>>,
}

/// Elements, their NumPy type, their shape and the step to take through the rows.
type Elements<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyTuple>, isize);

impl Reader {
    fn of(located: Located, tensors: Tensors) -> Self {
        Self {
            located,
            tensors: Arc::new(tensors),
            names: PyOnceLock::new(),
            objects: PyOnceLock::new(),
        }
    }

    fn find(&self, name: &Bound<'_, PyString>) -> PyResult<Option<Place<'_>>> {
        let Some(bytes) = names::from_python(name)? else {
            return Ok(None);
        };
        let found = name.py().detach(|| self.tensors.find(&bytes));
        found.map_err(|error| errors::to_python(name.py(), error))
    }

    /// A tensor by its own name, else by what its object is called; the exception if there is none.
    fn locate(&self, name: &Bound<'_, PyString>) -> PyResult<Place<'_>> {
        if let Some(found) = self.find(name)? {
            return Ok(found);
        }
        let py = name.py();
        let Some(objects) = self.objects(py)? else {
            return Err(self.not_found(name));
        };
        let bytes = names::from_python(name)?.unwrap_or_default();
        match objects.resolve(py, &bytes)? {
            Ok(key) => {
                let found = py.detach(|| self.tensors.find(&key));
                let found = found.map_err(|error| errors::to_python(py, error))?;
                found.ok_or_else(|| self.not_found(name))
            }
            Err(miss) => Err(objects.missing(name, miss)),
        }
    }

    fn listing(&self, py: Python<'_>) -> PyResult<&Arc<Listing>> {
        py.detach(|| self.tensors.listing()).map_err(|error| errors::to_python(py, error))
    }

    /// The tensors, for whoever goes on without this reader.
    pub(crate) fn tensors(&self) -> &Arc<Tensors> {
        &self.tensors
    }

    /// The listing, for whoever goes on without this reader.
    pub(crate) fn shared_listing(&self, py: Python<'_>) -> PyResult<Arc<Listing>> {
        Ok(self.listing(py)?.clone())
    }

    pub(crate) fn core_format(&self) -> Format {
        self.tensors.format()
    }

    /// Its objects; `None` if it is a checkpoint of names.
    pub(crate) fn load_objects(&self, py: Python<'_>) -> Result<Option<&Arc<Objects>>, Error> {
        let open = || py.detach(|| Objects::open(&self.tensors));
        Ok(self.objects.get_or_try_init(py, open)?.as_ref())
    }

    fn objects(&self, py: Python<'_>) -> PyResult<Option<&Arc<Objects>>> {
        self.load_objects(py).map_err(|error| errors::to_python(py, error))
    }

    fn not_found(&self, name: &Bound<'_, PyString>) -> PyErr {
        let wanted = name.to_string_lossy();
        let near = name.py().detach(|| {
            let listing = self.tensors.listing().ok()?;
            Some(near_names(&wanted, listing.names()))
        });
        errors::not_found(self.tensors.prefix(), name, None, &near.unwrap_or_default())
    }
}

#[pymethods]
impl Reader {
    /// Opens the checkpoint that `path` means.
    #[staticmethod]
    #[pyo3(signature = (path, mmap, verify, follow, store=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        mmap: bool,
        verify: bool,
        follow: bool,
        store: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let files = files(store);
        let open = || {
            let located = locate(&files, &path, follow)?;
            let tensors = located.open(Options { files, mmap, verify })?;
            Ok((located, tensors))
        };
        let (located, tensors) = py.detach(open).map_err(|error| errors::to_python(py, error))?;
        Ok(Self::of(located, tensors))
    }

    /// Opens what is left of a checkpoint: a reader of the tensors that are sound, and a report. `verify` says whether
    /// their checksums count.
    #[staticmethod]
    #[pyo3(signature = (path, mmap, verify, follow, progress, store=None))]
    fn salvage<'py>(
        py: Python<'py>,
        path: PathBuf,
        mmap: bool,
        verify: bool,
        follow: bool,
        progress: Option<&Bound<'py, PyAny>>,
        store: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Self, RawReport<'py>)> {
        let files = files(store);
        let located = locate_detached(py, &files, &path, follow)?;
        let options = Options { files, mmap, verify: false };
        let verified = run(py, &located, options, verify, progress)?;
        let report = report(py, &verified)?;
        let sound = py.detach(|| verified.sound());
        let (tensors, _) = sound.map_err(|error| errors::to_python(py, error))?;
        Ok((Self::of(located, tensors), report))
    }

    /// Checks everything, reading the files anew.
    fn verify<'py>(
        &self,
        py: Python<'py>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<RawReport<'py>> {
        let Options { files, mmap, .. } = self.tensors.options();
        let options = Options { files: files.anew(), mmap: *mmap, verify: false };
        report(py, &run(py, &self.located, options, true, progress)?)
    }

    /// All tensors as columns; `graph` says what they are for, or else, if they are asked, its objects.
    fn to_arrow(
        &self,
        py: Python<'_>,
        graph: Option<&MetaGraphReader>,
        objects: bool,
    ) -> PyResult<ArrowTable> {
        arrow::tensors(py, self, graph, objects)
    }

    #[getter]
    fn prefix(&self) -> OsString {
        self.tensors.prefix().into()
    }

    #[getter]
    fn index_path(&self) -> Option<OsString> {
        self.tensors.index_path().map(OsString::from)
    }

    /// `"V1"` or `"V2"`.
    #[getter]
    fn format(&self) -> &'static str {
        match self.tensors.format() {
            Format::V1 => "V1",
            Format::V2 => "V2",
        }
    }

    /// The file beside it that holds its graph; `None` if there is none.
    #[getter]
    fn meta_path(&self, py: Python<'_>) -> PyResult<Option<OsString>> {
        let files = self.tensors.options().files.anew();
        let (found, trouble) =
            py.detach(|| (meta_beside(&files, self.tensors.prefix()), files.trouble()));
        trouble.map_err(|error| errors::to_python(py, error))?;
        Ok(found.map(OsString::from))
    }

    /// Whether its files are in a store, where each read costs a request.
    #[getter]
    fn is_remote(&self) -> bool {
        self.tensors.options().files.is_remote()
    }

    /// Reads bytes of a shard in a store ahead of the tensors in them; an empty range lets go of them.
    fn read_ahead(&self, py: Python<'_>, shard: u32, start: u64, end: u64) -> PyResult<()> {
        let Tensors::V2(bundle) = &*self.tensors else {
            return Ok(());
        };
        let read = py.detach(|| bundle.read_ahead_of(shard, &(start..end)));
        read.map_err(|error| errors::to_python(py, error))
    }

    #[getter]
    fn num_shards(&self) -> u32 {
        self.tensors.num_shards()
    }

    #[getter]
    fn endianness(&self) -> &'static str {
        match self.tensors.order() {
            ByteOrder::Little => "little",
            ByteOrder::Big => "big",
        }
    }

    #[getter]
    fn producer(&self) -> i32 {
        self.tensors.producer()
    }

    fn shard_path(&self, i: u32) -> OsString {
        self.tensors.shard_path(i).into()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.listing(py)?.len())
    }

    fn names<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        let names = self.names.get_or_try_init(py, || {
            Ok::<_, PyErr>(PyTuple::new(py, self.listing(py)?.names().map(Name))?.unbind())
        })?;
        Ok(names.bind(py))
    }

    /// The shape of each tensor. Neighbours of one shape share its tuple.
    fn shapes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (listing, shapes) = (self.listing(py)?, PyDict::new(py));
        let mut last: Option<(&[u64], Bound<'py, PyTuple>)> = None;
        for (i, name) in self.names(py)?.iter_borrowed().enumerate() {
            let dims = listing.dims(i).unwrap_or_default();
            let shape = match last {
                Some((same, shape)) if same == dims => shape,
                _ => PyTuple::new(py, dims)?,
            };
            shapes.set_item(name, &shape)?;
            last = Some((dims, shape));
        }
        Ok(shapes)
    }

    /// The NumPy type of each tensor.
    fn dtypes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (listing, dtypes) = (self.listing(py)?, PyDict::new(py));
        let order = self.tensors.order();
        for (name, &dtype) in self.names(py)?.iter_borrowed().zip(listing.dtypes()) {
            dtypes.set_item(name, dtypes::numpy_dtype(py, dtype, order)?)?;
        }
        Ok(dtypes)
    }

    /// TensorFlow's type of each tensor. Does not import NumPy.
    fn types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (listing, types) = (self.listing(py)?, PyDict::new(py));
        for (name, &dtype) in self.names(py)?.iter_borrowed().zip(listing.dtypes()) {
            types.set_item(name, dtypes::dtype(py, dtype)?)?;
        }
        Ok(types)
    }

    fn contains(&self, name: &Bound<'_, PyString>) -> PyResult<bool> {
        if self.find(name)?.is_some() {
            return Ok(true);
        }
        let Some(objects) = self.objects(name.py())? else {
            return Ok(false);
        };
        let bytes = names::from_python(name)?.unwrap_or_default();
        Ok(objects.resolve(name.py(), &bytes)?.is_ok())
    }

    /// Whether a tensor is stored under this name itself, whatever objects are called.
    fn has_key(&self, name: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.find(name)?.is_some())
    }

    /// Raises what a look-up does, unless a tensor is stored under this name itself.
    fn require_key(&self, name: &Bound<'_, PyString>) -> PyResult<()> {
        self.find(name)?.map(|_| ()).ok_or_else(|| self.not_found(name))
    }

    fn info(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<TensorInfo> {
        let info = |name: &[u8]| {
            let info = py.detach(|| self.tensors.info(name));
            info.map_err(|error| errors::to_python(py, error))
        };
        let own = match names::from_python(name)? {
            Some(bytes) => info(&bytes)?,
            None => None,
        };
        let info = match own {
            Some(own) => own,
            None => info(self.locate(name)?.name())?.ok_or_else(|| self.not_found(name))?,
        };
        Ok(TensorInfo::only(Shared::new(&self.tensors, Arc::new(info))))
    }

    fn infos<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        info::all(py, &Shared::new(&self.tensors, self.listing(py)?.clone()))
    }

    /// The graph of its objects; `None` if it is a checkpoint of names.
    #[getter]
    fn object_graph(&self, py: Python<'_>) -> PyResult<Option<ObjectGraphReader>> {
        Ok(self.objects(py)?.cloned().map(ObjectGraphReader))
    }

    /// A tensor's elements: a buffer, or a list of bytes for strings and variants.
    fn read<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
        rows: Option<&Bound<'py, PyAny>>,
        aligned: bool,
        verify: Option<bool>,
    ) -> PyResult<Elements<'py>> {
        let found = self.locate(name)?;
        let rows = match (rows, found.shape().dims().first()) {
            (Some(rows), Some(&len)) => Some(rows::resolve(rows, len)?),
            // The core says what is wrong with rows of a scalar.
            (Some(_), None) => Some(rows::Rows { range: 0..0, step: 1 }),
            (None, _) => None,
        };
        let step = rows.as_ref().map_or(1, |rows| rows.step);
        let rows = rows.map(|rows| rows.range);
        let options = ReadOptions { rows, aligned, verify, ..Default::default() };
        self.elements(py, &found, &options, step)
    }

    /// A part of a tensor, brought in if it is a view: the `rows` (first, end) at an index of leading dimensions.
    fn read_part<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
        within: Vec<u64>,
        rows: Option<(u64, u64)>,
        verify: Option<bool>,
    ) -> PyResult<Elements<'py>> {
        let found = self.locate(name)?;
        let rows = rows.map(|(first, end)| first..end);
        let options = ReadOptions { rows, within, verify, touch: true, ..Default::default() };
        self.elements(py, &found, &options, 1)
    }

    /// Checks the checksums of a tensor, in bounded memory.
    fn check(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<()> {
        let found = self.locate(name)?;
        let checked = py.detach(|| self.tensors.check(&found));
        checked.map_err(|error| errors::to_python(py, error))
    }
}

impl Reader {
    fn elements<'py>(
        &self,
        py: Python<'py>,
        found: &Place<'_>,
        options: &ReadOptions,
        step: isize,
    ) -> PyResult<Elements<'py>> {
        let tensor = py.detach(|| self.tensors.read(found, options));
        let tensor = tensor.map_err(|error| errors::to_python(py, error))?;
        let elements = match tensor.value {
            Value::Raw(bytes) => Bound::new(py, TensorBuffer(bytes))?.into_any(),
            Value::List(list) => {
                PyList::new(py, list.iter().map(|bytes| PyBytes::new(py, bytes)))?.into_any()
            }
        };
        let dtype = dtypes::numpy_dtype(py, tensor.dtype, tensor.order)?;
        Ok((elements, dtype, PyTuple::new(py, tensor.shape.dims())?, step))
    }
}
