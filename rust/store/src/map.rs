//! Mapping a file: one of the two files in which `unsafe` stands.

#![allow(unsafe_code)]

use crate::pages::Pages;
use crate::source::File;
use bytes::Bytes;
use memmap2::Mmap;
use std::io;
use std::sync::Arc;

/// A mapped file. The map lives until the last slice of its bytes is dropped.
pub(crate) struct Map(Arc<Mmap>);

/// What keeps a map as long as its bytes are held.
struct Owner(Arc<Mmap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Map {
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::from_owner(Owner(self.0.clone()))
    }

    pub(crate) fn pages(&self) -> Pages {
        Pages::new(self.0.clone())
    }
}

/// Maps the whole file, read-only.
pub(crate) fn map(file: &File) -> io::Result<Map> {
    let file = file.as_std().ok_or(io::ErrorKind::Unsupported)?;
    // SAFETY: a map is sound as a `&[u8]` only while nobody changes or shortens the file, and no system call
    // can promise that. It is the caller's promise: `Options::mmap` and the README say so to users, and
    // `mmap = false` is there for files that others write to. What limits the damage on our side:
    //  * the map is read-only, so nothing in this process can write through it;
    //  * of checkpoints, no decoder runs on it. Index blocks are read into memory of our own; strings and variants
    //    are copied before they are taken apart. Mapped shards are only copied, checksummed or given to NumPy, and
    //    for those any value of a byte is a valid one;
    //  * this crate reads what it copies (`shard.rs`), and before it looks at a chunk where it lies, to sum it, it has
    //    the kernel bring its pages in (`pages.rs`), which fails where a load would end the process;
    //  * of graphs (`.meta`), a decoder does run on it, and is made for it: it is safe code over `&[u8]`, each length is
    //    read once and each access is held against the bounds of the map, no byte is taken for valid text or trusted
    //    when it is read again. A file that changes can give wrong names or an error, never an access beyond the map;
    //  * a file that is cut short is an error when it is opened, as each range is held against its length.
    // What is left: shortening the file while a view of it, or a mapped graph, is read ends the process with SIGBUS;
    // so does shortening it in the moment between bringing a chunk in and looking at it. Rewriting it in place shows in
    // the views.
    let map = unsafe { Mmap::map(file) }?;
    Ok(Map(Arc::new(map)))
}
