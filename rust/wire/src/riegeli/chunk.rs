//! A chunk: a header with hashes, and its data.
//!
//! ```text
//! header_hash u64  data_size u64  data_hash u64  type u8  num_records u56  decoded_data_size u64    40 bytes
//! data, data_size bytes                            with block headers between them, wherever they fall
//! padding, until the chunk is as many bytes long as it has records
//! ```

use super::block::{check_headers, end_of, hash, round_up, take, word};
use super::simple;
use crate::{Fault, Result};
use bytes::Bytes;

pub(super) const PART: &str = "Riegeli chunk";

const HEADER: u64 = 40;

/// A chunk whose header is right.
#[derive(Debug)]
pub(super) struct Chunk {
    begin: u64,
    pub(super) end: u64,
    kind: u8,
    data_size: u64,
    data_hash: u64,
    num_records: u64,
    pub(super) decoded_size: u64,
}

impl Chunk {
    /// The chunk at `begin`.
    pub(super) fn at(file: &[u8], begin: u64) -> Result<Self> {
        let corrupt = |what: String| Fault::corrupt(PART, what).at(begin);
        let short =
            |what: String| corrupt(what).advise("the file was cut short, or bytes are missing");
        let header = take(file, begin, HEADER).ok_or_else(|| {
            short(format!("the file ends {} bytes into its header", file.len() as u64 - begin))
        })?;
        let (want, got) = (word(&header, 0), hash(header.get(8..).unwrap_or_default()));
        if want != got {
            return Err(corrupt(format!(
                "the hash of its header is {got:#018x}, it says {want:#018x}"
            )));
        }
        let data_size = word(&header, 8);
        let num_records = word(&header, 24) >> 8;
        let after_data = HEADER.checked_add(data_size).and_then(|size| end_of(begin, size));
        let after_records = begin.checked_add(num_records).and_then(round_up);
        let end = after_data.zip(after_records).map(|(data, records)| data.max(records));
        let end = end.filter(|&end| end <= file.len() as u64).ok_or_else(|| {
            short(format!(
                "{data_size} bytes with {num_records} records, but the file ends {} bytes behind its begin",
                file.len() as u64 - begin
            ))
        })?;
        check_headers(file, begin, end)?;
        Ok(Self {
            begin,
            end,
            kind: header.get(24).copied().unwrap_or_default(),
            data_size,
            data_hash: word(&header, 16),
            num_records,
            decoded_size: word(&header, 32),
        })
    }

    /// Adds its records, each with its position.
    pub(super) fn records(&self, file: &[u8], records: &mut Vec<(u64, Bytes)>) -> Result<()> {
        let at = |fault: Fault| fault.at(self.begin);
        let corrupt = |what: String| at(Fault::corrupt(PART, what));
        let start = end_of(self.begin, HEADER).unwrap_or(self.begin);
        // Its end was held against the file, so what is missing is memory.
        let data = take(file, start, self.data_size).ok_or_else(|| {
            at(Fault::unsupported(PART, format!("no memory for its {} bytes", self.data_size)))
        })?;
        let got = hash(&data);
        if got != self.data_hash {
            let want = self.data_hash;
            return Err(corrupt(format!(
                "the hash of its data is {got:#018x}, it says {want:#018x}"
            )));
        }
        match self.kind {
            b'r' => {}
            b's' | b'm' | b'p' if self.num_records == 0 => return Ok(()),
            b's' | b'm' | b'p' => {
                let (kind, n) = (char::from(self.kind), self.num_records);
                return Err(corrupt(format!(
                    "one of type {kind:?} has no records, but this says {n}"
                )));
            }
            b't' => {
                let what = "its records are transposed: only simple ones can be read";
                return Err(at(Fault::unsupported(PART, what)
                    .advise("write the file without the option `transpose`")));
            }
            other => {
                let what = format!("its type is {:?}: known are s, m, p, r, t", char::from(other));
                return Err(at(Fault::unsupported(PART, what)));
            }
        }
        let found = simple::records(&data, self.num_records, self.decoded_size).map_err(at)?;
        records.try_reserve(found.len()).map_err(|_| {
            at(Fault::unsupported(PART, format!("no memory for {} records", found.len())))
        })?;
        // `begin + num_records` does not overflow: the chunk's end is behind it.
        records.extend(
            found.into_iter().zip(self.begin..).map(|(record, position)| (position, record)),
        );
        Ok(())
    }
}
