//! The text format of protobuf.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tensorbundle_wire::textproto;

fuzz_target!(|data: &[u8]| {
    let _ = textproto::parse(data);
});
