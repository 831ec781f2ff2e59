//! String and variant tensors: the first bytes choose the count, the rest is the tensor.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tensorbundle_wire::bundle::{ByteOrder, parse_strings, parse_variants};
use tensorbundle_wire::crc::MaskedCrc;

fuzz_target!(|data: (u64, u32, &[u8])| {
    let (count, crc, stored) = data;
    let stored = Bytes::copy_from_slice(stored);
    for order in [ByteOrder::Little, ByteOrder::Big] {
        if let Ok(strings) = parse_strings(&stored, count, MaskedCrc(crc), order) {
            assert_eq!(strings.len() as u64, count);
        }
    }
    if let Ok(variants) = parse_variants(&stored, count, MaskedCrc(crc)) {
        assert_eq!(variants.len() as u64, count);
    }
});
