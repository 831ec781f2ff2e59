//! A record: one slice of a tensor.
//!
//! ```text
//! 12 18  0A 01 62  12 02 0A 00  1A 0F 52 0D 01 FE FF FF FF FF FF FF FF FF 01 AC 02      b, all of it: int64 1, -2, 300
//! ```

use crate::bundle::TensorSlice;
use crate::pb::{Malformed, Value, fields};
use crate::{Fault, Result, limits, shown};
use bytes::Bytes;

/// SavedSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The tensor's name.
    pub name: Bytes,
    /// Which part of it.
    pub slice: TensorSlice,
    /// The values: a serialized `TensorProto`.
    pub data: Bytes,
}

const PART: &str = "record";

impl Record {
    /// Reads the value of a slice key.
    pub fn parse(value: &Bytes) -> Result<Self> {
        const DATA: u32 = 2;
        let malformed =
            |error: Malformed| Fault::corrupt(PART, format!("unable to parse it: {error}"));
        let mut record = None;
        let mut all = fields(value);
        while let Some(field) = all.next_field().map_err(malformed)? {
            if let (DATA, Value::Len(message)) = field {
                let one = Self::parse_slice(&value.slice_ref(message)).map_err(malformed)?;
                if record.replace(one).is_some() {
                    return Err(Fault::corrupt(PART, "two slices under one key"));
                }
            }
        }
        record.ok_or_else(|| Fault::corrupt(PART, "there is no slice under this key"))
    }

    fn parse_slice(message: &Bytes) -> Result<Self, Malformed> {
        let mut record =
            Self { name: Bytes::new(), slice: TensorSlice(Vec::new()), data: Bytes::new() };
        let mut all = fields(message);
        while let Some(field) = all.next_field()? {
            match field {
                (1, Value::Len(name)) => record.name = message.slice_ref(name),
                (2, Value::Len(slice)) => {
                    record.slice = TensorSlice::parse(slice, limits::MAX_RANK)?;
                }
                (3, Value::Len(data)) => record.data = message.slice_ref(data),
                _ => {}
            }
        }
        Ok(record)
    }

    /// Holds it against what its key says. TensorFlow does not.
    pub fn check(&self, name: &[u8], slice: &TensorSlice) -> Result<()> {
        if self.name == name && self.slice == *slice {
            return Ok(());
        }
        let say = |name: &[u8], slice: &TensorSlice| format!("{} {:?}", shown(name), slice.0);
        Err(Fault::corrupt(
            PART,
            format!("got {}, want {}", say(&self.name, &self.slice), say(name, slice)),
        )
        .advise("the file was put together wrongly: its key belongs to another record"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"\x12\x18\x0a\x01b\x12\x02\x0a\x00\x1a\x0f\x52\x0d\x01\xfe\xff\xff\xff\
                         \xff\xff\xff\xff\xff\x01\xac\x02";

    #[test]
    fn of_one_slice() {
        let record = Record::parse(&Bytes::from_static(ONE)).unwrap();
        let all = TensorSlice(vec![(0, None)]);
        assert_eq!(record.name, "b");
        assert_eq!(record.data, ONE[11..]);
        assert_eq!(record.check(b"b", &all), Ok(()));
        let other = record.check(b"c", &all).unwrap_err().to_string();
        assert_eq!(
            other,
            "record: got \"b\" [(0, None)], want \"c\" [(0, None)]; \
             the file was put together wrongly: its key belongs to another record"
        );
        assert!(record.check(b"b", &TensorSlice(vec![])).is_err());
    }

    #[test]
    fn refused() {
        let text = |bytes: &[u8]| Record::parse(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert!(text(b"").to_string().contains("no slice under this key"));
        assert!(text(b"\x12\x05\x0a").to_string().contains("unable to parse it"));
        assert!(text(&[ONE, ONE].concat()).to_string().contains("two slices under one key"));
    }
}
