//! One data file: tensors' bytes one after another, with nothing between them that can be relied on.

use crate::buffer::Buffer;
use crate::source::File;
use crate::{Error, Result, map};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::path::Path;
use tensorbundle_wire::crc::{MaskedCrc, RunningCrc};
use tensorbundle_wire::{Fault, lookalike};

/// An open data shard.
pub(crate) struct Shard {
    file: File,
    /// The whole file, if it is mapped.
    map: Option<Bytes>,
}

/// How much is read at once where a range is only passed through.
const CHUNK: usize = 1 << 20;

impl Shard {
    /// Opens a shard. Where the system cannot map the file, it is read instead.
    pub(crate) fn open(path: &Path, mmap: bool, context: String) -> Result<Self> {
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::io(path, error, context),
            _ => Error::io(path, error, "a data shard"),
        })?;
        let map = if mmap { map::map(&file).ok() } else { None };
        Ok(Self { file, map })
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn len(&self) -> u64 {
        self.map.as_ref().map_or(self.file.len(), |map| map.len() as u64)
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// Holds a range against the length of the file.
    pub(crate) fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start <= range.end && range.end <= self.len() {
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
        let mut head = vec![0; self.file.len().min(lookalike::HEAD_LEN) as usize];
        self.file.read_into(0, &mut head)?;
        Ok(lookalike::describe(&head, self.file.len()))
    }

    /// The bytes of a range: a view of the map, or a copy that is read.
    pub(crate) fn bytes(&self, range: &Range<u64>) -> Result<Bytes> {
        self.check(range)?;
        match &self.map {
            Some(map) => Ok(map.slice(range.start as usize..range.end as usize)),
            None => self.copy(range),
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
        match &self.map {
            Some(map) => {
                let start = offset as usize;
                out.copy_from_slice(map.get(start..start + out.len()).unwrap_or_default());
                Ok(())
            }
            None => self.file.read_into(offset, out),
        }
    }

    /// The masked checksum of a range.
    pub(crate) fn checksum(&self, range: &Range<u64>) -> Result<MaskedCrc> {
        self.check(range)?;
        if let Some(map) = &self.map {
            let bytes = map.get(range.start as usize..range.end as usize);
            return Ok(MaskedCrc::of(bytes.unwrap_or_default()));
        }
        let mut running = RunningCrc::new();
        let mut chunk = vec![0; CHUNK.min((range.end - range.start) as usize)];
        let mut at = range.start;
        while at < range.end {
            let n = (range.end - at).min(CHUNK as u64) as usize;
            let part = chunk.get_mut(..n).unwrap_or_default();
            self.file.read_into(at, part)?;
            running.extend(part);
            at += n as u64;
        }
        Ok(running.masked())
    }
}
