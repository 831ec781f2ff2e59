//! A whole file as bytes: mapped, or read.

use crate::buffer::Buffer;
use crate::files::Files;
use crate::source::File;
use crate::{Error, Result, map};
use bytes::Bytes;
use std::path::Path;
use tensorbundle_wire::table::Source;

/// Files below this are read: mapping them saves nothing.
const SMALL: u64 = 1 << 20;

/// The bytes of a file. A large one is mapped, unless it is in a store, `mmap` says not to or the system cannot.
pub fn read_file(files: &Files, path: &Path, mmap: bool) -> Result<Bytes> {
    let file = File::open(files, path).map_err(|error| Error::io(path, error, ""))?;
    if mmap
        && file.len() >= SMALL
        && let Ok(map) = map::map(&file)
    {
        return Ok(map.bytes());
    }
    let memory = |error| Error::io(path, error, "memory for the file");
    let len =
        usize::try_from(file.len()).map_err(|_| memory(std::io::ErrorKind::OutOfMemory.into()))?;
    let mut buffer = Buffer::zeroed(len).map_err(memory)?;
    file.read_into(0, buffer.as_mut())?;
    buffer.freeze().map_err(memory)
}

/// The first `head` and the last `tail` bytes of a file, or all that there are.
pub fn read_ends(files: &Files, path: &Path, head: u64, tail: u64) -> Result<(Bytes, Bytes)> {
    let file = File::open(files, path).map_err(|error| Error::io(path, error, "reading"))?;
    let (head, tail) = (head.min(file.len()), tail.min(file.len()));
    Ok((file.read(0, head as usize)?, file.read(file.len() - tail, tail as usize)?))
}
