//! Values without a type or shape beside them: exactly as many as their tensor has elements (FORMAT 6.2).
//!
//! ```text
//! 52 0D 01 FE FF … 01 AC 02      field 10, int64: three varints
//! 42 00 42 03 61 62 63           field 8, string: "" and "abc"
//! ```
//!
//! Counting comes first and takes no memory; then the caller, who knows that they are as many as they should be,
//! says where they go.

use super::values::element_bits;
use super::{Field, Form, PART, malformed};
use crate::dtype::DataType;
use crate::pb::{Value, fields};
use crate::varint::{Cursor, count_varints};
use crate::{Fault, Result, with_capacity};
use bytes::Bytes;

/// The values of a `TensorProto` that holds nothing else.
#[derive(Debug)]
pub struct CountedValues<'a> {
    message: &'a Bytes,
    dtype: DataType,
    field: Field,
    count: u64,
}

impl<'a> CountedValues<'a> {
    /// The values in `message`, which must be `count` of type `dtype`.
    pub fn new(message: &'a Bytes, dtype: DataType, count: u64) -> Result<Self> {
        const CONTENT: u32 = 4;
        let field = Field::of(dtype).ok_or_else(|| {
            Fault::unsupported(
                PART,
                format!("values of type {dtype} (number {}) cannot be read", dtype.0),
            )
        })?;
        let values = Self { message, dtype, field, count };
        if count == 0 {
            return Ok(values); // what follows does not matter, as for any empty tensor
        }
        let mut all = fields(message);
        while let Some(part) = all.next_field().map_err(malformed)? {
            if let (CONTENT, Value::Len([_, ..])) = part {
                let what =
                    format!("got tensor_content, want {count} values in field {}", field.number);
                return Err(Fault::corrupt(PART, what));
            }
        }
        let got = values.given()?;
        if got != count {
            return Err(Fault::corrupt(PART, format!("got {got} values of {dtype}, want {count}")));
        }
        Ok(values)
    }

    /// How many there are.
    fn given(&self) -> Result<u64> {
        let width = self.dtype.width().unwrap_or(1) as u64;
        let mut count = 0_u64;
        for value in self.field.values(self.message) {
            let value = value?;
            if let (Form::Fixed(unit), Value::Len(list)) = (self.field.form, value)
                && !list.len().is_multiple_of(unit)
            {
                let what = format!("{} bytes of numbers of {unit} bytes each", list.len());
                return Err(Fault::corrupt(PART, what));
            }
            let here = match (self.field.form, value) {
                (Form::Fixed(_) | Form::Octets, Value::Len(list)) => list.len() as u64,
                (Form::Varints, Value::Len(list)) => count_varints(list),
                (Form::Fixed(unit), _) => unit as u64,
                _ => 1,
            };
            // Of a field that is bytes the last one counts.
            count = if self.field.form == Form::Octets { here } else { count + here };
        }
        if !matches!(self.field.form, Form::Fixed(_)) {
            return Ok(count);
        }
        if !count.is_multiple_of(width) {
            let what = format!("{count} bytes of {}, want a multiple of {width}", self.dtype);
            return Err(Fault::corrupt(PART, what));
        }
        Ok(count / width)
    }

    /// Strings, of a type that has such values: `len` of them, from `first` on.
    pub fn items(&self, first: u64, len: u64) -> Result<Vec<Bytes>> {
        let len = usize::try_from(len.min(self.count)).unwrap_or(usize::MAX);
        let mut items = with_capacity(len, PART)?;
        if len == 0 {
            return Ok(items);
        }
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        for value in self.field.values(self.message).skip(first).take(len) {
            if let Value::Len(item) = value? {
                items.push(self.message.slice_ref(item));
            }
        }
        Ok(items)
    }

