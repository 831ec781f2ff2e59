//! The checksums of string and variant tensors over bytes that pass by, piece by piece: nothing is kept of them.
//!
//! The layouts are those of [`parse_strings`](super::parse_strings) and [`parse_variants`](super::parse_variants).

use super::ByteOrder;
use super::strings::extend_with_length;
use crate::crc::{MaskedCrc, RunningCrc, check};
use crate::{Fault, Result};

/// A string or variant tensor that is being checked.
pub struct Passing {
    part: &'static str,
    variants: bool,
    order: ByteOrder,
    /// Elements whose lengths are still to come.
    left: u64,
    step: Step,
    running: RunningCrc,
    /// A number that is not complete yet, and how many bits of it there are.
    number: (u64, u32),
    checksum: [u8; 4],
    /// Bytes of text that the lengths promise, and that came.
    text: (u64, u64),
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Length,
    /// So many bytes of a variant's message are left.
    Message(u64),
    /// So many bytes of the stored checksum came.
    Checksum(usize),
    Text,
    End,
}

impl Passing {
    /// A tensor of `count` strings.
    pub fn strings(count: u64, order: ByteOrder) -> Self {
        let step = if count == 0 { Step::Checksum(0) } else { Step::Length };
        Self::new("string tensor", false, count, order, step)
    }

    /// A tensor of `count` variants.
    pub fn variants(count: u64) -> Self {
        let step = if count == 0 { Step::End } else { Step::Length };
        Self::new("variant tensor", true, count, ByteOrder::Little, step)
    }

    fn new(part: &'static str, variants: bool, left: u64, order: ByteOrder, step: Step) -> Self {
        let running = RunningCrc::new();
        let (number, checksum, text) = ((0, 0), [0; 4], (0, 0));
        Self { part, variants, order, left, step, running, number, checksum, text }
    }

