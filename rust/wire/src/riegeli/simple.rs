//! The data of a chunk of simple records.
//!
//! ```text
//! compression u8  varint: bytes of the sizes, packed  sizes, packed  values, packed
//! sizes    num_records varints
//! values   the records, one behind the other: decoded_data_size bytes
//! ```

use super::chunk::PART;
use super::compression::{Compression, unpack};
use crate::varint::Cursor;
use crate::{Fault, Result, with_capacity};
use bytes::Bytes;

/// The records of a chunk's data.
pub(super) fn records(data: &[u8], num_records: u64, decoded_size: u64) -> Result<Vec<Bytes>> {
    let corrupt = |what: String| Fault::corrupt(PART, what);
    let short = |short| corrupt(format!("its data: {short}"));
    let mut cursor = Cursor::new(data);
    let compression = Compression::of(cursor.byte().map_err(short)?)?;
    let len = cursor.varint64().map_err(short)?;
    let sizes =
        usize::try_from(len).ok().and_then(|len| cursor.take(len).ok()).ok_or_else(|| {
            corrupt(format!("{len} bytes of sizes, but {} are left", cursor.rest().len()))
        })?;
    // Ten bytes for a varint; and a chunk has no more records than bytes in the file.
    let sizes =
        unpack(compression, sizes, num_records.saturating_mul(10), "the sizes of its records")?;
    let values = Bytes::from(unpack(compression, cursor.rest(), decoded_size, "its records")?);
    if values.len() as u64 != decoded_size {
        let got = values.len();
        return Err(corrupt(format!(
            "its records have {got} bytes, its header says {decoded_size}"
        )));
    }
    let mut found = with_capacity(usize::try_from(num_records).unwrap_or(usize::MAX), PART)?;
    let mut sizes = Cursor::new(&sizes);
    let mut rest = values;
    for i in 0..num_records {
        let size =
            sizes.varint64().map_err(|why| corrupt(format!("the size of record {i}: {why}")))?;
        let size =
            usize::try_from(size).ok().filter(|&size| size <= rest.len()).ok_or_else(|| {
                corrupt(format!("record {i} has {size} bytes, but {} are left", rest.len()))
            })?;
        found.push(rest.split_to(size));
    }
    if !rest.is_empty() || !sizes.is_empty() {
        let what = format!("{} bytes are left behind its {num_records} records", rest.len());
        return Err(corrupt(what));
    }
    Ok(found)
}
