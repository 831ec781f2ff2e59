//! What the table of a V2 bundle says (FORMAT 3 to 5).
//!
//! ```text
//! ""           BundleHeaderProto     how many shards, byte order, version
//! 00 …         BundleEntryProto      one slice of a partitioned tensor, under its slice key
//! tensor name  BundleEntryProto      type, shape, shard, offset, size, checksum; or the list of slices
//! ```

mod entry;
mod header;
mod passing;
mod shape;
mod slice;
mod strings;
mod tiling;
mod variants;

pub use entry::Entry;
pub use header::{ByteOrder, Header};
pub use passing::Passing;
pub use shape::{Shape, elements};
pub use slice::{Region, SliceKeys, TensorSlice, slice_key, sliced_tensor};
pub use strings::parse_strings;
pub use tiling::check_tiling;
pub use variants::parse_variants;
