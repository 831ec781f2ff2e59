//! A damaged table: what is still known of it lies within the file.

use bytes::Bytes;
use tensorbundle_wire::table::{Block, TRAILER_LEN, Table, find_blocks, survey as survey_of};

/// A damaged table: what is still known of it lies within the file.
pub fn survey(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let len = data.len() as u64;
    let Ok(Some(survey)) = survey_of(&bytes, &mut |_| true) else {
        return;
    };
    for (_, range) in &survey.faults {
        assert!(range.start <= range.end && range.end <= len, "{range:?} of {len}");
    }
    let mut end = 0;
    for range in &survey.unowned {
        assert!(
            end <= range.start && range.start < range.end && range.end <= len,
            "{range:?} of {len}"
        );
        end = range.end;
    }
    let (found, _) = find_blocks(&bytes, &mut |_| true).unwrap_or_default();
    for handle in found {
        let at = handle.offset as usize;
        let stored = bytes.slice(at..at + (handle.size + TRAILER_LEN) as usize);
        assert!(Block::open(&stored, "data block").is_ok(), "what is found is whole");
    }
    if let Ok(table) = Table::open(bytes) {
        assert!(!survey.broken, "an index that opens is used");
        assert_eq!(survey.blocks.len(), table.block_count());
    }
}
