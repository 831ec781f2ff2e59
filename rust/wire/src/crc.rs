//! CRC-32C (Castagnoli), and the masked form in which checksums are stored.
//!
//! A checksum that lies among the bytes it covers would weaken the next one over them, so the table format
//! stores `rotr(crc, 15) + 0xa282ead8` instead (FORMAT 0.2).

use crate::{Fault, Result};
use crc_fast::{CrcAlgorithm, Digest};
use std::fmt;

/// A checksum as it is stored. A type of its own, so that a raw one is never compared with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MaskedCrc(pub u32);

const MASK_DELTA: u32 = 0xa282_ead8;

impl MaskedCrc {
    /// The masked form of the checksum `crc`.
    pub fn mask(crc: u32) -> Self {
        Self(crc.rotate_right(15).wrapping_add(MASK_DELTA))
    }

    /// The checksum itself.
    pub fn unmask(self) -> u32 {
        self.0.wrapping_sub(MASK_DELTA).rotate_left(15)
    }

    /// The masked checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::mask(crc32c(bytes))
    }
}

/// Holds a checksum of a tensor's bytes against the stored one.
pub fn check(part: &'static str, what: &str, got: MaskedCrc, want: MaskedCrc) -> Result<()> {
    if got == want {
        return Ok(());
    }
    Err(Fault::corrupt(part, format!("{what} does not match: got {got}, want {want}"))
        .got_want(got, want)
        .advise("the bytes are damaged, or the shard belongs to another checkpoint"))
}

impl fmt::Display for MaskedCrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for MaskedCrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaskedCrc({self})")
    }
}

/// The polynomial, lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The polynomial 1.
pub(crate) const ONE: u32 = 1 << 31;

/// The product of two polynomials, modulo that of the checksum.
pub(crate) const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut bit) = (0, 32);
    while bit > 0 {
        bit -= 1;
        product ^= b & (a >> bit & 1).wrapping_neg();
        b = times_x(b);
    }
    product
}

/// One bit more: what a checksum's register does for a bit of its input, too.
pub(crate) const fn times_x(a: u32) -> u32 {
    (a >> 1) ^ (POLYNOMIAL & (a & 1).wrapping_neg())
}

/// Undoes eight steps of [`times_x`]: what one byte more does to a checksum.
pub(crate) fn over_x8(mut a: u32) -> u32 {
    for _ in 0..8 {
        let carry = a >> 31;
        a = (a ^ (POLYNOMIAL & carry.wrapping_neg())) << 1 | carry;
    }
    a
}

/// x to the power 8 · 2^i.
const POWERS: [u32; 64] = {
    let mut powers = [ONE >> 8; 64];
    let mut i = 1;
    while i < 64 {
        powers[i] = multiply(powers[i - 1], powers[i - 1]);
        i += 1;
    }
    powers
};

/// The checksum of two pieces one after the other, from the checksums of both and the length of the second.
pub fn combine(first: u32, second: u32, second_len: u64) -> u32 {
    let bits = POWERS.iter().enumerate().filter(|(i, _)| second_len >> i & 1 == 1);
    bits.fold(first, |crc, (_, &power)| multiply(power, crc)) ^ second
}

/// The checksum of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// A checksum over bytes that come in pieces.
#[derive(Clone)]
pub struct RunningCrc(Digest);

impl RunningCrc {
    /// The checksum of nothing yet.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    /// Goes on over `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The masked checksum of everything so far; more may follow.
    pub fn masked(&self) -> MaskedCrc {
        MaskedCrc::mask(self.0.finalize() as u32)
    }
}

impl Default for RunningCrc {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors_of_the_format() {
        // FORMAT 0.2; the first and the last are also in RFC 3720, B.4.
        for (bytes, crc, masked) in [
            (&b"123456789"[..], 0xe306_9283, Some(0xc78a_b0e5)),
            (b"", 0, Some(0xa282_ead8)),
            (b"a", 0xc1d0_4330, Some(0x28e4_6e78)),
            (&[0; 32], 0x8a91_36aa, None),
        ] {
            assert_eq!(crc32c(bytes), crc);
            if let Some(masked) = masked {
                assert_eq!(MaskedCrc::of(bytes), MaskedCrc(masked));
            }
        }
        assert_eq!(MaskedCrc::of(b"a").to_string(), "0x28e46e78");
    }

    /// The polynomial, bit by bit: slow and plain.
    fn reference(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc: u32, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
        })
    }

    #[test]
    fn long_pieces_combine() {
        // 4 GiB + 1 zeros, put together from halves.
        let (mut crc, mut len) = (crc32c(&[0]), 1_u64);
        for _ in 0..32 {
            crc = combine(crc, crc, len);
            len *= 2;
        }
        assert_eq!(combine(crc, crc32c(&[0]), 1), combine(crc32c(&[0]), crc, len));
        assert_eq!(combine(7, crc32c(b""), 0), 7);
    }

    #[test]
    fn division_undoes_multiplication() {
        for a in [0, 1, ONE, 0xdead_beef, !0] {
            assert_eq!(over_x8(multiply(a, ONE >> 8)), a);
            assert_eq!(multiply(a, ONE), a);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_polynomial(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0usize..2000) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(crc32c(&bytes), reference(&bytes));
            let mut running = RunningCrc::new();
            running.extend(&bytes[..cut]);
            prop_assert_eq!(running.masked(), MaskedCrc::mask(reference(&bytes[..cut])));
            running.extend(&bytes[cut..]);
            prop_assert_eq!(running.masked(), MaskedCrc::of(&bytes));
            prop_assert_eq!(running.masked().unmask(), crc32c(&bytes));
            let (first, second) = bytes.split_at(cut);
            prop_assert_eq!(combine(crc32c(first), crc32c(second), second.len() as u64), crc32c(&bytes));
        }
    }
}
