//! Limits against hostile files, each with its reason.

/// Dimensions of a tensor. TensorFlow's own shapes hold no more.
pub const MAX_RANK: usize = 254;

/// Data shards of a bundle. Known jobs write up to a few thousand; the table of open shards must not grow
/// with a number that costs its author five bytes.
pub const MAX_SHARDS: u32 = 1 << 20;

/// Slices of a tensor that is cut along more than three dimensions: each is held against each other, which
/// takes a second at worst. Cut along fewer, as real ones are, their number is free.
pub const MAX_SLICES_IN_MANY_DIMENSIONS: usize = 4096;

/// Bytes of a key. TensorFlow's longest names have some hundreds; a longer key, shared by the entries behind
/// it, would make a small block large.
pub const MAX_KEY: usize = 1 << 16;

/// Entries from one restart of a block to the next. TensorFlow writes 16; a look-up walks over them.
pub const MAX_RESTART_INTERVAL: usize = 1024;

/// Slices, and extents of slices, that an index of so many bytes may list. A real slice takes 8 bytes or more
/// where its tensor lists it, and its own entry takes 30 or more; even Snappy does not bring that down to one.
pub fn max_slices(index_len: u64) -> usize {
    usize::try_from(index_len).unwrap_or(usize::MAX)
}

/// How many times the bytes of its shards a bundle's tensors may be, together, to be compared. No writer shares bytes; without a
/// limit a small index could ask for work without end.
pub const MAX_SHARED_READS: u64 = 16;

/// How deep groups of unknown fields may nest in a message: protobuf's own limit.
pub const MAX_GROUP_DEPTH: usize = 100;

/// How deep messages are followed when all of one is looked at: protobuf's own limit.
pub const MAX_MESSAGE_DEPTH: usize = 100;

/// How deep messages may nest in the text format: protobuf's own limit.
pub const MAX_TEXT_DEPTH: usize = 100;

/// The longest output that Snappy can encode in `compressed` bytes: 64 bytes for each 3-byte copy, rounded
/// up, and a constant for very short inputs.
pub fn max_snappy_output(compressed: usize) -> u64 {
    compressed as u64 * 22 + 64
}

/// Bytes of all keys in a block that is stored in so many. A key shares its beginning with the one before it,
/// so a few bytes can stand for a long one; real keys are some four times as long as what is stored of them,
/// and Snappy takes some four times off that.
pub fn max_key_bytes(stored: u64) -> usize {
    usize::try_from(stored).unwrap_or(usize::MAX).saturating_mul(64).saturating_add(1 << 16)
}

/// Bytes of the elements of a `TensorProto` that lists fewer values than its shape has elements, and not all
/// equal: the last one is repeated, for a shape that may claim any size. Exporters shorten constants in that
/// way; those that a graph holds in full are under 2 GiB together. A tensor with all of its values, or with
/// one for all elements, is free of it.
pub const MAX_FILLED_TENSOR: u64 = 1 << 30;

/// Bytes of all records of a Riegeli file. A graph's places are 32 bits wide.
pub const MAX_UNPACKED: u64 = u32::MAX as u64;

/// Bytes that the records of a Riegeli file of `len` bytes may have together. Brotli makes a thousand million equal
/// bytes of some hundred, which graphs do not have; real ones become four to twenty times as long.
pub fn max_unpacked(len: u64) -> u64 {
    len.saturating_mul(1024).saturating_add(1 << 24).min(MAX_UNPACKED)
}

/// Places in a damaged table where a block could begin: each takes memory while the file is searched. A sound table has
/// some for each hundred bytes at most.
pub const MAX_BLOCK_STARTS: usize = 1 << 22;

/// Bytes of string and variant tensors that are walked through once more, because several share them. TensorFlow never
/// writes such a file; without a limit, a small one could keep a check busy for years.
pub const MAX_SHARED_STRINGS: u64 = 64 << 20;

/// Findings of a check that are told one by one: every few bytes of a hostile index could be one, and each takes some
/// hundred bytes.
pub const MAX_FINDINGS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_proportion() {
        assert_eq!(max_slices(0), 0);
        assert_eq!(max_slices(1000), 1000);
        assert_eq!(max_key_bytes(0), 1 << 16);
        assert_eq!(max_key_bytes(1000), 64_000 + (1 << 16));
        assert_eq!(max_key_bytes(u64::MAX), usize::MAX);
        assert_eq!(max_snappy_output(0), 64);
        // The densest stream there is: copies of 64 bytes, three bytes each.
        assert!(max_snappy_output(3000) >= 64_000);
        assert_eq!(max_unpacked(1 << 10), (1 << 20) + (1 << 24));
        assert_eq!(max_unpacked(1 << 22), MAX_UNPACKED);
    }
}
