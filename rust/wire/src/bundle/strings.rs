//! A string tensor in a shard (FORMAT 4.2).
//!
//! ```text
//! varint64 length[n] | u32 masked crc of the lengths | bytes of all strings
//! ```
//!
//! The checksums cover the lengths as fixed-width numbers, not as the varints that are stored, and those
//! numbers and the checksum itself are in the byte order of the bundle.

use super::ByteOrder;
use crate::crc::{MaskedCrc, RunningCrc, check};
use crate::varint::Cursor;
use crate::{Fault, Result, with_capacity};
use bytes::Bytes;

const PART: &str = "string tensor";

/// Takes apart a tensor of `count` strings. All of `stored` must be used, and both checksums must fit.
pub fn parse_strings(
    stored: &Bytes,
    count: u64,
    crc: MaskedCrc,
    order: ByteOrder,
) -> Result<Vec<Bytes>> {
    if count == 0 && stored.is_empty() {
        // Nothing at all is stored for no strings, not even the checksum of the lengths.
        check(PART, "checksum", MaskedCrc::of(&[]), crc)?;
        return Ok(Vec::new());
    }
    // A string takes at least the byte of its length, so this also bounds the allocation.
    let count =
        usize::try_from(count).ok().filter(|&count| count <= stored.len()).ok_or_else(|| {
            Fault::corrupt(PART, format!("{count} strings in {} bytes", stored.len()))
        })?;
    let short = |short| Fault::corrupt(PART, format!("cut in its lengths: {short}"));
    let mut cursor = Cursor::new(stored);
    let mut lengths = with_capacity(count, PART)?;
    let mut running = RunningCrc::new();
    let mut total = 0_u64;
    for _ in 0..count {
        let length = cursor.varint64().map_err(short)?;
        extend_with_length(&mut running, length, order);
        total = total.saturating_add(length);
        lengths.push(length);
    }
    let checksum = cursor.array().map_err(short)?;
    let want = MaskedCrc(match order {
        ByteOrder::Little => u32::from_le_bytes(checksum),
        ByteOrder::Big => u32::from_be_bytes(checksum),
    });
    check(PART, "checksum of its lengths", running.masked(), want)?;
    running.extend(&checksum);
    let text = cursor.rest();
    if total != text.len() as u64 {
        return Err(Fault::corrupt(
            PART,
            format!("its lengths add up to {total} bytes, but {} are stored", text.len()),
        ));
    }
    running.extend(text);
    check(PART, "checksum", running.masked(), crc)?;
    let mut strings = with_capacity(count, PART)?;
    let mut start = cursor.pos();
    for length in lengths {
        let end = start + length as usize; // within `stored`, as the total is
        strings.push(stored.slice(start..end));
        start = end;
    }
    Ok(strings)
}

/// A length counts as 4 bytes, or as 8 if it needs more.
pub(super) fn extend_with_length(running: &mut RunningCrc, length: u64, order: ByteOrder) {
    match (u32::try_from(length), order) {
        (Ok(length), ByteOrder::Little) => running.extend(&length.to_le_bytes()),
        (Ok(length), ByteOrder::Big) => running.extend(&length.to_be_bytes()),
        (Err(_), ByteOrder::Little) => running.extend(&length.to_le_bytes()),
        (Err(_), ByteOrder::Big) => running.extend(&length.to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(stored: &[u8], count: u64, crc: [u8; 4]) -> Result<Vec<Bytes>> {
        let crc = MaskedCrc(u32::from_le_bytes(crc));
        parse_strings(&Bytes::copy_from_slice(stored), count, crc, ByteOrder::Little)
    }

    /// FORMAT 4.2: ["", "abc", "x" * 300].
    fn three() -> Vec<u8> {
        let mut stored = vec![0x00, 0x03, 0xac, 0x02, 0x25, 0x09, 0x2b, 0x70, b'a', b'b', b'c'];
        stored.resize(311, b'x');
        stored
    }
    const THREE_CRC: [u8; 4] = [0xfd, 0x8e, 0x24, 0x51];

    #[test]
    fn vectors_of_the_format() {
        let strings = parse(&three(), 3, THREE_CRC).unwrap();
        assert_eq!(strings, [&b""[..], b"abc", &[b'x'; 300]]);
        assert_eq!(
            parse(&[0x00, 0xa6, 0x7b, 0x11, 0x3a], 1, [0xbd, 0x67, 0x07, 0xbe]).unwrap(),
            [&b""[..]]
        );
        assert!(parse(&[0xd8, 0xea, 0x82, 0xa2], 0, [0xf6, 0xc1, 0x0c, 0x64]).unwrap().is_empty());
        assert!(parse(&[], 0, [0xd8, 0xea, 0x82, 0xa2]).unwrap().is_empty());
        assert!(parse(&[], 0, [0; 4]).is_err());
    }

    #[test]
    fn big_endian() {
        // FORMAT B.3: ["x", "yz"]
        let lengths = MaskedCrc::of(&[0, 0, 0, 1, 0, 0, 0, 2]).0.to_be_bytes();
        let mut stored = vec![1, 2];
        stored.extend(lengths);
        stored.extend(b"xyz");
        let mut running = RunningCrc::new();
        running.extend(&[0, 0, 0, 1, 0, 0, 0, 2]);
        running.extend(&lengths);
        running.extend(b"xyz");
        let strings =
            parse_strings(&stored.clone().into(), 2, running.masked(), ByteOrder::Big).unwrap();
        assert_eq!(strings, [&b"x"[..], b"yz"]);
        assert!(parse_strings(&stored.into(), 2, running.masked(), ByteOrder::Little).is_err());
    }

    #[test]
    fn broken() {
        let text = |stored: &[u8], count, crc| parse(stored, count, crc).unwrap_err().to_string();
        assert!(
            text(&three(), 3, [0; 4])
                .contains("checksum does not match: got 0x51248efd, want 0x00000000")
        );
        assert!(
            text(&three()[..310], 3, THREE_CRC).contains("add up to 303 bytes, but 302 are stored")
        );
        assert!(text(&three(), 312, THREE_CRC).contains("312 strings in 311 bytes"));
        assert!(text(&three(), u64::MAX, THREE_CRC).contains("strings in 311 bytes"));
        assert!(text(&three(), 4, THREE_CRC).contains("checksum of its lengths does not match"));
        assert!(text(&three()[..6], 3, THREE_CRC).contains("cut in its lengths"));
        assert!(text(&[], 1, THREE_CRC).contains("1 strings in 0 bytes"));
        // A length of 2^50 with a checksum that fits.
        let mut stored = vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
        stored.extend(MaskedCrc::of(&(1_u64 << 50).to_le_bytes()).0.to_le_bytes());
        assert!(
            text(&stored, 1, [0; 4]).contains("add up to 1125899906842624 bytes, but 0 are stored")
        );
    }
}
