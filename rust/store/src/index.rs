//! The bytes of an index: the file, or what a damaged one was rewritten to; of one in a store, what was read ahead.

use crate::source::File;
use crate::{Error, Result};
use bytes::Bytes;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tensorbundle_wire::Fault;
use tensorbundle_wire::table::Source;

/// Where an index comes from.
pub(crate) enum Index {
    /// From its file.
    File(File),
    /// From memory: what was saved of the file at `path`.
    Rewritten { path: PathBuf, bytes: Bytes },
}

impl Index {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(file) => file.path(),
            Self::Rewritten { path, .. } => path,
        }
    }
}

impl Source for Index {
    type Error = Error;

    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Source::len(file),
            Self::Rewritten { bytes, .. } => bytes.len() as u64,
        }
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        match self {
            Self::File(file) => file.read(offset, len),
            Self::Rewritten { bytes, .. } => Ok(bytes.read(offset, len)?),
        }
    }
}

/// An index of which a part was read ahead, if it is in a store.
pub(crate) struct Ahead<'a> {
    index: &'a Index,
    start: u64,
    bytes: Bytes,
}

impl<'a> Ahead<'a> {
    /// Reads `range`, where that is worth it.
    pub(crate) fn read(index: &'a Index, range: Option<Range<u64>>) -> Result<Self> {
        let remote = matches!(index, Index::File(file) if file.as_object().is_some());
        let range = range.filter(|range| remote && range.start < range.end).unwrap_or(0..0);
        let len = usize::try_from(range.end - range.start)
            .map_err(|_| Fault::unsupported("index", "larger than this machine can address"))?;
        Ok(Self { index, start: range.start, bytes: index.read(range.start, len)? })
    }
}

impl Source for Ahead<'_> {
    type Error = Error;

    fn len(&self) -> u64 {
        self.index.len()
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let start = offset.checked_sub(self.start).and_then(|start| usize::try_from(start).ok());
        let range = start.and_then(|start| Some(start..start.checked_add(len)?));
        match range.filter(|range| range.end <= self.bytes.len()) {
            Some(range) => Ok(self.bytes.slice(range)),
            None => self.index.read(offset, len),
        }
    }
}
