//! Checks of whole checkpoints, below the `VerifyReport` that users see.

use crate::errors;
use crate::names::Name;
use crate::remote::files;
use crate::watch::{stopped, watched};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tensorbundle_checkpoint::{self as core, Located, Verified, locate};
use tensorbundle_store::{Error, Files, Finding, Format, Options};

/// Kind, part, tensor, path, shard, first byte, byte behind the last, got, want, sentence.
type RawFinding<'py> = (
    &'static str,
    String,
    Option<Bound<'py, PyString>>,
    Option<OsString>,
    Option<u32>,
    Option<u64>,
    Option<u64>,
    Option<String>,
    Option<String>,
    String,
);

/// Prefix, format, how many tensors, how many bytes, findings, notes, lost tensors.
pub(crate) type RawReport<'py> = (
    OsString,
    &'static str,
    usize,
    u64,
    Vec<RawFinding<'py>>,
    Vec<RawFinding<'py>>,
    Bound<'py, PyList>,
);

/// Checks the checkpoint that `path` means. `progress(done, total)` hears of the bytes that were checked.
#[pyfunction]
#[pyo3(signature = (path, mmap, follow, progress, store=None))]
pub(crate) fn verify<'py>(
    py: Python<'py>,
    path: PathBuf,
    mmap: bool,
    follow: bool,
    progress: Option<&Bound<'py, PyAny>>,
    store: Option<Bound<'py, PyAny>>,
) -> PyResult<RawReport<'py>> {
    let files = files(store);
    let located = locate_detached(py, &files, &path, follow)?;
    report(py, &run(py, &located, Options { files, mmap, verify: false }, true, progress)?)
}

pub(crate) fn locate_detached(
    py: Python<'_>,
    files: &Files,
    path: &Path,
    follow: bool,
) -> PyResult<Located> {
    py.detach(|| locate(files, path, follow)).map_err(|error| errors::to_python(py, error))
}

/// Checks, with the GIL let go but for moments in which progress is told and signals are looked for.
pub(crate) fn run(
    py: Python<'_>,
    located: &Located,
    options: Options,
    data: bool,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Verified> {
    match watched(py, progress, |watch| core::verify(located, options, data, watch))? {
        Ok(Ok(verified)) => Ok(verified),
        Ok(Err(_)) => Err(stopped()),
        Err(error) => Err(errors::to_python(py, error)),
    }
}

pub(crate) fn report<'py>(py: Python<'py>, verified: &Verified) -> PyResult<RawReport<'py>> {
    let (tensors, checked) = (&verified.tensors, &verified.checked);
    let format = match tensors.format() {
        Format::V1 => "V1",
        Format::V2 => "V2",
    };
    let raw = |findings: &[Finding]| {
        findings.iter().map(|finding| raw_finding(py, finding)).collect::<PyResult<Vec<_>>>()
    };
    let mut lost: Vec<_> = checked.lost.iter().collect();
    lost.sort_unstable();
    Ok((
        tensors.prefix().into(),
        format,
        checked.tensors,
        checked.bytes,
        raw(&checked.findings)?,
        raw(&checked.notes)?,
        PyList::new(py, lost.into_iter().map(|name| Name(name)))?,
    ))
}

fn raw_finding<'py>(py: Python<'py>, finding: &Finding) -> PyResult<RawFinding<'py>> {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let name = |name: &Vec<u8>| Name(name).into_pyobject(py);
    let (part, tensor, path, got, want) = match &finding.error {
        Error::Fault { path, tensor, fault } => (
            fault.part().to_owned(),
            tensor.as_ref().map(name).transpose()?,
            path.as_ref(),
            text(fault.got()),
            text(fault.want()),
        ),
        Error::Io { path, .. } => ("file".to_owned(), None, Some(path), None, None),
        _ => ("checkpoint".to_owned(), None, None, None, None),
    };
    let (start, end) = finding.range.as_ref().map(|range| (range.start, range.end)).unzip();
    let path = path.map(|path| path.as_os_str().to_owned());
    let sentence = finding.error.to_string();
    Ok((finding.kind.name(), part, tensor, path, finding.shard, start, end, got, want, sentence))
}
