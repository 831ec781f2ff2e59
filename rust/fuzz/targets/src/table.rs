//! A whole index: whatever it is made of, opening, walking and looking up end in values or faults.

use bytes::Bytes;
use tensorbundle_wire::table::Table;

/// A whole index: whatever it is made of, opening, walking and looking up end in values or faults.
pub fn table(data: &[u8]) {
    let Ok(table) = Table::open(Bytes::copy_from_slice(data)) else {
        return;
    };
    for i in 0..table.block_count() {
        let Ok(block) = table.load(i) else {
            continue;
        };
        let mut walk = block.iter();
        while let Some((key, _)) = walk.next_entry() {
            assert_eq!(table.block_of(key), Some(i), "a key that was listed is found");
            assert!(block.get(key).is_some());
        }
    }
}
