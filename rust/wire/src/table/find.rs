//! Finding the blocks of a table whose footer or index block is gone.
//!
//! Every block is followed by its checksum, so the bytes `s..e` are a block if the checksum of them is what stands at
//! `e`. Trying all pairs would take for ever; but a checksum is linear. Let P(i) be the register after the first i bytes,
//! begun with 0, and F the register a checksum begins with. After `s..e` the register is
//!
//! ```text
//! P(e) + (P(s) + F) · x^8(e-s)                      modulo the polynomial; + is exclusive or
//! ```
//!
//! and that is R, which the stored checksum says, if and only if
//!
//! ```text
//! (P(s) + F) · x^-8s  =  (P(e) + R) · x^-8e
//! ```
//!
//! where the left side depends on `s` only and the right side on `e` only: one pass with a table of left sides finds
//! all blocks, wherever they are and whatever lies between them. What fits by chance is no sound block.

use super::{Block, BlockHandle, TRAILER_LEN};
use crate::crc::{MaskedCrc, ONE, multiply, over_x8, times_x};
use crate::limits;
use bytes::Bytes;
use std::collections::HashMap;

/// What the register holds before the first byte of a checksum.
const FULL: u32 = !0;

/// How often a file's bytes are checked again, for places that fit by chance or by intent.
const TRIES: usize = 16;

/// After so many bytes the watcher is asked.
const EVERY: usize = 1 << 20;

/// The table's blocks, in the order of their places: data blocks, and if they are there the two others. `false` if there
/// are more places where one could begin or end than are looked at: then only blocks behind others are found from there on.
/// Nothing if `watch`, which hears how many bytes were looked at, says to stop.
pub fn find_blocks(
    file: &Bytes,
    watch: &mut dyn FnMut(usize) -> bool,
) -> Option<(Vec<BlockHandle>, bool)> {
    find_among(file, limits::MAX_BLOCK_STARTS, watch)
}

fn find_among(
    file: &Bytes,
    mut room: usize,
    watch: &mut dyn FnMut(usize) -> bool,
) -> Option<(Vec<BlockHandle>, bool)> {
    let mut found: Vec<BlockHandle> = Vec::new();
    let mut begins = Begins::default();
    let mut tries = file.len().saturating_mul(TRIES);
    let (mut register, mut inverse) = (0_u32, ONE);
    let mut next = 0;
    let mut all = true;
    for at in 0..file.len() {
        if at % EVERY == 0 && !watch(at) {
            return None;
        }
        let guess = at != next && may_begin(file, at);
        all &= !guess || room > 0;
        if at == next || guess && room > 0 {
            room = room.saturating_sub(usize::from(guess));
            begins.add(multiply(register ^ FULL, inverse), at);
        }
        if let Some(stored) = stored_at(file, at) {
            let wanted = multiply(register ^ !stored.unmask(), inverse);
            // The first is the longest: a block can hold a whole table as a value.
            let mut sound = None;
            for start in begins.of(wanted).filter(|&start| start < at) {
                let Some(left) = tries.checked_sub(at - start) else {
                    all = false;
                    break;
                };
                tries = left;
                if Block::open(&file.slice(start..at + 4), "data block").is_ok() {
                    sound = Some(start);
                    break;
                }
            }
            if let Some(start) = sound {
                while found.pop_if(|inner| inner.offset >= start as u64).is_some() {}
                let size = (at + 4 - start) as u64 - TRAILER_LEN;
                found.push(BlockHandle { offset: start as u64, size });
                next = at + 4;
            }
        }
        let byte = file.get(at).copied().unwrap_or_default();
        register = step(register, byte);
        inverse = over_x8(inverse);
    }
    Some((found, all))
}

/// Places where a block could begin, by their left sides. Few share one, so each knows the next that does.
#[derive(Default)]
struct Begins {
    /// The first and the last of each.
    ends: HashMap<u32, (u32, u32)>,
    places: Vec<(usize, Option<u32>)>,
}

impl Begins {
    fn add(&mut self, left: u32, at: usize) {
        let number = self.places.len() as u32; // no more than `MAX_BLOCK_STARTS`
        self.places.push((at, None));
        let (_, last) = self.ends.entry(left).or_insert((number, number));
        let before = std::mem::replace(last, number);
        if let Some((_, next)) = self.places.get_mut(before as usize).filter(|_| before != number) {
            *next = Some(number);
        }
    }

    /// Those of a left side, in their order.
    fn of(&self, left: u32) -> impl Iterator<Item = usize> {
        let mut next = self.ends.get(&left).map(|(first, _)| *first);
        std::iter::from_fn(move || {
            let (at, following) = self.places.get(next? as usize)?;
            next = *following;
            Some(*at)
        })
    }
}

