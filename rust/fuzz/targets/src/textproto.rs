//! The text format of protobuf.

use tensorbundle_wire::textproto;

/// The text format of protobuf.
pub fn textproto(data: &[u8]) {
    let _ = textproto::parse(data);
}
