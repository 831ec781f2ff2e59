//! The sorted table: a V2 index, and a whole V1 file.
//!
//! ```text
//! data block 0 | trailer | data block 1 | trailer | … | metaindex block | trailer | index block | trailer | footer
//! ```
//!
//! The footer is the last 48 bytes and points to the index block; each entry of the index block points to a
//! data block and holds a key that is not below that block's last one and below the next block's first one
//! (FORMAT 2). The metaindex block is always empty and is not read.

mod block;
pub mod builder;
mod find;
mod footer;
mod handle;
mod reader;
mod survey;
#[cfg(test)]
mod tests;

pub use block::{Block, BlockIter, Slot};
pub use find::find_blocks;
pub use footer::{FOOTER_LEN, Footer};
pub use handle::{BlockHandle, TRAILER_LEN};
pub use reader::{Known, Source, Table};
pub use survey::{Survey, survey};
