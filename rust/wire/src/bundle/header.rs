//! The header: the value of the empty key.
//!
//! ```text
//! 08 01  1A 02 08 01       num_shards 1, (endianness LITTLE is omitted), version { producer 1 }
//! ```

use crate::pb::{Malformed, Value, fields};
use crate::v1::is_contents;
use crate::version::Version;
use crate::{Fault, Result, limits};

/// The byte order of everything in the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// Lowest byte first.
    #[default]
    Little,
    /// Highest byte first.
    Big,
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How many data shards there are.
    pub num_shards: u32,
    /// Byte order of the shards; the index itself is always little-endian.
    pub order: ByteOrder,
    /// Format version of the writer.
    pub producer: i32,
}

const PART: &str = "bundle header";

impl Header {
    /// Reads the header and holds its version against this reader's.
    pub fn parse(message: &[u8]) -> Result<Self> {
        if is_contents(message) {
            return Err(Fault::corrupt(PART, "this is the table of contents of a V1 checkpoint"));
        }
        let raw = Raw::parse(message).map_err(|malformed| {
            Fault::corrupt(PART, format!("unable to parse it: {malformed}"))
        })?;
        raw.version.check(PART)?;
        let num_shards = u32::try_from(raw.num_shards).map_err(|_| {
            Fault::corrupt(PART, format!("{} data shards, want 0 or more", raw.num_shards))
        })?;
        if num_shards > limits::MAX_SHARDS {
            return Err(Fault::unsupported(
                PART,
                format!("{num_shards} data shards, at most {} can be opened", limits::MAX_SHARDS),
            ));
        }
        let order = match raw.endianness {
            0 => ByteOrder::Little,
            1 => ByteOrder::Big,
            other => {
                return Err(Fault::corrupt(
                    PART,
                    format!("byte order: got {other}, want 0 (little-endian) or 1 (big-endian)"),
                ));
            }
        };
        Ok(Self { num_shards, order, producer: raw.version.producer })
    }
}

impl Header {
    /// What a header says of shards and byte order, as far as that can be used, whatever else is wrong with it.
    pub fn glean(message: &[u8]) -> (Option<u32>, Option<ByteOrder>) {
        let Ok(raw) = Raw::parse(message) else {
            return (None, None);
        };
        let num_shards = u32::try_from(raw.num_shards).ok();
        let order = match raw.endianness {
            0 => Some(ByteOrder::Little),
            1 => Some(ByteOrder::Big),
            _ => None,
        };
        (num_shards.filter(|n| (1..=limits::MAX_SHARDS).contains(n)), order)
    }
}

#[derive(Default)]
struct Raw {
    num_shards: i32,
    endianness: i32,
    version: Version,
}

impl Raw {
    fn parse(message: &[u8]) -> Result<Self, Malformed> {
        let mut raw = Self::default();
        for field in fields(message) {
            match field? {
                (1, Value::Varint(value)) => raw.num_shards = value as i32,
                (2, Value::Varint(value)) => raw.endianness = value as i32,
                (3, Value::Len(message)) => raw.version.merge(message)?,
                _ => {}
            }
        }
        Ok(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FaultKind;

    #[test]
    fn headers_that_tensorflow_writes() {
        let one = Header { num_shards: 1, order: ByteOrder::Little, producer: 1 };
        assert_eq!(Header::parse(&[0x08, 1, 0x1a, 2, 0x08, 1]), Ok(one.clone()));
        assert_eq!(Header::parse(&[0x08, 2, 0x1a, 2, 0x08, 1]).unwrap().num_shards, 2);
        let big = Header { order: ByteOrder::Big, ..one.clone() };
        assert_eq!(Header::parse(&[0x08, 1, 0x10, 1, 0x1a, 2, 0x08, 1]), Ok(big));
        // A missing version is producer 0; a larger producer and unknown fields are fine.
        assert_eq!(Header::parse(&[0x08, 1]).unwrap().producer, 0);
        assert_eq!(Header::parse(&[0x08, 1, 0x1a, 2, 0x08, 99, 0x28, 7]).unwrap().producer, 99);
    }

    #[test]
    fn headers_that_are_refused() {
        let refused = |bytes: &[u8], kind, text: &str| {
            let fault = Header::parse(bytes).unwrap_err();
            assert_eq!(fault.kind(), kind, "{fault}");
            assert!(fault.to_string().contains(text), "{fault}");
        };
        use FaultKind::{Corruption, Unsupported};
        refused(&[0x08, 1, 0x1a, 2, 0x10, 2], Unsupported, "a reader of version 2");
        refused(&[0x08, 1, 0x1a, 3, 0x1a, 1, 1], Unsupported, "unfit");
        refused(&[0x08, 1, 0x1a, 2, 0x18, 1], Unsupported, "unfit");
        let minus_one = [0x08, 1, 0x1a, 11, 0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        refused(&minus_one, Corruption, "got -1, want 0 or more");
        refused(&[0x08, 1, 0x10, 2], Corruption, "byte order: got 2");
        refused(&minus_one[4..], Corruption, "-1 data shards, want 0 or more");
        refused(&[0x08], Corruption, "unable to parse it");
        refused(&minus_one[3..6], Corruption, "unable to parse it");
        refused(&[0x08, 0x81, 0x80, 0x40], Unsupported, "1048577 data shards");
        refused(&[0x0a, 0x15], Corruption, "V1 checkpoint");
    }
}
