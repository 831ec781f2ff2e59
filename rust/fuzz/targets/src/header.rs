//! The header of a bundle: whatever is accepted, this reader can go on with.

use tensorbundle_wire::bundle::Header;
use tensorbundle_wire::limits::MAX_SHARDS;

/// The header of a bundle: whatever is accepted, this reader can go on with.
pub fn header(data: &[u8]) {
    if let Ok(header) = Header::parse(data) {
        assert!(header.num_shards <= MAX_SHARDS);
        assert!(header.producer >= 0, "versions begin at 0");
    }
}
