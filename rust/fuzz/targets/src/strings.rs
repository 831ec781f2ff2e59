//! String and variant tensors: the first bytes choose the count, the rest is the tensor.

use bytes::Bytes;
use tensorbundle_wire::bundle::{ByteOrder, parse_strings, parse_variants};
use tensorbundle_wire::crc::MaskedCrc;

/// String and variant tensors: the first bytes choose the count, the rest is the tensor.
pub fn strings(data: &[u8]) {
    let Some((count, rest)) =
        data.split_first_chunk().map(|(n, rest)| (u64::from_le_bytes(*n), rest))
    else {
        return;
    };
    let Some((crc, stored)) =
        rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n), rest))
    else {
        return;
    };
    let stored = Bytes::copy_from_slice(stored);
    for order in [ByteOrder::Little, ByteOrder::Big] {
        if let Ok(strings) = parse_strings(&stored, count, MaskedCrc(crc), order) {
            assert_eq!(strings.len() as u64, count);
        }
    }
    if let Ok(variants) = parse_variants(&stored, count, MaskedCrc(crc)) {
        assert_eq!(variants.len() as u64, count);
    }
}