/// A block begins behind the trailer of another, with an entry that shares nothing with a key before it.
fn may_begin(file: &[u8], at: usize) -> bool {
    let Some(kind) = at.checked_sub(TRAILER_LEN as usize).and_then(|trailer| file.get(trailer))
    else {
        return false;
    };
    // Behind a compressed block comes another, whose first byte can be any.
    *kind == 1 || *kind == 0 && file.get(at) == Some(&0) && file.get(at + 1) != Some(&0)
}

/// The checksum that is stored at `at`, if a block can end there.
fn stored_at(file: &[u8], at: usize) -> Option<MaskedCrc> {
    let kind = file.get(at.checked_sub(1)?)?;
    let stored = file.get(at..)?.first_chunk()?;
    (*kind <= 1).then_some(MaskedCrc(u32::from_le_bytes(*stored)))
}

const STEPS: [u32; 256] = {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = times_x(crc);
            bit += 1;
        }
        steps[byte] = crc;
        byte += 1;
    }
    steps
};

fn step(register: u32, byte: u8) -> u32 {
    let [low, ..] = (register ^ u32::from(byte)).to_le_bytes();
    STEPS.get(usize::from(low)).copied().unwrap_or_default() ^ register >> 8
}

#[cfg(test)]
mod tests {
    use super::super::Table;
    use super::super::builder::{Options, table};
    use super::*;
    use proptest::prelude::*;

    fn sample(n: usize, options: Options) -> Vec<u8> {
        let entries: Vec<_> = (0..n)
            .map(|i| {
                let value = vec![i as u8; 1 + i % 40];
                (format!("layer_{i:05}/kernel").into_bytes(), value)
            })
            .collect();
        table(&entries, options)
    }

    fn data_blocks(file: &[u8]) -> Vec<BlockHandle> {
        let table = Table::open(Bytes::copy_from_slice(file)).unwrap();
        (0..table.block_count()).map(|i| table.handle(i).unwrap()).collect()
    }

    #[test]
    fn all_blocks_are_found() {
        for snappy in [false, true] {
            let file = sample(500, Options { block_size: 1000, snappy, ..Options::default() });
            let want = data_blocks(&file);
            assert!(want.len() > 10);
            let (found, all_of_them) = find_blocks(&file.clone().into(), &mut |_| true).unwrap();
            assert!(all_of_them);
            assert_eq!(found[..want.len()], want);
            assert_eq!(found.len(), want.len() + 2, "the metaindex and the index block");
        }
    }

    #[test]
    fn a_table_within_a_table() {
        let inner = sample(50, Options { block_size: 300, ..Options::default() });
        let file = table(&[(b"a".to_vec(), inner), (b"b".to_vec(), vec![1])], Options::default());
        let (found, all_of_them) = find_blocks(&file.clone().into(), &mut |_| true).unwrap();
        assert!(all_of_them);
        assert_eq!(found[0], data_blocks(&file)[0]);
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn zeros_are_no_blocks() {
        assert_eq!(find_blocks(&vec![0; 1 << 20].into(), &mut |_| true), Some((vec![], true)));
        assert_eq!(find_blocks(&Bytes::new(), &mut |_| true), Some((vec![], true)));
        // Any byte could begin a block behind these.
        assert_eq!(find_among(&vec![1; 105].into(), 100, &mut |_| true), Some((vec![], true)));
        assert_eq!(find_among(&vec![1; 106].into(), 100, &mut |_| true), Some((vec![], false)));
        // It can be stopped.
        let mut told = Vec::new();
        let stop = |at| {
            told.push(at);
            told.len() < 3
        };
        assert_eq!(find_among(&vec![0; 4 << 20].into(), 100, &mut { stop }), None);
        assert_eq!(told, [0, 1 << 20, 2 << 20]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever is damaged, the blocks that are whole are found.
        #[test]
        fn what_is_whole_is_found(snappy: bool, flips in proptest::collection::vec((0usize..1 << 16, 1u8..), 0..6), cut in 0usize..400) {
            let mut file = sample(300, Options { block_size: 700, snappy, ..Options::default() });
            let all = data_blocks(&file);
            let end = file.len() - cut.min(file.len());
            let mut hit = Vec::new();
            for (at, flip) in flips {
                let at = at % file.len();
                file[at] ^= flip;
                hit.push(at as u64);
            }
            file.truncate(end);
            let whole = |block: &&BlockHandle| {
                let end_of = block.offset + block.size + TRAILER_LEN;
                end_of <= end as u64 && !hit.iter().any(|&at| (block.offset..end_of).contains(&at))
            };
            let (found, all_of_them) = find_blocks(&file.clone().into(), &mut |_| true).unwrap();
            assert!(all_of_them);
            for (i, block) in all.iter().enumerate().filter(|(_, block)| whole(block)) {
                // A block is looked for behind what ends like one.
                let before = i.checked_sub(1).map(|before| all[before]);
                let trailer = before.map(|block| block.offset + block.size);
                if trailer.is_some_and(|at| hit.contains(&at)) {
                    continue;
                }
                prop_assert!(found.contains(block), "{:?}", block);
            }
        }
    }
}