    /// The bytes of all strings.
    pub fn item_bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for value in self.field.values(self.message).take(usize::try_from(self.count).unwrap_or(0))
        {
            if let Value::Len(item) = value? {
                sum += item.len() as u64;
            }
        }
        Ok(sum)
    }

    /// Fills `out` with elements from `first` on, dense and little-endian.
    pub fn copy_to(&self, first: u64, out: &mut [u8]) -> Result<()> {
        let width = self.dtype.width().unwrap_or(1);
        if out.is_empty() {
            return Ok(());
        }
        match self.field.form {
            Form::Varints => match width {
                1 => self.copy_varints::<1>(first, out),
                2 => self.copy_varints::<2>(first, out),
                4 => self.copy_varints::<4>(first, out),
                _ => self.copy_varints::<8>(first, out),
            },
            _ => self.copy_bytes(first.saturating_mul(width as u64), out),
        }
    }

    fn copy_bytes(&self, mut skip: u64, mut out: &mut [u8]) -> Result<()> {
        let last_only = self.field.form == Form::Octets;
        let mut put = |bytes: &[u8]| {
            let from = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            skip -= from as u64;
            let rest = bytes.get(from..).unwrap_or_default();
            let room = rest.len().min(out.len());
            let (to, left) = std::mem::take(&mut out).split_at_mut(room);
            to.copy_from_slice(rest.get(..to.len()).unwrap_or_default());
            out = left;
        };
        let mut last = &[][..];
        for value in self.field.values(self.message) {
            match value? {
                Value::Len(list) if last_only => last = list,
                Value::Len(list) => put(list),
                Value::Fixed32(value) => put(&value.to_le_bytes()),
                Value::Fixed64(value) => put(&value.to_le_bytes()),
                Value::Varint(_) => {}
            }
        }
        put(last);
        Ok(())
    }

    /// Narrow elements keep the low bits of their varints.
    fn copy_varints<const WIDTH: usize>(&self, first: u64, out: &mut [u8]) -> Result<()> {
        let bits = element_bits(self.dtype);
        let (elements, _) = out.as_chunks_mut::<WIDTH>();
        let mut places = elements.iter_mut();
        let mut skip = first;
        // Gives false when all of `out` is filled.
        let mut put = |value: u64| {
            if skip > 0 {
                skip -= 1;
                return true;
            }
            let Some(place) = places.next() else {
                return false;
            };
            if let Some((low, _)) = bits(value).to_le_bytes().split_first_chunk() {
                *place = *low;
            }
            true
        };
        for value in self.field.values(self.message) {
            match value? {
                Value::Len(list) => {
                    let mut cursor = Cursor::new(list);
                    while !cursor.is_empty() {
                        let value = cursor.varint64().map_err(|short| malformed(short.into()))?;
                        if !put(value) {
                            return Ok(());
                        }
                    }
                }
                Value::Varint(value) if !put(value) => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType as T;

    fn read(dtype: DataType, data: &[u8], count: u64) -> Result<Vec<u8>> {
        let message = Bytes::copy_from_slice(data);
        let values = CountedValues::new(&message, dtype, count)?;
        let width = dtype.width().unwrap();
        let mut out = vec![0xee; count as usize * width];
        values.copy_to(0, &mut out)?;
        for first in 0..count as usize {
            let mut rest = vec![0xee; (count as usize - first) * width];
            values.copy_to(first as u64, &mut rest)?;
            assert_eq!(rest, out[first * width..]);
            let mut one = vec![0xee; width];
            values.copy_to(first as u64, &mut one)?;
            assert_eq!(one, out[first * width..][..width]);
        }
        Ok(out)
    }

    #[test]
    fn records_of_the_format() {
        let longs = b"\x52\x0d\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\xac\x02";
        let want: Vec<u8> = [1_i64, -2, 300].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(read(T::INT64, longs, 3).unwrap(), want);
        let halves = b"\x6a\x06\x80\x7c\x80\x80\x03\x00";
        assert_eq!(read(T::HALF, halves, 3).unwrap(), [0x00, 0x3e, 0x00, 0xc0, 0, 0]);
        let bytes = b"\x3a\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02";
        assert_eq!(read(T::INT8, bytes, 2).unwrap(), [0xff, 2]);
        let message = Bytes::from_static(b"\x42\0\x42\x03abc");
        let strings = CountedValues::new(&message, T::STRING, 2).unwrap();
        assert_eq!(strings.items(0, 2).unwrap(), ["", "abc"]);
        assert_eq!(strings.items(1, 1).unwrap(), ["abc"]);
        assert_eq!(strings.item_bytes().unwrap(), 3);
    }

    #[test]
    fn packed_or_one_by_one() {
        let (one, two) = (1.5_f32.to_le_bytes(), (-2_f32).to_le_bytes());
        let packed = [&b"\x2a\x08"[..], &one, &two].concat();
        let single = [&b"\x2d"[..], &one, b"\x2d", &two].concat();
        let mixed = [&b"\x2d"[..], &one, b"\x2a\x04", &two].concat();
        for data in [packed, single, mixed] {
            assert_eq!(read(T::FLOAT, &data, 2).unwrap(), [one, two].concat());
        }
        assert_eq!(
            read(T::COMPLEX64, &[&b"\x4a\x08"[..], &one, &two].concat(), 1).unwrap().len(),
            8
        );
        assert_eq!(read(T::INT8, b"\x38\xac\x02\x3a\x01\x07\x38\x01", 3).unwrap(), [44, 7, 1]);
        assert_eq!(read(T::BOOL, b"\x5a\x03\x00\x80\x01", 2).unwrap(), [0, 1]);
        assert_eq!(read(T::FLOAT8_E5M2, b"\x92\x01\x01a\x92\x01\x02bc", 2).unwrap(), *b"bc");
    }

    #[test]
    fn exactly_as_many() {
        let text = |dtype, data: &[u8], count| {
            let message = Bytes::copy_from_slice(data);
            CountedValues::new(&message, dtype, count).unwrap_err().to_string()
        };
        assert_eq!(text(T::INT64, b"\x52\x01\x05", 2), "tensor: got 1 values of int64, want 2");
        assert_eq!(text(T::INT64, b"\x52\x02\x05\x06", 1), "tensor: got 2 values of int64, want 1");
        assert_eq!(
            text(T::INT64, b"", 1 << 60),
            "tensor: got 0 values of int64, want 1152921504606846976"
        );
        assert_eq!(
            text(T::INT64, b"\x22\x08abcdefgh", 1),
            "tensor: got tensor_content, want 1 values in field 10"
        );
        assert_eq!(text(T::FLOAT, b"\x2a\x03abc", 1), "tensor: 3 bytes of numbers of 4 bytes each");
        assert!(text(T::FLOAT, b"\x2a\x03abc\x2a\x05abcde", 2).contains("3 bytes of numbers"));
        assert!(text(T(0), b"", 1).contains("type invalid (number 0) cannot be read"));
        assert!(read(T::INT32, b"\x3a\x02\xff\x01", 1).is_ok());
        assert!(text(T::INT32, b"\x3a\x02\xff\xff", 1).contains("got 0 values"));
    }

    #[test]
    fn what_an_empty_tensor_holds_does_not_matter() {
        let message = Bytes::from_static(b"\x52\x01\x05");
        let values = CountedValues::new(&message, T::STRING, 0).unwrap();
        assert_eq!(values.items(0, 0).unwrap(), Vec::<Bytes>::new());
        assert_eq!(read(T::INT64, b"\x52\x01\x05", 0).unwrap(), []);
    }
}
