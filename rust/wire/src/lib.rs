//! The checkpoint formats: bytes in, values out.
//!
//! Nothing here knows a path, a file or Python: every function reads a `&[u8]` or a [`bytes::Bytes`], or
//! asks a [`table::Source`] for a range, so that a map, a heap buffer, a remote range, a fuzz input and a
//! literal in a test all go the same way.
//!
//! ```text
//! varint  crc  ordered_code  pb  textproto     the primitives
//! schema  message  text_wire                   any message, field by field, as its `.proto` says; text as bytes
//! tensor_proto                                 a tensor inside a message
//! table                                        the sorted table that holds a V2 index or a V1 file
//! riegeli  chunked  fingerprint                a SavedModel in chunks; the hash of its checkpoint
//! bundle                                       what a V2 table says: header, entries, slices, strings, variants
//! v1                                           what a V1 table says: contents, records
//! ```

#![forbid(unsafe_code)]

pub mod bundle;
pub mod chunked;
pub mod crc;
pub mod dtype;
mod fault;
pub mod fingerprint;
pub mod limits;
pub mod lookalike;
pub mod message;
pub mod ordered_code;
pub mod pb;
pub mod proto;
pub mod riegeli;
pub mod schema;
pub mod table;
pub mod tensor_proto;
pub mod text_wire;
pub mod textproto;
pub mod v1;
pub mod varint;
mod version;

pub use fault::{Fault, FaultKind, Result, shown};

/// Room for `n` values, or the fault that there is no memory for them. What a file asks for can be as large as
/// the file, so it may not be had.
pub fn with_capacity<T>(n: usize, part: &'static str) -> Result<Vec<T>> {
    let mut values = Vec::new();
    match values.try_reserve_exact(n) {
        Ok(()) => Ok(values),
        Err(_) => {
            let bytes = n.saturating_mul(size_of::<T>());
            Err(Fault::unsupported(part, format!("no memory for {n} values ({bytes} bytes)")))
        }
    }
}
