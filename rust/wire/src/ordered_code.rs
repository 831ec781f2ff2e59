//! OrderedCode, the increasing forms: encodings whose byte order is the order of the values (FORMAT 0.3).
//!
//! ```text
//! number   n, then n big-endian bytes without leading zeros              256 = 02 01 00
//! string   bytes with 00 -> 00 FF and FF -> FF 00, then 00 01
//! signed   L bytes; the header, L ones and a zero, is xored into the     100 = C0 64    -1 = 7F
//!          top bits of the sign-extended two's complement
//! ```

use crate::varint::{Cursor, Short};

/// Appends an unsigned number.
pub fn put_num(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let skip = value.leading_zeros() as usize / 8;
    out.push((8 - skip) as u8);
    out.extend_from_slice(&bytes[skip..]);
}

/// Appends a string of any bytes.
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        out.push(byte);
        match byte {
            0x00 => out.push(0xff),
            0xff => out.push(0x00),
            _ => {}
        }
    }
    out.extend_from_slice(&[0x00, 0x01]);
}

/// Appends a signed number.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    let len = signed_len(value);
    let mut bytes = sign_extended(value);
    let tail = &mut bytes[10 - len..];
    xor_header(tail, len);
    out.extend_from_slice(tail);
}

/// Takes an unsigned number.
pub fn take_num(cursor: &mut Cursor<'_>) -> Result<u64, Short> {
    let n = usize::from(cursor.byte()?);
    if n > 8 {
        return Err(Short::TooLong);
    }
    Ok(cursor.take(n)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// Takes a string. An escape that the encoder never writes is [`Short::TooLong`].
pub fn take_string(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Short> {
    let mut out = Vec::new();
    loop {
        match (cursor.byte()?, cursor.rest().first()) {
            (0x00, Some(0x01)) => {
                cursor.byte()?;
                return Ok(out);
            }
            (byte @ 0x00, Some(0xff)) | (byte @ 0xff, Some(0x00)) => {
                cursor.byte()?;
                out.push(byte);
            }
            (0x00 | 0xff, None) => return Err(Short::End),
            (0x00 | 0xff, Some(_)) => return Err(Short::TooLong),
            (byte, _) => out.push(byte),
        }
    }
}

/// Takes a signed number.
pub fn take_signed(cursor: &mut Cursor<'_>) -> Result<i64, Short> {
    let rest = cursor.rest();
    let first = *rest.first().ok_or(Short::End)?;
    let negative = first < 0x80;
    let plain = |byte: u8| if negative { !byte } else { byte };
    // The header is as many one bits as there are bytes.
    let mut len = plain(first).leading_ones() as usize;
    if len == 8 {
        let second = plain(*rest.get(1).ok_or(Short::End)?);
        len += second.leading_ones() as usize;
    }
    if len > 10 {
        return Err(Short::TooLong);
    }
    let mut wide = [if negative { 0xff } else { 0 }; 10];
    wide[10 - len..].copy_from_slice(cursor.take(len)?);
    xor_header(&mut wide[10 - len..], len);
    let mut low = [0; 8];
    low.copy_from_slice(&wide[2..]);
    let value = i64::from_be_bytes(low);
    // Bits above the 64th must be copies of the sign.
    if sign_extended(value) == wide { Ok(value) } else { Err(Short::TooLong) }
}

/// One byte holds 6 bits and the sign; each further byte holds 7 more.
fn signed_len(value: i64) -> usize {
    let magnitude = if value < 0 { !value } else { value };
    let bits = 64 - magnitude.leading_zeros() as usize;
    bits / 7 + 1
}

fn sign_extended(value: i64) -> [u8; 10] {
    let mut bytes = [if value < 0 { 0xff } else { 0 }; 10];
    bytes[2..].copy_from_slice(&value.to_be_bytes());
    bytes
}

fn xor_header(bytes: &mut [u8], len: usize) {
    // `len` one bits, left-aligned in 16 bits: two bytes of header at most.
    let header = (!(0xffff_u32 >> len) as u16).to_be_bytes();
    for (byte, mask) in bytes.iter_mut().zip(header) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signed(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_signed(&mut out, value);
        out
    }

    #[test]
    fn signed_vectors_of_the_format() {
        let cases: &[(i64, &[u8])] = &[
            (0, &[0x80]),
            (1, &[0x81]),
            (63, &[0xbf]),
            (64, &[0xc0, 0x40]),
            (100, &[0xc0, 0x64]),
            (8191, &[0xdf, 0xff]),
            (8192, &[0xe0, 0x20, 0x00]),
            (100_000, &[0xe1, 0x86, 0xa0]),
            (-1, &[0x7f]),
            (-64, &[0x40]),
            (-65, &[0x3f, 0xbf]),
            (-8192, &[0x20, 0x00]),
            (1 << 20, &[0xf0, 0x10, 0, 0]),
            (1 << 27, &[0xf8, 0x08, 0, 0, 0]),
            (1 << 31, &[0xf8, 0x80, 0, 0, 0]),
            (1 << 32, &[0xf9, 0, 0, 0, 0]),
            (1 << 40, &[0xfd, 0, 0, 0, 0, 0]),
            ((1 << 55) - 1, &[0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            (1 << 55, &[0xff, 0x80, 0x80, 0, 0, 0, 0, 0, 0]),
            (1 << 62, &[0xff, 0xc0, 0x40, 0, 0, 0, 0, 0, 0, 0]),
            (i64::MAX, &[0xff, 0xc0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            (i64::MIN, &[0x00, 0x3f, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (value, bytes) in cases {
            assert_eq!(signed(*value), *bytes, "{value}");
            assert_eq!(take_signed(&mut Cursor::new(bytes)), Ok(*value), "{value}");
        }
    }

    #[test]
    fn numbers_and_strings_of_the_format() {
        let num = |value| {
            let mut out = Vec::new();
            put_num(&mut out, value);
            out
        };
        assert_eq!(num(0), [0]);
        assert_eq!(num(255), [1, 0xff]);
        assert_eq!(num(256), [2, 1, 0]);
        assert_eq!(num(u64::MAX), [8, 255, 255, 255, 255, 255, 255, 255, 255]);
        let mut out = Vec::new();
        put_string(&mut out, b"a\x00b\xff");
        assert_eq!(out, b"a\x00\xffb\xff\x00\x00\x01");
    }

    #[test]
    fn what_the_encoder_never_writes() {
        assert_eq!(take_num(&mut Cursor::new(&[9; 10])), Err(Short::TooLong));
        assert_eq!(take_num(&mut Cursor::new(&[2, 1])), Err(Short::End));
        assert_eq!(take_string(&mut Cursor::new(b"\xff\xff")), Err(Short::TooLong));
        assert_eq!(take_string(&mut Cursor::new(b"\x00\x02")), Err(Short::TooLong));
        assert_eq!(take_string(&mut Cursor::new(b"abc")), Err(Short::End));
        assert_eq!(take_string(&mut Cursor::new(b"abc\x00")), Err(Short::End));
        assert_eq!(take_signed(&mut Cursor::new(&[0xff; 10])), Err(Short::TooLong));
        assert_eq!(take_signed(&mut Cursor::new(&[0xff])), Err(Short::End));
        assert_eq!(take_signed(&mut Cursor::new(&[])), Err(Short::End));
    }

    proptest! {
        #[test]
        fn round_trips_and_keeps_order(a: i64, b: i64, x: u64, y: u64, s: Vec<u8>, t: Vec<u8>) {
            prop_assert_eq!(take_signed(&mut Cursor::new(&signed(a))), Ok(a));
            prop_assert_eq!(signed(a).cmp(&signed(b)), a.cmp(&b));
            let enc = |f: &dyn Fn(&mut Vec<u8>)| { let mut out = Vec::new(); f(&mut out); out };
            let (ex, ey) = (enc(&|o| put_num(o, x)), enc(&|o| put_num(o, y)));
            prop_assert_eq!(take_num(&mut Cursor::new(&ex)), Ok(x));
            prop_assert_eq!(ex.cmp(&ey), x.cmp(&y));
            let (es, et) = (enc(&|o| put_string(o, &s)), enc(&|o| put_string(o, &t)));
            prop_assert_eq!(take_string(&mut Cursor::new(&es)), Ok(s.clone()));
            prop_assert_eq!(es.cmp(&et), s.cmp(&t));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes: Vec<u8>) {
            if let Ok(value) = take_signed(&mut Cursor::new(&bytes)) {
                // Longer forms than need be are readable; the shortest one reads the same.
                prop_assert_eq!(take_signed(&mut Cursor::new(&signed(value))), Ok(value));
            }
            let _ = take_num(&mut Cursor::new(&bytes));
            let _ = take_string(&mut Cursor::new(&bytes));
        }
    }
}
