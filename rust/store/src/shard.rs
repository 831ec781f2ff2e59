//! One data file: tensors' bytes one after another, with nothing between them that can be relied on.

use crate::buffer::Buffer;
use crate::source::File;
use crate::{Error, Result, map};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::{Fault, lookalike};

/// An open data shard.
pub(crate) struct Shard {
    path: PathBuf,
    data: Data,
}

enum Data {
    /// The whole file, mapped. The map needs no open file.
    Mapped(Bytes),
    /// The file, to be read.
    Read(File),
}

impl Shard {
    /// Opens a shard. Where the system cannot map the file, it is read instead. `missing` says what to do if
    /// the file is not there.
    pub(crate) fn open(path: &Path, mmap: bool, missing: impl FnOnce() -> String) -> Result<Self> {
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::io(path, error, missing()),
            _ => Error::io(path, error, "a data shard"),
        })?;
        let map = if mmap { map::map(&file).ok() } else { None };
        let data = map.map_or_else(|| Data::Read(file), Data::Mapped);
        Ok(Self { path: path.to_owned(), data })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.data {
            Data::Mapped(map) => map.len() as u64,
            Data::Read(file) => file.len(),
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.data, Data::Mapped(_))
    }

    /// Holds a range against the length of the file. Where an empty one lies does not matter.
    pub(crate) fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start == range.end || (range.start <= range.end && range.end <= self.len()) {
            return Ok(());
        }
        let fault = Fault::corrupt(
            "data shard",
            format!(
                "too short: bytes {} to {} are wanted, it has {}",
                range.start,
                range.end,
                self.len()
            ),
        );
        let advice = self.looks_like()?.unwrap_or_else(|| {
            "the copy was cut short, or the shard belongs to another checkpoint".into()
        });
        Err(Error::fault(self.path(), fault.at(range.start).advise(advice)))
    }

    /// What a file looks like that is too short to be the shard.
    fn looks_like(&self) -> Result<Option<String>> {
        let head = self.copy(&(0..self.len().min(lookalike::HEAD_LEN)))?;
        Ok(lookalike::describe(&head, self.len()))
    }

    /// The bytes of a range: a view of the map, or a copy that is read.
    pub(crate) fn bytes(&self, range: &Range<u64>) -> Result<Bytes> {
        self.check(range)?;
        match &self.data {
            Data::Mapped(_) if range.is_empty() => Ok(Bytes::new()),
            Data::Mapped(map) => Ok(map.slice(range.start as usize..range.end as usize)),
            Data::Read(_) => self.copy(range),
        }
    }

    /// A copy of the bytes of a range, aligned for every type.
    pub(crate) fn copy(&self, range: &Range<u64>) -> Result<Bytes> {
        self.check(range)?;
        let memory = |error| Error::io(self.path(), error, "memory for a copy of its bytes");
        let len = usize::try_from(range.end - range.start)
            .map_err(|_| memory(io::ErrorKind::OutOfMemory.into()))?;
        let mut buffer = Buffer::zeroed(len).map_err(memory)?;
        self.read_into(range.start, buffer.as_mut())?;
        buffer.freeze().map_err(memory)
    }

    /// Fills `out` from `offset` on.
    pub(crate) fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.check(&(offset..offset.saturating_add(out.len() as u64)))?;
        match &self.data {
            Data::Mapped(_) if out.is_empty() => Ok(()),
            Data::Mapped(map) => {
                let start = offset as usize;
                out.copy_from_slice(map.get(start..start + out.len()).unwrap_or_default());
                Ok(())
            }
            Data::Read(file) => file.read_into(offset, out),
        }
    }

    /// The masked checksum of a range, if the file is mapped.
    pub(crate) fn checksum(&self, range: &Range<u64>) -> Result<Option<MaskedCrc>> {
        self.check(range)?;
        let Data::Mapped(map) = &self.data else {
            return Ok(None);
        };
        let bytes = map.get(range.start as usize..range.end as usize);
        Ok(Some(MaskedCrc::of(bytes.unwrap_or_default())))
    }
}
