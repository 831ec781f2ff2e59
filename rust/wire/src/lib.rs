//! The checkpoint formats: bytes in, values out.
//!
//! Nothing here knows a path, a file or Python: every function reads a `&[u8]` or a [`bytes::Bytes`], or
//! asks a [`table::Source`] for a range, so that a map, a heap buffer, a remote range, a fuzz input and a
//! literal in a test all go the same way.
//!
//! ```text
//! varint  crc  ordered_code  pb  textproto     the primitives
//! table                                        the sorted table that holds a V2 index or a V1 file
//! bundle                                       what a V2 table says: header, entries, slices, strings, variants
//! ```

#![forbid(unsafe_code)]

pub mod bundle;
pub mod crc;
pub mod dtype;
mod fault;
pub mod limits;
pub mod lookalike;
pub mod ordered_code;
pub mod pb;
pub mod proto;
pub mod table;
pub mod textproto;
pub mod varint;

pub use fault::{Fault, FaultKind, Result};
