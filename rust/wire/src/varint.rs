//! Little-endian base-128 integers, and a cursor that never reads past its end.
//!
//! ```text
//! 300 = 1010_1100 0000_0010      seven bits a byte, lowest first, top bit set on all but the last
//! ```
//!
//! Forms longer than need be are read, as TensorFlow reads them. More than 10 bytes (5 for 32 bits), or bits
//! that would be lost, are errors (FORMAT 0.1).

use std::fmt;

/// Why a cursor could not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// The bytes end before the value does.
    End,
    /// A varint with more bytes or bits than its type holds.
    TooLong,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Short::End => "the bytes end too early",
            Short::TooLong => "a varint is too long",
        })
    }
}

/// A place in a slice of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    /// A cursor at `pos`; beyond the end is the end.
    pub fn at(bytes: &'a [u8], pos: usize) -> Self {
        Self { bytes, pos: pos.min(bytes.len()) }
    }

    /// How far from the start.
    #[inline]
    pub fn pos(&self) -> usize {
        self.pos
    }

    /// Nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.pos..).unwrap_or_default()
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Short> {
        let byte = *self.bytes.get(self.pos).ok_or(Short::End)?;
        self.pos += 1;
        Ok(byte)
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Short> {
        let end = self.pos.checked_add(n).ok_or(Short::End)?;
        let taken = self.bytes.get(self.pos..end).ok_or(Short::End)?;
        self.pos = end;
        Ok(taken)
    }

    /// A fixed number of bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        self.take(N)?.try_into().map_err(|_| Short::End)
    }

    /// A 64-bit varint.
    #[inline]
    pub fn varint64(&mut self) -> Result<u64, Short> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        match self.within_words() {
            Some(value) => Ok(value),
            None => self.varint_tail(first, 64),
        }
    }

    /// The varint whose first byte was just read, if as many bytes are there as it can have: without a loop.
    #[inline]
    fn within_words(&mut self) -> Option<u64> {
        let start = self.pos - 1;
        let bytes: &[u8; 10] = self.bytes.get(start..)?.first_chunk()?;
        let (low, [ninth, tenth]) = bytes
            .split_first_chunk::<8>()
            .and_then(|(low, high)| Some((u64::from_le_bytes(*low), high.first_chunk::<2>()?)))?;
        let ends = !low & TOPS; // its lowest bit is the top bit of the last byte
        let own = low & (ends ^ ends.wrapping_sub(1)) & !TOPS;
        // Groups of 7 bits move together: to 14, to 28, to 56.
        let pairs = (own & 0x007f_007f_007f_007f) | (own & 0x7f00_7f00_7f00_7f00) >> 1;
        let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
        let value = (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4;
        if ends != 0 {
            self.pos = start + ends.trailing_zeros() as usize / 8 + 1;
            return Some(value);
        }
        let value = value | u64::from(ninth & 0x7f) << 56;
        match (ninth, tenth) {
            (0..0x80, _) => self.pos = start + 9,
            (_, 0 | 1) => self.pos = start + 10,
            _ => return None, // too long
        }
        Some(if *ninth < 0x80 { value } else { value | u64::from(*tenth) << 63 })
    }

    /// A 32-bit varint.
    #[inline]
    pub fn varint32(&mut self) -> Result<u32, Short> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u32::from(first));
        }
        u32::try_from(self.varint_tail(first, 32)?).map_err(|_| Short::TooLong)
    }

    fn varint_tail(&mut self, first: u8, bits: u32) -> Result<u64, Short> {
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        while shift < bits {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift + 7 > bits && low >> (bits - shift) != 0 {
                return Err(Short::TooLong);
            }
            value |= low << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
        Err(Short::TooLong)
    }
}

/// The top bits of 8 bytes.
const TOPS: u64 = 0x8080_8080_8080_8080;

/// How many varints end in `bytes`: their last bytes are those without the top bit.
pub fn count_varints(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let ends = |word: &[u8; 8]| u64::from((!u64::from_le_bytes(*word) & TOPS).count_ones());
    words.iter().map(ends).sum::<u64>() + rest.iter().filter(|&&byte| byte < 0x80).count() as u64
}

/// Appends a varint in its shortest form.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_power_of_two_and_its_neighbours() {
        let around = |p: u64| [p.wrapping_sub(1), p, p.wrapping_add(1)];
        for value in (0..64).flat_map(|bit| around(1 << bit)) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(cursor.varint64(), Ok(value));
            assert!(cursor.is_empty());
            let narrow = Cursor::new(&bytes).varint32();
            assert_eq!(narrow, u32::try_from(value).map_err(|_| Short::TooLong));
        }
    }

    #[test]
    fn literal_bytes() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, 300);
        assert_eq!(bytes, [0xac, 0x02]);
        assert_eq!(
            Cursor::new(&[0x81, 0x80, 0x00]).varint32(),
            Ok(1),
            "a longer form than need be"
        );
    }

    #[test]
    fn too_long_or_cut() {
        assert_eq!(Cursor::new(&[0x80; 4]).varint64(), Err(Short::End));
        assert_eq!(Cursor::new(&[0x80; 11]).varint64(), Err(Short::TooLong));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).varint32(), Err(Short::TooLong));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint32(), Ok(u32::MAX));
        let mut dropped = [0xff; 10];
        dropped[9] = 0x02;
        assert_eq!(Cursor::new(&dropped).varint64(), Err(Short::TooLong));
        dropped[9] = 0x01;
        assert_eq!(Cursor::new(&dropped).varint64(), Ok(u64::MAX));
    }

    proptest! {
        #[test]
        fn with_more_bytes_behind(value: u64, cut in 0..64, rest: Vec<u8>) {
            let value = value >> cut;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let len = bytes.len();
            bytes.extend_from_slice(&rest);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!((cursor.varint64(), cursor.pos()), (Ok(value), len));
            prop_assert_eq!(
                count_varints(&bytes),
                bytes.iter().filter(|&&byte| byte < 0x80).count() as u64
            );
            let first = bytes[0];
            if first >= 0x80 {
                let mut slow = Cursor::at(&bytes, 1);
                prop_assert_eq!((slow.varint_tail(first, 64), slow.pos()), (Ok(value), len));
            }
        }

        #[test]
        fn never_reads_past_its_end(bytes: Vec<u8>, n: usize) {
            let mut cursor = Cursor::new(&bytes);
            let _ = cursor.varint64();
            let _ = cursor.varint32();
            let _ = cursor.take(n);
            prop_assert!(cursor.pos() <= bytes.len());
        }
    }
}
