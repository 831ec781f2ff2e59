//! The block of a V1 file, without the checksum in the way: its table of contents, and records under their keys.

use bytes::Bytes;
use tensorbundle_wire::bundle::{SliceKeys, sliced_tensor};
use tensorbundle_wire::table::Block;
use tensorbundle_wire::v1::{Contents, Record};

/// The block of a V1 file, without the checksum in the way: its table of contents, and records under their keys.
pub fn v1_table(data: &[u8]) {
    let Ok(block) = Block::from_contents(Bytes::copy_from_slice(data), "data block") else {
        return;
    };
    let found = block.get(b"");
    let contents = found.and_then(|found| Contents::parse(&found.value, data.len() as u64).ok());
    for tensor in contents.unwrap_or_default().tensors {
        let mut keys = SliceKeys::new(&tensor.name);
        for slice in &tensor.slices {
            let _ = slice.region(&tensor.shape);
            let _ = block.get(keys.key(slice));
        }
    }
    let mut walk = block.iter();
    while let Some((key, value)) = walk.next_entry() {
        let _ = sliced_tensor(key);
        if let Ok(record) = Record::parse(&Bytes::copy_from_slice(value)) {
            assert!(record.data.len() <= value.len());
        }
    }
}
