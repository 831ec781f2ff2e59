//! Packed bytes: how long they are when unpacked, then a stream.
//!
//! ```text
//! 0    not packed, and no length before the bytes
//! 'b'  varint length, Brotli     what TensorFlow's splitter writes
//! 's'  varint length, Snappy
//! 'z'  varint length, Zstandard  not read
//! ```

use super::chunk::PART;
use crate::varint::Cursor;
use crate::{Fault, Result, limits};
use std::io::Read;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Brotli,
    Snappy,
}

impl Compression {
    pub(super) fn of(byte: u8) -> Result<Self> {
        match byte {
            0 => Ok(Self::None),
            b'b' => Ok(Self::Brotli),
            b's' => Ok(Self::Snappy),
            b'z' => Err(Fault::unsupported(PART, "its records are packed with Zstandard")
                .advise("write the file with Brotli, as TensorFlow does, with Snappy or unpacked")),
            other => {
                let what =
                    format!("its compression is {:?}: known are 0, b, s, z", char::from(other));
                Err(Fault::unsupported(PART, what))
            }
        }
    }
}

/// Unpacks `packed`, which must not have more than `most` bytes then.
pub(super) fn unpack(how: Compression, packed: &[u8], most: u64, what: &str) -> Result<Vec<u8>> {
    let corrupt = |why: String| Fault::corrupt(PART, format!("{what}: {why}"));
    let mut cursor = Cursor::new(packed);
    let claimed = match how {
        Compression::None => packed.len() as u64,
        _ => cursor.varint64().map_err(|why| corrupt(why.to_string()))?,
    };
    if claimed > most {
        return Err(corrupt(format!("{claimed} bytes when unpacked, where at most {most} can be")));
    }
    let stream = cursor.rest();
    let unpacked = match how {
        Compression::None => stream.to_vec(),
        Compression::Brotli => {
            brotli(stream, claimed).map_err(|why| corrupt(format!("Brotli: {why}")))?
        }
        Compression::Snappy => {
            snappy(stream, claimed).map_err(|why| corrupt(format!("Snappy: {why}")))?
        }
    };
    if unpacked.len() as u64 != claimed {
        let got = unpacked.len();
        return Err(corrupt(format!(
            "{got} bytes or more when unpacked, not {claimed} as it says"
        )));
    }
    Ok(unpacked)
}

/// Grows with what comes out, and stops one byte behind what was claimed.
fn brotli(stream: &[u8], claimed: u64) -> std::io::Result<Vec<u8>> {
    const STEP: usize = 1 << 16;
    let mut rest = stream;
    let mut unpacked = Vec::new();
    {
        let mut decoder =
            brotli_decompressor::Decompressor::new(&mut rest, STEP).take(claimed.saturating_add(1));
        decoder.read_to_end(&mut unpacked)?;
    }
    Ok(unpacked)
}

fn snappy(stream: &[u8], claimed: u64) -> std::io::Result<Vec<u8>> {
    let bad = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    let says = snap::raw::decompress_len(stream).map_err(|why| bad(why.to_string()))? as u64;
    if says != claimed || says > limits::max_snappy_output(stream.len()) {
        return Err(bad(format!(
            "its stream of {} bytes says {says} bytes, not {claimed}",
            stream.len()
        )));
    }
    snap::raw::Decoder::new().decompress_vec(stream).map_err(|why| bad(why.to_string()))
}
