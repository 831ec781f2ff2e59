//! Is a file a V1 checkpoint? Looks at a few places of it, however large it is.

use crate::Result;
use crate::source::File;
use std::path::Path;
use tensorbundle_wire::table::{Block, Source, TRAILER_LEN, Table};
use tensorbundle_wire::v1::is_contents;
use tensorbundle_wire::varint::Cursor;

/// The lengths of the first entry, and the first byte of its value.
const HEAD: u64 = 16;

/// Whether `path` is a table whose first entry is a table of contents. Of a damaged file it may say no.
pub fn is_v1_file(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| looks_like(file).unwrap_or(false))
}

fn looks_like(file: File) -> Result<bool> {
    let table = Table::open(file)?;
    let Some(handle) = table.handle(0) else {
        return Ok(false);
    };
    let file = table.source();
    let kind = file.read(handle.offset + handle.size, TRAILER_LEN as usize)?;
    if kind.first() != Some(&0) {
        let block: Block = table.load(0)?;
        let mut entries = block.iter();
        return Ok(matches!(entries.next_entry(), Some((b"", value)) if is_contents(value)));
    }
    let head = file.read(handle.offset, HEAD.min(handle.size) as usize)?;
    let mut cursor = Cursor::new(&head);
    let (shared, key) = (cursor.varint32(), cursor.varint32());
    let value = cursor.varint32();
    Ok((shared, key) == (Ok(0), Ok(0)) && value.is_ok() && is_contents(cursor.rest()))
}
