//! Which tensors' checksums were found right already, so that each is computed once.

use crate::lazy::Lazy;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bits of a word.
const WORD: usize = usize::BITS as usize;

/// A set of entries, each known by its block and the place of its value there.
pub(crate) struct Verified {
    /// A bit for each byte of a block.
    blocks: Lazy<Box<[AtomicUsize]>>,
}

/// An entry's number: its block, and a place in it that no other entry has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryId {
    pub(crate) block: usize,
    pub(crate) place: usize,
    /// Bytes of the block: every place is below.
    pub(crate) block_len: usize,
}

impl Verified {
    pub(crate) fn new(blocks: usize) -> Self {
        Self { blocks: Lazy::new(blocks) }
    }

    pub(crate) fn contains(&self, id: EntryId) -> bool {
        let word = self.blocks.get(id.block).and_then(|words| words.get(id.place / WORD));
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (id.place % WORD) & 1 == 1)
    }

    pub(crate) fn insert(&self, id: EntryId) {
        let words = id.block_len.div_ceil(WORD);
        let Ok(block) = self.blocks.get_or_try(id.block, || {
            Ok::<_, std::convert::Infallible>((0..words).map(|_| AtomicUsize::new(0)).collect())
        });
        if let Some(word) = block.and_then(|words| words.get(id.place / WORD)) {
            word.fetch_or(1 << (id.place % WORD), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let verified = Verified::new(2);
        let id = |block, place| EntryId { block, place, block_len: 100 };
        assert!(!verified.contains(id(1, 70)));
        verified.insert(id(1, 70));
        assert!(verified.contains(id(1, 70)));
        assert!(!verified.contains(id(1, 71)) && !verified.contains(id(0, 70)));
        verified.insert(id(2, 70));
        assert!(!verified.contains(id(2, 70)), "no such block");
    }
}
