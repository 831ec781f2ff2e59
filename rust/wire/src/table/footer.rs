//! The last 48 bytes of a table.
//!
//! ```text
//! metaindex handle | index handle | zeros up to 40 bytes | 57 FB 80 8B 24 75 47 DB
//! ```

use super::BlockHandle;
use crate::varint::{Cursor, put_varint};
use crate::{Fault, Result};

/// Bytes of a footer.
pub const FOOTER_LEN: u64 = 48;

const HANDLES_LEN: usize = 40;
const MAGIC: [u8; 8] = 0xdb47_7524_8b80_fb57_u64.to_le_bytes();

/// Where the index block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// The metaindex block: always empty, never read.
    pub metaindex: BlockHandle,
    /// The index block.
    pub index: BlockHandle,
}

impl Footer {
    /// Reads the footer from the last bytes of a file.
    pub fn parse(tail: &[u8]) -> Result<Self> {
        let (handles, magic) = tail
            .split_at_checked(HANDLES_LEN)
            .ok_or_else(|| Fault::corrupt("footer", format!("{} bytes, want 48", tail.len())))?;
        if magic != MAGIC {
            return Err(Fault::corrupt(
                "footer",
                format!("bad magic number: got {}, want {}", hex(magic), hex(&MAGIC)),
            )
            .got_want(hex(magic), hex(&MAGIC)));
        }
        let mut cursor = Cursor::new(handles);
        let mut take = || {
            BlockHandle::take(&mut cursor)
                .map_err(|short| Fault::corrupt("footer", format!("bad block handle: {short}")))
        };
        Ok(Self { metaindex: take()?, index: take()? })
    }

    /// How many bytes before the magic number are not those that a writer puts there: padding that is not zero, or
    /// numbers that are written with more bytes than they need. They change nothing.
    pub fn stray_bytes(&self, tail: &[u8]) -> usize {
        let mut written = Vec::with_capacity(HANDLES_LEN);
        for handle in [self.metaindex, self.index] {
            put_varint(&mut written, handle.offset);
            put_varint(&mut written, handle.size);
        }
        written.resize(HANDLES_LEN, 0);
        written.iter().zip(tail).filter(|(written, found)| written != found).count()
    }
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The footer of FORMAT B.1.
    fn smallest() -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[..4].copy_from_slice(&[0x2a, 0x08, 0x37, 0x0e]);
        bytes[40..].copy_from_slice(&MAGIC);
        bytes
    }

    #[test]
    fn the_smallest_index() {
        let footer = Footer::parse(&smallest()).unwrap();
        assert_eq!(footer.metaindex, BlockHandle { offset: 42, size: 8 });
        assert_eq!(footer.index, BlockHandle { offset: 55, size: 14 });
    }

    #[test]
    fn padding_does_not_matter() {
        let mut bytes = smallest();
        bytes[4..40].fill(0xab);
        let footer = Footer::parse(&bytes).unwrap();
        assert_eq!(Ok(footer), Footer::parse(&smallest()));
        assert_eq!((footer.stray_bytes(&bytes), footer.stray_bytes(&smallest())), (36, 0));
        let mut bytes = smallest();
        bytes[3..5].copy_from_slice(&[0x8e, 0]);
        assert_eq!(Footer::parse(&bytes).unwrap().stray_bytes(&bytes), 1, "14 in two bytes");
    }

    #[test]
    fn broken() {
        let mut bytes = smallest();
        bytes[47] = 0;
        let fault = Footer::parse(&bytes).unwrap_err();
        assert_eq!(
            fault.what(),
            "bad magic number: got 57 FB 80 8B 24 75 47 00, want 57 FB 80 8B 24 75 47 DB"
        );
        let mut bytes = smallest();
        bytes[..40].fill(0xff);
        let fault = Footer::parse(&bytes).unwrap_err();
        assert_eq!(fault.to_string(), "footer: bad block handle: a varint is too long");
        assert!(Footer::parse(&bytes[1..]).is_err());
        assert_eq!(Footer::parse(&[]).unwrap_err().what(), "0 bytes, want 48");
    }

    #[test]
    fn a_handle_must_end_before_the_footer() {
        let end = |offset, size| {
            BlockHandle { offset, size }.end_within(100, "footer", "the index block")
        };
        assert_eq!(end(90, 5), Ok(100));
        assert!(end(91, 5).is_err());
        // CVE-2018-7575: size + 5 wraps around.
        for size in [u64::MAX, u64::MAX - 2, 1 << 62, 1 << 31] {
            assert!(end(0, size).unwrap_err().what().contains("blocks end by byte 100"));
        }
    }
}
