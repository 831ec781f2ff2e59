//! The bytes of an index: the file, or what a damaged one was rewritten to.

use crate::source::File;
use crate::{Error, Result};
use bytes::Bytes;
use std::path::{Path, PathBuf};
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
