//! Block headers, and the bytes between them.
//!
//! ```text
//! at each multiple of 65536:  header_hash u64  previous_chunk u64  next_chunk u64
//! previous_chunk  from the start of the chunk that the header lies in, to the header
//! next_chunk      from the header to the end of that chunk
//! ```

use crate::{Fault, Result};
use highway::{HighwayHash, HighwayHasher, Key};
use std::borrow::Cow;

const BLOCK: u64 = 1 << 16;
const HEADER: u64 = 24;
const USABLE: u64 = BLOCK - HEADER;

/// "Riegeli/records\n", twice.
const KEY: [u64; 4] =
    [0x2f69_6c65_6765_6952, 0x0a73_6472_6f63_6572, 0x2f69_6c65_6765_6952, 0x0a73_6472_6f63_6572];

pub(super) fn hash(bytes: &[u8]) -> u64 {
    HighwayHasher::new(Key(KEY)).hash64(bytes)
}

/// The word at `at`; 0 where there is none.
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |word| u64::from_le_bytes(*word))
}

/// Where `size` bytes end that begin at `pos`, with the block headers between them.
pub(super) fn end_of(pos: u64, size: u64) -> Option<u64> {
    let into = pos.checked_add(USABLE - 1)? % BLOCK;
    let headers = size.checked_add(into)? / USABLE;
    pos.checked_add(size)?.checked_add(headers.checked_mul(HEADER)?)
}

/// The first position from `pos` on at which a chunk may begin or end: not in a block header, nor right after one.
pub(super) fn round_up(pos: u64) -> Option<u64> {
    match pos % BLOCK {
        1..=HEADER => pos.checked_add(HEADER + 1 - pos % BLOCK),
        _ => Some(pos),
    }
}

/// The `size` bytes from `pos` on, without the block headers between them. `None`: the file ends before.
pub(super) fn take(file: &[u8], pos: u64, size: u64) -> Option<Cow<'_, [u8]>> {
    let end = usize::try_from(end_of(pos, size)?).ok()?;
    let whole = file.get(usize::try_from(pos).ok()?..end)?;
    let mut pieces = Pieces { rest: whole, pos };
    let first = pieces.next().unwrap_or_default();
    if first.len() as u64 == size {
        return Some(Cow::Borrowed(first));
    }
    let mut taken = Vec::new();
    taken.try_reserve_exact(usize::try_from(size).ok()?).ok()?;
    taken.extend_from_slice(first);
    pieces.for_each(|piece| taken.extend_from_slice(piece));
    Some(Cow::Owned(taken))
}

/// The pieces of some bytes that lie between block headers.
struct Pieces<'a> {
    rest: &'a [u8],
    pos: u64,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let into = self.pos % BLOCK;
        let skip = HEADER.saturating_sub(into);
        let left = BLOCK - into; // to the next header
        let (piece, rest) = self.rest.split_at_checked(left as usize).unwrap_or((self.rest, &[]));
        self.rest = rest;
        self.pos += left;
        Some(piece.get(skip as usize..).unwrap_or_default())
    }
}

/// Checks the block headers from the start of a chunk to its end.
pub(super) fn check_headers(file: &[u8], begin: u64, end: u64) -> Result<()> {
    let mut at = begin.next_multiple_of(BLOCK);
    while at < end {
        let place = at as usize; // the chunk's end was held against the file
        let header = file.get(place..place + HEADER as usize).unwrap_or_default();
        let corrupt = |what: String| Err(Fault::corrupt("Riegeli block header", what).at(at));
        let (want, got) = (word(header, 0), hash(header.get(8..).unwrap_or_default()));
        if header.len() as u64 != HEADER || want != got {
            return corrupt(format!("its hash is {got:#018x}, it says {want:#018x}"));
        }
        let (before, behind) = (word(header, 8), word(header, 16));
        if (before, behind) != (at - begin, end - at) {
            return corrupt(format!(
                "it says that its chunk begins {before} bytes before it and ends {behind} behind it, which are \
                 {} and {}",
                at - begin,
                end - at
            ));
        }
        at += BLOCK;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        assert_eq!(end_of(0, 40), Some(64));
        assert_eq!(end_of(64, 40), Some(104));
        assert_eq!(end_of(64, USABLE - 40), Some(BLOCK));
        assert_eq!(end_of(64, USABLE - 39), Some(BLOCK + 25));
        assert_eq!(end_of(64, 0), Some(64));
        assert_eq!(end_of(BLOCK, 1), Some(BLOCK + 25));
        assert_eq!(end_of(u64::MAX - 5, 10), None);
        assert_eq!(end_of(10, u64::MAX), None);
    }

    #[test]
    fn chunks_begin_outside_of_headers() {
        for (pos, want) in
            [(0, 0), (1, 25), (24, 25), (25, 25), (BLOCK, BLOCK), (BLOCK + 7, BLOCK + 25)]
        {
            assert_eq!(round_up(pos), Some(want));
        }
    }

    #[test]
    fn bytes_without_headers() {
        let file: Vec<u8> =
            (0..3 * BLOCK).map(|i| (i / BLOCK) as u8 + 10 * u8::from(i % BLOCK < 24)).collect();
        let all = take(&file, 100, 2 * USABLE).unwrap();
        assert_eq!(all.len() as u64, 2 * USABLE);
        assert_eq!(all.iter().max(), Some(&2));
        assert_eq!(take(&file, 0, 5).unwrap(), vec![0; 5]);
        assert!(matches!(take(&file, 25, 5), Some(Cow::Borrowed(_))));
        assert_eq!(take(&file, BLOCK - 2, 4).unwrap(), vec![0, 0, 1, 1]);
        assert_eq!(take(&file, 0, 3 * USABLE).map(|all| all.len() as u64), Some(3 * USABLE));
        assert_eq!(take(&file, 0, 3 * USABLE + 1), None);
    }
}
