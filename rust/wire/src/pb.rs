//! The protobuf wire format, field by field, without a message type.
//!
//! For the small messages of which there are very many (bundle entries), and for large ones that are taken
//! apart only as far as asked. Like TensorFlow's own parser it passes over unknown fields, and over a known
//! number with another wire type.

use crate::limits::MAX_GROUP_DEPTH;
use crate::varint::{Cursor, Short};
use std::fmt;

/// A field's value as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: bytes, a string, a message or a packed list.
    Len(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A length or a number is cut or too long.
    Short(Short),
    /// A field number of 0 or too large, or a wire type that does not exist.
    Tag(u64),
    /// A group that ends twice or nests too deep.
    Group,
    /// More values than the file has room for, or than anything has.
    TooMany,
}

impl From<Short> for Malformed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => write!(f, "not a protobuf message: {short}"),
            Self::Tag(tag) => {
                write!(f, "not a protobuf message: no field has the tag or wire type {tag}")
            }
            Self::TooMany => f.write_str("it lists more than there can be"),
            Self::Group => {
                f.write_str("not a protobuf message: a group is closed twice or too deep")
            }
        }
    }
}

const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;

/// The fields of a message, in the order of the wire.
pub struct Fields<'a>(Cursor<'a>);

/// The fields of `message`.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields(Cursor::new(message))
}

impl<'a> Fields<'a> {
    /// The next field. Groups, which none of the formats use, are passed over.
    #[inline(always)] // the innermost loop of listing an index
    pub fn next_field(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        while !self.0.is_empty() {
            let (number, kind) = self.tag()?;
            match kind {
                START_GROUP => self.skip_group()?,
                kind => return Ok(Some((number, self.value(kind)?))),
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn tag(&mut self) -> Result<(u32, u64), Malformed> {
        let tag = self.0.varint64()?;
        let number = (tag >> 3) as u32;
        if number == 0 || tag >> 32 != 0 { Err(Malformed::Tag(tag)) } else { Ok((number, tag & 7)) }
    }

    #[inline(always)]
    fn value(&mut self, kind: u64) -> Result<Value<'a>, Malformed> {
        Ok(match kind {
            0 => Value::Varint(self.0.varint64()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.0.array()?)),
            2 => {
                let len = self.0.varint64()?;
                let len = usize::try_from(len).map_err(|_| Short::End)?;
                Value::Len(self.0.take(len)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.0.array()?)),
            END_GROUP => return Err(Malformed::Group),
            _ => return Err(Malformed::Tag(kind)),
        })
    }

    #[cold]
    fn skip_group(&mut self) -> Result<(), Malformed> {
        let mut depth = 1;
        while depth > 0 {
            match self.tag()?.1 {
                START_GROUP if depth < MAX_GROUP_DEPTH => depth += 1,
                START_GROUP => return Err(Malformed::Group),
                END_GROUP => depth -= 1,
                kind => {
                    self.value(kind)?;
                }
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_field().transpose()
    }
}

/// The fields of `message`, each with all of its bytes, tag and all. The groups before a field are bytes of it;
/// those at the end are those of a field 0, which no message has: put together, all are the message again.
pub fn raw_fields<'a>(
    message: &'a [u8],
) -> impl Iterator<Item = Result<(u32, Value<'a>, &'a [u8]), Malformed>> {
    let mut all = fields(message);
    let mut start = 0;
    std::iter::from_fn(move || {
        let field = match all.next_field() {
            Ok(None) if start < message.len() => (0, Value::Len(&[])),
            Ok(field) => field?,
            Err(error) => return Some(Err(error)),
        };
        let raw = message.get(start..all.0.pos()).unwrap_or_default();
        start = all.0.pos();
        Some(Ok((field.0, field.1, raw)))
    })
}

/// The varints of a packed list.
pub fn packed_varints(bytes: &[u8]) -> impl Iterator<Item = Result<u64, Malformed>> + '_ {
    let mut cursor = Cursor::new(bytes);
    std::iter::from_fn(move || {
        (!cursor.is_empty()).then(|| cursor.varint64().map_err(Malformed::from))
    })
    .fuse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_wire_type() {
        let bytes =
            [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 4, 0, 0, 0];
        let all: Vec<_> = fields(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(
            all,
            [
                (1, Value::Varint(150)),
                (2, Value::Fixed64(1)),
                (3, Value::Len(b"hi")),
                (4, Value::Fixed32(4))
            ]
        );
    }

    #[test]
    fn groups_are_passed_over() {
        // field 1: group { field 2: 5; group { } } then field 3: 7
        let all: Vec<_> =
            fields(&[0x0b, 0x10, 5, 0x13, 0x14, 0x0c, 0x18, 7]).collect::<Result<_, _>>().unwrap();
        assert_eq!(all, [(3, Value::Varint(7))]);
        assert_eq!(fields(&[0x0b]).next(), Some(Err(Malformed::Short(Short::End))));
        assert_eq!(fields(&[0x0c]).next(), Some(Err(Malformed::Group)));
        let deep = |groups: usize| [vec![0x0b; groups], vec![0x0c; groups]].concat();
        assert_eq!(fields(&deep(MAX_GROUP_DEPTH)).next(), None);
        assert_eq!(fields(&deep(MAX_GROUP_DEPTH + 1)).next(), Some(Err(Malformed::Group)));
    }

    #[test]
    fn what_is_no_message() {
        assert_eq!(fields(&[0x00]).next(), Some(Err(Malformed::Tag(0))));
        assert_eq!(fields(&[0x0e]).next(), Some(Err(Malformed::Tag(6))));
        assert_eq!(fields(&[0x0a, 5, 1]).next(), Some(Err(Malformed::Short(Short::End))));
        assert_eq!(
            fields(&[0x0a, 5]).next().unwrap().unwrap_err().to_string(),
            "not a protobuf message: the bytes end too early"
        );
    }

    #[test]
    fn raw_fields_are_the_message_again() {
        let bytes = [0x08, 1, 0x0b, 0x10, 5, 0x0c, 0x12, 2, b'h', b'i', 0x0b, 0x0c];
        let all: Vec<_> = raw_fields(&bytes).collect::<Result<_, _>>().unwrap();
        let numbers: Vec<_> = all.iter().map(|field| field.0).collect();
        assert_eq!(numbers, [1, 2, 0]);
        assert_eq!(all[1].2, &bytes[2..10]);
        assert_eq!(all.iter().flat_map(|field| field.2).copied().collect::<Vec<_>>(), bytes);
    }

    proptest! {
        #[test]
        fn always_comes_to_an_end(bytes: Vec<u8>) {
            let seen = fields(&bytes).take_while(Result::is_ok).count();
            prop_assert!(seen <= bytes.len());
            prop_assert!(packed_varints(&bytes).take_while(Result::is_ok).count() <= bytes.len());
        }
    }
}
