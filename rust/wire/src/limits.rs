//! Limits against hostile files, each with its reason.

/// Dimensions of a tensor. TensorFlow's own shapes hold no more.
pub const MAX_RANK: usize = 254;

/// Data shards of a bundle. Known jobs write up to a few thousand; the table of open shards must not grow
/// with a number that costs its author five bytes.
pub const MAX_SHARDS: u32 = 1 << 20;

/// Slices of a tensor that is cut along more than three dimensions: each is held against each other, and
/// this many take a second. Cut along fewer, as real ones are, their number is free.
pub const MAX_SLICES_IN_MANY_DIMENSIONS: usize = 8192;

/// Slices that an index may list for each of its bytes. A real slice is listed with its tensor, at 8 bytes or
/// more, and has an entry of its own, at 30 or more; even Snappy does not bring that down to one.
pub const MAX_SLICES_PER_BYTE: u64 = 1;

/// How deep groups of unknown fields may nest in a message: protobuf's own limit.
pub const MAX_GROUP_DEPTH: usize = 100;

/// How deep messages may nest in the text format: protobuf's own limit.
pub const MAX_TEXT_DEPTH: usize = 100;

/// The longest output that Snappy can encode in `compressed` bytes: 64 bytes for each 3-byte copy, rounded
/// up, and a constant for very short inputs.
pub fn max_snappy_output(compressed: usize) -> u64 {
    compressed as u64 * 22 + 64
}

/// Bytes of all names in a block of an index. A name shares its beginning with the one before it, so a few
/// bytes can stand for a long name; real names are some four times as long as what is stored of them.
pub fn max_name_bytes(block_len: usize) -> usize {
    block_len.saturating_mul(64).saturating_add(1 << 16)
}