    /// The next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.step {
                Step::Length => {
                    bytes = rest;
                    self.length_byte(byte)?;
                }
                Step::Message(left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (message, rest) = bytes.split_at(n);
                    self.running.extend(message);
                    bytes = rest;
                    self.step = match left - n as u64 {
                        0 => Step::Checksum(0),
                        left => Step::Message(left),
                    };
                }
                Step::Checksum(n) => {
                    bytes = rest;
                    self.checksum_byte(n, byte)?;
                }
                Step::Text => {
                    self.running.extend(bytes);
                    self.text.1 += bytes.len() as u64;
                    return Ok(());
                }
                Step::End => {
                    let what = format!("{} bytes behind its last element", bytes.len());
                    return Err(Fault::corrupt(self.part, what));
                }
            }
        }
        Ok(())
    }

    /// No more bytes: `crc` is what the index says of the whole.
    pub fn finish(self, crc: MaskedCrc) -> Result<()> {
        let bad = |what: String| Err(Fault::corrupt(self.part, what));
        match self.step {
            // Nothing at all is stored for no strings.
            Step::Checksum(0) if !self.variants && self.left == 0 && self.text.0 == 0 => {}
            Step::Text | Step::End => {}
            _ => return bad(format!("cut short: {} lengths are missing or more", self.left)),
        }
        let (promised, came) = self.text;
        if promised != came {
            return bad(format!("its lengths add up to {promised} bytes, but {came} are stored"));
        }
        check(self.part, "checksum", self.running.masked(), crc)
    }

    fn length_byte(&mut self, byte: u8) -> Result<()> {
        let (mut value, bits) = self.number;
        let low = u64::from(byte & 0x7f);
        if bits > 63 || bits == 63 && low > 1 {
            return Err(Fault::corrupt(self.part, "cut in its lengths: a varint is too long"));
        }
        value |= low << bits;
        if byte & 0x80 != 0 {
            self.number = (value, bits + 7);
            return Ok(());
        }
        self.number = (0, 0);
        self.left -= 1;
        if self.variants {
            self.running.extend(&value.to_le_bytes());
            self.step = if value == 0 { Step::Checksum(0) } else { Step::Message(value) };
            return Ok(());
        }
        extend_with_length(&mut self.running, value, self.order);
        self.text.0 = self.text.0.saturating_add(value);
        if self.left == 0 {
            self.step = Step::Checksum(0);
        }
        Ok(())
    }

    fn checksum_byte(&mut self, n: usize, byte: u8) -> Result<()> {
        if let Some(place) = self.checksum.get_mut(n) {
            *place = byte;
        }
        if n < 3 {
            self.step = Step::Checksum(n + 1);
            return Ok(());
        }
        let want = match self.order {
            ByteOrder::Little => u32::from_le_bytes(self.checksum),
            ByteOrder::Big => u32::from_be_bytes(self.checksum),
        };
        let what = if self.variants { "checksum of an element" } else { "checksum of its lengths" };
        check(self.part, what, self.running.masked(), MaskedCrc(want))?;
        self.running.extend(&self.checksum);
        self.step = match (self.variants, self.left) {
            (false, _) => Step::Text,
            (true, 0) => Step::End,
            (true, _) => Step::Length,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse_strings, parse_variants};
    use super::*;
    use crate::varint::put_varint;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn pass(mut passing: Passing, stored: &[u8], piece: usize, crc: MaskedCrc) -> Result<()> {
        for piece in stored.chunks(piece.max(1)) {
            passing.feed(piece)?;
        }
        passing.finish(crc)
    }

    fn stored_strings(strings: &[Vec<u8>], order: ByteOrder) -> (Vec<u8>, MaskedCrc) {
        let (mut stored, mut running) = (Vec::new(), RunningCrc::new());
        for string in strings {
            put_varint(&mut stored, string.len() as u64);
            extend_with_length(&mut running, string.len() as u64, order);
        }
        let lengths = running.masked().0;
        let lengths =
            if order == ByteOrder::Little { lengths.to_le_bytes() } else { lengths.to_be_bytes() };
        stored.extend(lengths);
        running.extend(&lengths);
        for string in strings {
            stored.extend(string);
            running.extend(string);
        }
        (stored, running.masked())
    }

    fn stored_variants(messages: &[Vec<u8>]) -> (Vec<u8>, MaskedCrc) {
        let (mut stored, mut running) = (Vec::new(), RunningCrc::new());
        for message in messages {
            put_varint(&mut stored, message.len() as u64);
            running.extend(&(message.len() as u64).to_le_bytes());
            stored.extend(message);
            running.extend(message);
            let checksum = running.masked().0.to_le_bytes();
            stored.extend(checksum);
            running.extend(&checksum);
        }
        (stored, running.masked())
    }

    #[test]
    fn no_strings() {
        let empty = MaskedCrc::of(&[]);
        assert_eq!(pass(Passing::strings(0, ByteOrder::Little), &[], 1, empty), Ok(()));
        assert_eq!(pass(Passing::variants(0), &[], 1, empty), Ok(()));
        assert!(pass(Passing::strings(1, ByteOrder::Little), &[], 1, empty).is_err());
        assert!(pass(Passing::variants(0), &[1], 1, empty).is_err());
    }

    proptest! {
        /// It says of all bytes what parsing them says.
        #[test]
        fn agrees_with_parsing(
            strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
            big: bool, piece in 1usize..50, flip in proptest::option::of((0usize..2000, 1u8..)), more in 0u64..2,
        ) {
            let order = if big { ByteOrder::Big } else { ByteOrder::Little };
            let count = strings.len() as u64 + more;
            for variants in [false, true] {
                let (mut stored, crc) =
                    if variants { stored_variants(&strings) } else { stored_strings(&strings, order) };
                if let Some((at, flip)) = flip.filter(|_| !stored.is_empty()) {
                    let at = at % stored.len();
                    stored[at] ^= flip;
                }
                let bytes = Bytes::copy_from_slice(&stored);
                let (passing, parsed) = if variants {
                    (Passing::variants(count), parse_variants(&bytes, count, crc).is_ok())
                } else {
                    (Passing::strings(count, order), parse_strings(&bytes, count, crc, order).is_ok())
                };
                prop_assert_eq!(pass(passing, &stored, piece, crc).is_ok(), parsed);
            }
        }
    }
}
