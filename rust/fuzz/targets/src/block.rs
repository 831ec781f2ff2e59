//! The contents of one block, without the checksum in the way: what walks is sorted, and is found.

use bytes::Bytes;
use tensorbundle_wire::table::Block;

/// The contents of one block, without the checksum in the way: what walks is sorted, and is found.
pub fn block(data: &[u8]) {
    let Ok(block) = Block::from_contents(Bytes::copy_from_slice(data), "data block") else {
        return;
    };
    let mut before: Option<Vec<u8>> = None;
    let mut walk = block.iter();
    let mut count = 0;
    while let Some((key, value)) = walk.next_entry() {
        assert!(before.is_none_or(|before| *before < *key));
        let found = block.get(key).expect("a key that was walked over");
        assert_eq!(found.value, value);
        before = Some(key.to_vec());
        count += 1;
    }
    assert_eq!(count, block.len());
}
