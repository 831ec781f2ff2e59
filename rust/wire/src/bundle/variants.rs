//! A variant tensor in a shard (FORMAT 4.3).
//!
//! ```text
//! for each element:  varint64 length | VariantTensorDataProto | u32 masked crc of everything so far
//! ```
//!
//! "Everything so far" is, for each element, its length as 8 bytes, its message and, for those before, the
//! checksum as stored. What the messages mean only the code behind their type name knows: they are handed
//! out as they are.

use crate::crc::{MaskedCrc, RunningCrc, check};
use crate::varint::Cursor;
use crate::{Fault, Result, with_capacity};
use bytes::Bytes;

const PART: &str = "variant tensor";

/// Takes apart a tensor of `count` variants. All of `stored` must be used, and every checksum must fit.
pub fn parse_variants(stored: &Bytes, count: u64, crc: MaskedCrc) -> Result<Vec<Bytes>> {
    // An element takes a byte of length and four of checksum, so this also bounds the allocation.
    let count = usize::try_from(count).ok().filter(|&count| count <= stored.len() / 5).ok_or_else(
        || Fault::corrupt(PART, format!("{count} variants in {} bytes", stored.len())),
    )?;
    let mut cursor = Cursor::new(stored);
    let mut running = RunningCrc::new();
    let mut messages = with_capacity(count, PART)?;
    for i in 0..count {
        let cut = |short| Fault::corrupt(PART, format!("cut in element {i}: {short}"));
        let length = cursor.varint64().map_err(cut)?;
        let start = cursor.pos();
        let message = cursor.take(usize::try_from(length).unwrap_or(usize::MAX)).map_err(cut)?;
        running.extend(&length.to_le_bytes());
        running.extend(message);
        let checksum = cursor.array().map_err(cut)?;
        check(
            PART,
            &format!("checksum of element {i}"),
            running.masked(),
            MaskedCrc(u32::from_le_bytes(checksum)),
        )?;
        running.extend(&checksum);
        messages.push(stored.slice(start..start + message.len()));
    }
    if !cursor.is_empty() {
        return Err(Fault::corrupt(
            PART,
            format!("{} bytes behind its last element", cursor.rest().len()),
        ));
    }
    check(PART, "checksum", running.masked(), crc)?;
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varint::put_varint;

    fn store(messages: &[&[u8]]) -> (Bytes, MaskedCrc) {
        let (mut stored, mut running) = (Vec::new(), RunningCrc::new());
        for message in messages {
            put_varint(&mut stored, message.len() as u64);
            stored.extend_from_slice(message);
            running.extend(&(message.len() as u64).to_le_bytes());
            running.extend(message);
            let checksum = running.masked().0.to_le_bytes();
            stored.extend_from_slice(&checksum);
            running.extend(&checksum);
        }
        (stored.into(), running.masked())
    }

    #[test]
    fn round_trip() {
        let (stored, crc) = store(&[b"one", b"", &[7; 200]]);
        assert_eq!(parse_variants(&stored, 3, crc).unwrap(), [&b"one"[..], b"", &[7; 200]]);
        assert!(parse_variants(&Bytes::new(), 0, MaskedCrc::of(b"")).unwrap().is_empty());
    }

    #[test]
    fn broken() {
        let (stored, crc) = store(&[b"one", b"two"]);
        let text = |stored: &Bytes, count, crc| {
            parse_variants(stored, count, crc).unwrap_err().to_string()
        };
        assert!(text(&stored, 2, MaskedCrc(1)).contains("checksum does not match"));
        assert!(text(&stored, 1, crc).contains("8 bytes behind its last element"));
        assert!(text(&stored, 4, crc).contains("4 variants in 16 bytes"));
        assert!(text(&stored.slice(..15), 2, crc).contains("cut in element 1"));
        let mut flipped = stored.to_vec();
        flipped[1] ^= 1;
        assert!(text(&flipped.into(), 2, crc).contains("checksum of element 0 does not match"));
        assert!(text(&vec![0xff; 20].into(), 2, crc).contains("cut in element 0"));
    }
}
