//! Mapping a file: one of the two files in which `unsafe` stands.

#![allow(unsafe_code)]

use crate::source::File;
use bytes::Bytes;
use memmap2::Mmap;
use std::io;

/// Maps the whole file, read-only. The map lives until its last slice is dropped.
pub(crate) fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: a map is sound as a `&[u8]` only while nobody changes or shortens the file, and no system call
    // can promise that. It is the caller's promise: `Options::mmap` and the README say so to users, and
    // `mmap = false` is there for files that others write to. What limits the damage on our side:
    //  * the map is read-only, so nothing in this process can write through it;
    //  * of checkpoints, no decoder runs on it. Index blocks are read into memory of our own; strings and variants
    //    are copied before they are taken apart. Mapped shards are only copied, checksummed or given to NumPy, and
    //    for those any value of a byte is a valid one;
    //  * of graphs (`.meta`), one does, and is made for it: it is safe code over `&[u8]`, each length is read once and
    //    each access is held against the bounds of the map, no byte is taken for valid text or trusted when it is
    //    read again. A file that changes can give wrong names or an error, never an access beyond the map;
    //  * a file that is cut short is an error when it is opened, as each range is held against its length.
    // What is left: shortening the file while a view of it is read ends the process with SIGBUS, and
    // rewriting it in place shows in the views.
    let map = unsafe { Mmap::map(file.as_std()) }?;
    Ok(Bytes::from_owner(map))
}
