//! Where a block lies.
//!
//! ```text
//! varint64 offset | varint64 size        size is without the 5-byte trailer
//! ```

use crate::varint::{Cursor, Short};
use crate::{Fault, Result};
use std::ops::Range;

/// One byte of compression type and four of masked checksum behind every block.
pub const TRAILER_LEN: u64 = 5;

/// A block's place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockHandle {
    /// Where it begins.
    pub offset: u64,
    /// How many bytes it has, without its trailer.
    pub size: u64,
}

impl BlockHandle {
    /// Takes a handle.
    pub fn take(cursor: &mut Cursor<'_>) -> Result<Self, Short> {
        Ok(Self { offset: cursor.varint64()?, size: cursor.varint64()? })
    }

    /// The bytes of the block and its trailer, wherever they are said to lie.
    pub fn range(self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.size).saturating_add(TRAILER_LEN)
    }

    /// The first byte behind the block and its trailer, held against `limit`, where blocks must have ended.
    /// `part` is where the handle stands, `whose` block it is of.
    pub fn end_within(self, limit: u64, part: &'static str, whose: &str) -> Result<u64> {
        let end = self.size.checked_add(TRAILER_LEN).and_then(|len| len.checked_add(self.offset));
        end.filter(|&end| end <= limit).ok_or_else(|| {
            Fault::corrupt(
                part,
                format!(
                    "the handle of {whose} says {} bytes from byte {}, but blocks end by byte {limit}",
                    self.size, self.offset
                ),
            )
            .advise("the file is damaged, or cut and filled up")
        })
    }
}
