//! Whole stores of checkpoints, below `tensorbundle.catalog`.

use crate::arrow::{ArrowTable, failed};
use crate::errors;
use crate::remote::files;
use crate::watch::{stopped, watched};
use arrow_ipc::writer::FileWriter;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Mutex;
use tensorbundle_checkpoint::{self as core, Place, ScanOptions, Table, Tables, locate};
use tensorbundle_store::Files;

/// Places where checkpoints are, or should be.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct Places(Vec<Place>, Files);

/// Checkpoints, tensors, findings and stats.
type Four = (ArrowTable, ArrowTable, ArrowTable, ArrowTable);

/// Walks directories: places, what could not be walked as findings, how many directories, how many links were left. Without
/// `deep` nothing that lies in a directory of them. `listed` are roots that were found in others: directories, whatever
/// became of them since.
#[pyfunction]
#[pyo3(signature = (roots, follow_links, progress, store=None, deep=true, listed=false))]
pub(crate) fn walk<'py>(
    py: Python<'py>,
    roots: Vec<PathBuf>,
    follow_links: bool,
    progress: Option<&Bound<'py, PyAny>>,
    store: Option<Bound<'py, PyAny>>,
    deep: bool,
    listed: bool,
) -> PyResult<(Places, ArrowTable, usize, usize)> {
    let files = files(store);
    let sort = || {
        let (directories, others): (Vec<_>, Vec<_>) =
            roots.into_iter().partition(|root| listed || files.is_dir(root));
        let lone = others.iter().map(|path| locate(&files, path, false));
        let lone = lone.map(|found| found.map(|found| Place::located(&files, found)));
        let lone = lone.collect::<Result<Vec<_>, _>>()?;
        files.trouble().map(|()| (directories, lone))
    };
    let (directories, lone) = py.detach(sort).map_err(|error| errors::to_python(py, error))?;
    let walked =
        watched(py, progress, |watch| core::walk(&files, &directories, follow_links, deep, watch))?;
    let mut walked = walked.map_err(|_| stopped())?;
    walked.places.extend(lone);
    walked.places.sort_by(|a, b| a.path.cmp(&b.path));
    walked.places.dedup_by(|a, b| a.path == b.path);
    let mut tables = Tables::default();
    walked.troubles.iter().for_each(|trouble| tables.trouble(trouble));
    let [_, _, findings, _] = tables.finish().map_err(failed)?;
    let findings = Table { schema: Tables::findings_schema(), batches: findings };
    files.trouble().map_err(|error| errors::to_python(py, error))?;
    Ok((
        Places(walked.places, files.anew()),
        ArrowTable(findings),
        walked.directories,
        walked.links,
    ))
}

/// The directories in one, by their names alone, and how many links to others.
#[pyfunction]
#[pyo3(signature = (directory, store=None))]
pub(crate) fn folders(
    py: Python<'_>,
    directory: PathBuf,
    store: Option<Bound<'_, PyAny>>,
) -> PyResult<(Vec<OsString>, usize)> {
    let files = files(store);
    let found = py.detach(|| core::folders(&files, &directory));
    let (found, links) = found.map_err(|error| errors::to_python(py, error))?;
    Ok((found.into_iter().map(PathBuf::into_os_string).collect(), links))
}

/// The places of these paths, as a walk finds them.
#[pyfunction]
#[pyo3(signature = (paths, store=None))]
pub(crate) fn places_of(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    store: Option<Bound<'_, PyAny>>,
) -> PyResult<Places> {
    let files = files(store);
    let places = watched(py, None, |watch| core::places_of(&files, &paths, watch))?;
    Ok(Places(places.map_err(|_| stopped())?, files.anew()))
}

#[pymethods]
impl Places {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// The path of each.
    fn paths(&self) -> Vec<OsString> {
        self.0.iter().map(|place| place.path.clone().into_os_string()).collect()
    }

    /// Path, as catalogs have it, and signature of each.
    fn signatures(&self) -> Vec<(String, String)> {
        self.0.iter().map(|place| (place.text(), format!("{:016x}", place.signature()))).collect()
    }

    /// How many bytes the files of each have.
    fn sizes(&self) -> Vec<u64> {
        self.0.iter().map(|place| place.stamps.iter().map(|stamp| stamp.size).sum()).collect()
    }

    /// How many bytes of each are read if its data is not.
    fn index_sizes(&self) -> Vec<u64> {
        self.0.iter().map(Place::index_bytes).collect()
    }

    /// The rows of some of them, by number: checkpoints, tensors, findings, stats. `progress` hears of checkpoints.
    fn scan<'py>(
        &self,
        py: Python<'py>,
        numbers: Vec<usize>,
        verify: bool,
        stats: bool,
        mmap: bool,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Four> {
        let some: Option<Vec<_>> = numbers.iter().map(|&i| self.0.get(i).cloned()).collect();
        let some = some.ok_or_else(|| PyValueError::new_err("no such place"))?;
        let options = ScanOptions { files: self.1.clone(), verify, stats, mmap };
        let tables = watched(py, progress, |watch| core::scan(&some, &options, watch))?;
        let tables = tables.map_err(|_| stopped())?;
        let [checkpoints, tensors, findings, stats] = tables.map_err(failed)?.map(ArrowTable);
        Ok((checkpoints, tensors, findings, stats))
    }
}

/// A file in Arrow's own format, to which tables are appended.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct ArrowWriter(Mutex<Option<FileWriter<BufWriter<File>>>>);

#[pymethods]
impl ArrowWriter {
    /// Begins a file of tables like this one.
    #[staticmethod]
    fn create(path: PathBuf, like: &ArrowTable) -> PyResult<Self> {
        let file = File::create(path)?;
        let writer = FileWriter::try_new(BufWriter::new(file), &like.0.schema).map_err(failed)?;
        Ok(Self(Mutex::new(Some(writer))))
    }

    /// Appends all rows of a table.
    fn append(&self, py: Python<'_>, table: &ArrowTable) -> PyResult<()> {
        py.detach(|| {
            let mut writer = self.0.lock().unwrap_or_else(|held| held.into_inner());
            let writer = writer.as_mut().ok_or_else(closed)?;
            table.0.batches.iter().try_for_each(|batch| writer.write(batch).map_err(failed))
        })
    }

    /// Ends the file.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let writer = self.0.lock().unwrap_or_else(|held| held.into_inner()).take();
            let mut writer = writer.ok_or_else(closed)?;
            writer.finish().map_err(failed)?;
            writer.get_ref().get_ref().sync_all()?;
            Ok(())
        })
    }
}

fn closed() -> PyErr {
    PyValueError::new_err("the file is closed")
}
