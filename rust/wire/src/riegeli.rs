//! Riegeli/records: the file around the chunks of a large SavedModel (FORMAT 9.4).
//!
//! ```text
//! 0           64 KiB        128 KiB
//! ┌──┬─────┬──┬──────────┬──┬─────────
//! │BH│ 's' │C0│ chunk 0 …│BH│ … C1 chunk 1 …      BH  block header, at every multiple of 64 KiB, wherever that falls
//! └──┴─────┴──┴──────────┴──┴─────────            C   chunk header, then the chunk's data
//!
//! chunk  's' signature, the first   'r' records   'm' metadata of the file   'p' padding   't' transposed records
//! ```
//!
//! A record's position is that of its chunk, plus its number in the chunk; a chunk takes as many bytes as it has
//! records, or more, so that no two have the same.

use crate::limits::{MAX_UNPACKED, max_unpacked};
use crate::{Fault, Result};
use bytes::Bytes;

mod block;
mod chunk;
mod compression;
mod simple;

use chunk::Chunk;

const PART: &str = "Riegeli file";

/// How every such file begins: a block header, and a chunk of type `s` without data.
const SIGNATURE: [u8; 64] = {
    let mut bytes = [0; 64];
    let words: [u64; 8] =
        [0x3f4a_880d_d170_af83, 0, 64, 0xa9e1_8792_3cc2_ba91, 0, 0x72c3_b1e9_c013_9fe1, 0x73, 0];
    let mut i = 0;
    while i < 64 {
        bytes[i] = words[i / 8].to_le_bytes()[i % 8];
        i += 1;
    }
    bytes
};

/// Does a file begin as such files do?
pub fn is_riegeli(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE)
}

/// The records of a file.
#[derive(Debug)]
pub struct Records(Vec<(u64, Bytes)>);

impl Records {
    /// Reads all records, and checks all hashes. They are unpacked into memory.
    pub fn read(file: &[u8]) -> Result<Self> {
        if !is_riegeli(file) {
            return Err(Fault::corrupt(PART, "it does not begin as such files do").at(0));
        }
        let mut chunks = Vec::new();
        let mut unpacked = 0_u64;
        let mut pos = 0;
        while pos < file.len() as u64 {
            let chunk = Chunk::at(file, pos)?;
            pos = chunk.end;
            unpacked = unpacked.saturating_add(chunk.decoded_size);
            chunks.push(chunk);
        }
        let most = max_unpacked(file.len() as u64);
        if unpacked > most {
            let what = format!(
                "its records claim to have {unpacked} bytes when unpacked; of a file of {} bytes at most {most} \
                 are believed",
                file.len()
            );
            return Err(match unpacked > MAX_UNPACKED {
                true => Fault::unsupported(PART, what),
                false => Fault::corrupt(PART, what),
            });
        }
        let mut records = Vec::new();
        for chunk in &chunks {
            chunk.records(file, &mut records)?;
        }
        Ok(Self(records))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The record at a position.
    pub fn at(&self, position: u64) -> Option<&Bytes> {
        let place = self.0.binary_search_by_key(&position, |record| record.0).ok()?;
        self.0.get(place).map(|record| &record.1)
    }

    /// The last record, and its position.
    pub fn last(&self) -> Option<(u64, &Bytes)> {
        self.0.last().map(|(position, record)| (*position, record))
    }
}

#[cfg(test)]
mod tests;
