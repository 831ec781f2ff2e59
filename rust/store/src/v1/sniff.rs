//! Is a file a V1 checkpoint, or was it one? Looks at a few places of it, however large it is.
//!
//! ```text
//! 00 00 varint(length) 0A varint(length) 0A or 12      the first entry: no key, and a table of contents
//! ```
//!
//! A file that begins so and has lost its end is still one: opening it says what is wrong.

use crate::Result;
use crate::files::Files;
use crate::source::File;
use std::io::ErrorKind;
use std::path::Path;
use tensorbundle_wire::table::{Source, TRAILER_LEN, Table};
use tensorbundle_wire::v1::is_contents;
use tensorbundle_wire::varint::Cursor;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// A V1 file, whole or not.
    V1,
    /// Something else, or nothing.
    Other,
    /// A file that may not be read.
    Unreadable,
}

/// Bytes that are enough to tell from the first entry.
const HEAD: u64 = 24;

/// Whether `path` is a file of a V1 checkpoint.
pub fn sniff_v1(files: &Files, path: &Path) -> Sniffed {
    let file = match File::open(files, path) {
        Ok(file) => file.held(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Sniffed::Unreadable,
        Err(error) => {
            files.note(path, error);
            return Sniffed::Other;
        }
    };
    if begins_like_one(&file) || is_packed_one(file).unwrap_or(false) {
        Sniffed::V1
    } else {
        Sniffed::Other
    }
}

fn begins_like_one(file: &File) -> bool {
    let Ok(head) = file.read(0, HEAD.min(file.len()) as usize) else {
        return false;
    };
    let mut cursor = Cursor::new(&head);
    let lengths = (cursor.varint32(), cursor.varint32(), cursor.varint32());
    let (Ok(0), Ok(0), Ok(value)) = lengths else {
        return false;
    };
    let (field, meta) = (cursor.byte(), cursor.varint32());
    let inner = cursor.byte();
    field == Ok(0x0a) && meta.is_ok_and(|meta| meta < value) && matches!(inner, Ok(0x0a | 0x12))
}

/// One whose first block is compressed.
fn is_packed_one(file: File) -> Result<bool> {
    let table = Table::open(file)?;
    let Some(handle) = table.handle(0) else {
        return Ok(false);
    };
    let kind = table.source().read(handle.offset + handle.size, TRAILER_LEN as usize)?;
    if kind.first() == Some(&0) {
        return Ok(false);
    }
    let block = table.load(0)?;
    let mut entries = block.iter();
    Ok(matches!(entries.next_entry(), Some((b"", value)) if is_contents(value)))
}
