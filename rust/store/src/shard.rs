//! One data file: tensors' bytes one after another, with nothing between them that can be relied on.

use crate::buffer::{Buffer, Scratch};
use crate::bundle::Options;
use crate::files::Files;
use crate::pages::{CHUNK, Pages, chunks};
use crate::source::{File, FileId};
use crate::{Error, Result, map};
use bytes::Bytes;
use once_cell::race::OnceBox;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tensorbundle_wire::crc::{MaskedCrc, RunningCrc};
use tensorbundle_wire::{Fault, lookalike};

/// An open data shard.
pub(crate) struct Shard {
    path: PathBuf,
    data: Data,
}

enum Data {
    /// The whole file, mapped. The map needs no open file.
    Mapped {
        map: Bytes,
        pages: Pages,
        id: Option<FileId>,
        /// Opened again, to be read where the map cannot be touched.
        again: OnceBox<File>,
    },
    /// The file, to be read.
    Read(File),
}

/// How much is read at once to be looked at and dropped: it should stay in the cache of the core.
const SCRATCH: usize = 128 << 10;

/// The same of a store, which answers each request late.
const REQUEST: usize = CHUNK as usize;

/// So much of a store is fetched at once, in several requests, for one who looks alone.
const REQUESTS: u64 = 8 * CHUNK;

impl Shard {
    /// Opens a shard. Where the system cannot map the file, it is read instead. `missing` says what to do if
    /// the file is not there.
    pub(crate) fn open(
        options: &Options,
        path: &Path,
        missing: impl FnOnce() -> String,
    ) -> Result<Self> {
        let file = File::open(&options.files, path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::io(path, error, missing()),
            _ => Error::io(path, error, "a data shard"),
        })?;
        let map = if options.mmap { map::map(&file).ok() } else { None };
        let data = match map {
            Some(map) => Data::Mapped {
                map: map.bytes(),
                pages: map.pages(),
                id: file.id(),
                again: OnceBox::new(),
            },
            None => Data::Read(file),
        };
        Ok(Self { path: path.to_owned(), data })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.data {
            Data::Mapped { map, .. } => map.len() as u64,
            Data::Read(file) => file.len(),
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.data, Data::Mapped { .. })
    }

    pub(crate) fn is_remote(&self) -> bool {
        matches!(&self.data, Data::Read(file) if file.as_object().is_some())
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
        let fault = fault.at(range.start).got_want(self.len(), range.end);
        Err(Error::fault(self.path(), fault.advise(advice)))
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
            Data::Mapped { .. } if range.is_empty() => Ok(Bytes::new()),
            Data::Mapped { map, .. } => Ok(map.slice(range.start as usize..range.end as usize)),
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

    /// Fills `out` from `offset` on. A mapped file is opened again and read, which no change of it can turn into a
    /// fault; from the map it is copied only where that cannot be: another file has its name by now, or there are no
    /// more descriptors.
    pub(crate) fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let range = offset..offset.saturating_add(out.len() as u64);
        self.check(&range)?;
        if out.is_empty() {
            return Ok(());
        }
        if let Ok(file) = self.file() {
            return file.read_into(offset, out);
        }
        for chunk in chunks(&range) {
            let at = (chunk.start - offset) as usize..(chunk.end - offset) as usize;
            let part = out.get_mut(at).unwrap_or_default();
            match self.touch(&chunk) {
                Some(bytes) => part.copy_from_slice(bytes),
                None => self.file()?.read_into(chunk.start, part)?,
            }
        }
        Ok(())
    }

    /// The mapped bytes of a range, if they can be touched now without a fault. The sooner that is done, the better.
    pub(crate) fn touch(&self, range: &Range<u64>) -> Option<&[u8]> {
        let Data::Mapped { map, pages, .. } = &self.data else {
            return None;
        };
        // Where its pages cannot be had, reading says why.
        let there = chunks(range).all(|chunk| pages.bring_in(&chunk).unwrap_or(false));
        there.then(|| map.get(range.start as usize..range.end as usize)).flatten()
    }

    /// The file, to be read.
    fn file(&self) -> Result<&File> {
        let (id, len, again) = match &self.data {
            Data::Read(file) => return Ok(file),
            Data::Mapped { map, id, again, .. } => (id, map.len() as u64, again),
        };
        again.get_or_try_init(|| {
            let file = File::open(&Files::Local, &self.path)
                .map_err(|error| Error::io(&self.path, error, "a data shard, opened again"))?;
            if file.id() == *id {
                return Ok(Box::new(file.with_len(len)));
            }
            let what = "the file that is mapped was cut short, and another stands in its place";
            let fault = Fault::corrupt("data shard", what).advise("open the checkpoint again");
            Err(Error::fault(&self.path, fault))
        })
    }

    /// Calls `look` with all bytes of a range, piece by piece. `scratch` is memory that many calls can share.
    pub(crate) fn look(
        &self,
        range: &Range<u64>,
        scratch: &mut Scratch,
        mut look: impl FnMut(&[u8]),
    ) -> Result<()> {
        self.check(range)?;
        let most = if self.is_remote() { REQUEST } else { SCRATCH };
        for chunk in chunks(range) {
            if let Some(bytes) = self.touch(&chunk) {
                look(bytes);
                continue;
            }
            let mut at = chunk.start;
            while at < chunk.end {
                let len = (chunk.end - at).min(most as u64);
                let part = scratch.bytes(len as usize);
                self.file()?.read_into(at, part)?;
                look(part);
                at += len;
            }
        }
        Ok(())
    }

    /// The same for whoever looks alone, at much: of a store, several parts are on their way at once.
    pub(crate) fn look_alone(&self, range: &Range<u64>, mut look: impl FnMut(&[u8])) -> Result<()> {
        if !self.is_remote() {
            return self.look(range, &mut Scratch::default(), look);
        }
        self.check(range)?;
        let mut at = range.start;
        while at < range.end {
            let part = at..range.end.min(at + REQUESTS);
            look(&self.copy(&part)?);
            at = part.end;
        }
        Ok(())
    }

    /// Reads a range ahead of what will be read of it next, if the file is in a store: one request for many tensors. It stays
    /// in memory until an empty range that begins where it does is read.
    pub(crate) fn read_ahead(&self, range: &Range<u64>) -> Result<()> {
        if let Data::Read(file) = &self.data
            && let Some(object) = file.as_object()
        {
            object.keep(range.start, self.copy(range)?);
        }
        Ok(())
    }

    /// The masked checksum of a range, if the file is mapped.
    pub(crate) fn checksum(&self, range: &Range<u64>) -> Result<Option<MaskedCrc>> {
        if !self.is_mapped() {
            return Ok(None);
        }
        let mut running = RunningCrc::new();
        self.look(range, &mut Scratch::default(), |bytes| running.extend(bytes))?;
        Ok(Some(running.masked()))
    }
}
