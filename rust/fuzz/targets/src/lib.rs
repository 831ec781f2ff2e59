//! What is fuzzed: functions of any bytes, which end, and whose claims hold.
//!
//! `rust/fuzz/fuzz_targets` wraps each for libFuzzer; `tests/corpus.rs` replays `rust/fuzz/corpus` through them, without
//! libFuzzer or sanitizers, as part of `make test`.

#![forbid(unsafe_code)]

mod block;
mod chunked;
mod entry;
mod graph;
mod header;
mod message;
mod objects;
mod riegeli;
mod slice_key;
mod state;
mod strings;
mod survey;
mod table;
mod tensor;
mod textproto;
mod v1;
mod v1_table;

pub use block::block;
pub use chunked::chunked;
pub use entry::entry;
pub use graph::graph;
pub use header::header;
pub use message::message;
pub use objects::objects;
pub use riegeli::riegeli;
pub use slice_key::slice_key;
pub use state::state;
pub use strings::strings;
pub use survey::survey;
pub use table::table;
pub use tensor::tensor;
pub use textproto::textproto;
pub use v1::v1;
pub use v1_table::v1_table;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All of them, by name: the name of the file, of the corpus and of the binary.
pub const TARGETS: &[(&str, Target)] = &[
    ("table", table),
    ("block", block),
    ("survey", survey),
    ("header", header),
    ("entry", entry),
    ("slice_key", slice_key),
    ("strings", strings),
    ("v1", v1),
    ("v1_table", v1_table),
    ("tensor", tensor),
    ("message", message),
    ("textproto", textproto),
    ("state", state),
    ("graph", graph),
    ("objects", objects),
    ("chunked", chunked),
    ("riegeli", riegeli),
];
