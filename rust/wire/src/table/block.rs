//! One block: sorted keys and values, each key stored as what differs from the key before.
//!
//! ```text
//! entry   varint32 shared | varint32 non_shared | varint32 value_len | key_delta[non_shared] | value[value_len]
//! block   entry* | LE32 restart* | LE32 num_restarts          a restart is the offset of an entry with shared = 0
//! file    block, compressed or not | type byte | LE32 masked crc of block and type byte
//! ```
//!
//! A block is checked whole before anything of it is used: checksum, restarts, lengths, order of keys. After
//! that, walking and seeking cannot fail.

use super::TRAILER_LEN;
use crate::crc::MaskedCrc;
use crate::varint::Cursor;
use crate::{Fault, Result, limits, with_capacity};
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Range;

/// A checked block.
#[derive(Debug, Clone)]
pub struct Block {
    contents: Bytes,
    entries_end: usize,
    count: usize,
    last: Box<[u8]>,
}

/// An entry found in a block.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its value.
    pub value: Bytes,
    /// Where the value begins in the block: a number of its own for each entry.
    pub place: usize,
}

impl Block {
    /// Checks and opens the block that is stored, with its trailer, in `stored`.
    pub fn open(stored: &Bytes, part: &'static str) -> Result<Self> {
        Self::from_contents(unpack(stored, part)?, part)
    }

    /// Checks the uncompressed contents of a block.
    pub fn from_contents(contents: Bytes, part: &'static str) -> Result<Self> {
        let bad = |what: String| Fault::corrupt(part, what);
        let entries_end = entries_end(&contents).ok_or_else(|| {
            bad(format!(
                "bad block contents: the restarts do not fit in its {} bytes",
                contents.len()
            ))
        })?;
        let restarts = Restarts::of(&contents, entries_end);
        if restarts.get(0) != Some(0) {
            return Err(bad("bad block contents: no restart at its first byte".into()));
        }
        let mut next_restart = 0;
        let mut since_restart = 0;
        let mut key = Vec::new();
        let mut count = 0_usize;
        let mut pos = 0;
        while pos < entries_end {
            let raw = RawEntry::parse(contents.get(..entries_end).unwrap_or_default(), pos)
                .ok_or_else(|| {
                    bad(format!("bad entry {pos} bytes into it: its lengths do not fit"))
                })?;
            if restarts.get(next_restart) == Some(pos) {
                next_restart += 1;
                since_restart = 0;
                if raw.shared != 0 {
                    return Err(bad(format!(
                        "bad entry {pos} bytes into it: a restart that shares {} bytes with the key before",
                        raw.shared
                    )));
                }
            }
            let Some(known) = key.get(raw.shared..) else {
                return Err(bad(format!(
                    "bad entry {pos} bytes into it: it shares {} bytes with a key of {}",
                    raw.shared,
                    key.len()
                )));
            };
            since_restart += 1;
            if raw.shared + raw.delta.len() > limits::MAX_KEY
                || since_restart > limits::MAX_RESTART_INTERVAL
            {
                return Err(Fault::unsupported(
                    part,
                    format!(
                        "a key of more than {} bytes, or more than {} keys without a restart",
                        limits::MAX_KEY,
                        limits::MAX_RESTART_INTERVAL
                    ),
                ));
            }
            let delta = contents.get(raw.delta.clone()).unwrap_or_default();
            // What is shared is equal, so the rest decides.
            if count > 0 && delta <= known {
                return Err(bad(format!("keys out of order at the entry {pos} bytes into it")));
            }
            key.truncate(raw.shared);
            key.extend_from_slice(delta);
            count += 1;
            pos = raw.value.end;
        }
        // An empty block has the one restart, at 0, where no entry is.
        if count > 0 && next_restart != restarts.len() || count == 0 && restarts.len() != 1 {
            return Err(bad(format!(
                "bad block contents: restart {next_restart} of {} points to no entry",
                restarts.len()
            )));
        }
        Ok(Self { contents, entries_end, count, last: key.into() })
    }

    /// The entries of a block that may be damaged, as far as their lengths make sense: in whatever order, under
    /// whatever keys; and whether those are all. `None` if its bytes are not those that were written.
    #[allow(clippy::type_complexity, reason = "taken apart where it is called")]
    pub fn rescue(stored: &Bytes, part: &'static str) -> Option<(Vec<(Vec<u8>, Bytes)>, bool)> {
        let contents = unpack(stored, part).ok()?;
        // The restarts are of no use here, and may be the damage.
        let end = entries_end(&contents).unwrap_or(contents.len());
        let room = limits::max_key_bytes(stored.len() as u64);
        let (mut entries, mut key, mut pos, mut used) = (Vec::new(), Vec::new(), 0, 0_usize);
        while let Some(raw) = RawEntry::parse(contents.get(..end).unwrap_or_default(), pos) {
            used = used.saturating_add(raw.shared.saturating_add(raw.delta.len()));
            if raw.shared > key.len() || used > room {
                return Some((entries, false));
            }
            key.truncate(raw.shared);
            key.extend_from_slice(contents.get(raw.delta).unwrap_or_default());
            pos = raw.value.end;
            entries.push((key.clone(), contents.slice(raw.value)));
        }
        Some((entries, pos == end))
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// No entries at all.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the uncompressed block; every [`Slot::place`] is below.
    pub fn byte_len(&self) -> usize {
        self.contents.len()
    }

    /// The last key.
    pub fn last_key(&self) -> &[u8] {
        &self.last
    }

    /// All entries in order.
    pub fn iter(&self) -> BlockIter<'_> {
        BlockIter { block: self, key: Vec::new(), value: 0..0 }
    }

    /// The entry of `key`.
    pub fn get(&self, key: &[u8]) -> Option<Slot> {
        let iter = self.seek(key);
        let (found, slot) = iter.entry()?;
        (found == key).then_some(slot)
    }

    /// The entries from the first whose key is not below `key`.
    pub fn seek(&self, key: &[u8]) -> BlockIter<'_> {
        let restarts = Restarts::of(&self.contents, self.entries_end);
        // The last restart whose key is below: the entry is behind it, or is the next restart.
        let below = restarts.partition_point(|start| {
            self.raw(start).is_some_and(|raw| self.slice(&raw.delta) < key)
        });
        let start = below.checked_sub(1).and_then(|i| restarts.get(i)).unwrap_or(0);
        let mut iter = BlockIter { block: self, key: Vec::new(), value: start..start };
        iter.advance();
        while iter.entry_key().is_some_and(|found| found.cmp(key) == Ordering::Less) {
            iter.advance();
        }
        iter
    }

    fn raw(&self, pos: usize) -> Option<RawEntry> {
        RawEntry::parse(self.contents.get(..self.entries_end)?, pos)
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.contents.get(range.clone()).unwrap_or_default()
    }
}

/// A walk over a block.
pub struct BlockIter<'a> {
    block: &'a Block,
    key: Vec<u8>,
    /// The current value; empty before the first entry, `usize::MAX` behind the last.
    value: Range<usize>,
}

impl BlockIter<'_> {
    /// Goes to the next entry and gives its key and value.
    #[inline]
    pub fn next_entry(&mut self) -> Option<(&[u8], &[u8])> {
        self.advance();
        self.entry_key()?;
        Some((&self.key, self.block.slice(&self.value)))
    }

    /// Where the current value begins in the block.
    pub fn place(&self) -> usize {
        self.value.start
    }

    /// The current entry.
    pub fn entry(&self) -> Option<(&[u8], Slot)> {
        let key = self.entry_key()?;
        let value = self.block.contents.slice(self.value.clone());
        Some((key, Slot { value, place: self.value.start }))
    }

    /// The current entry's key.
    pub fn entry_key(&self) -> Option<&[u8]> {
        (self.value.start != usize::MAX).then_some(&self.key)
    }

    #[inline]
    fn advance(&mut self) {
        match self.block.raw(self.value.end) {
            Some(raw) => {
                self.key.truncate(raw.shared);
                self.key.extend_from_slice(self.block.slice(&raw.delta));
                self.value = raw.value;
            }
            None => self.value = usize::MAX..usize::MAX,
        }
    }
}

/// The parts of one entry, as ranges of the block.
struct RawEntry {
    shared: usize,
    delta: Range<usize>,
    value: Range<usize>,
}

impl RawEntry {
    #[inline]
    fn parse(entries: &[u8], pos: usize) -> Option<Self> {
        if pos >= entries.len() {
            return None;
        }
        let mut cursor = Cursor::at(entries, pos);
        let shared = cursor.varint32().ok()? as usize;
        let non_shared = cursor.varint32().ok()? as usize;
        let value_len = cursor.varint32().ok()? as usize;
        let start = cursor.pos();
        let middle = start.checked_add(non_shared)?;
        let end = middle.checked_add(value_len)?;
        (end <= entries.len()).then_some(Self { shared, delta: start..middle, value: middle..end })
    }
}

/// The array of restarts at the end of a block.
struct Restarts<'a>(&'a [[u8; 4]]);

impl<'a> Restarts<'a> {
    fn of(contents: &'a [u8], entries_end: usize) -> Self {
        let array = contents.get(entries_end..).unwrap_or_default();
        let (words, _) = array.as_chunks();
        Self(words.split_last().map_or(&[], |(_count, restarts)| restarts))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, i: usize) -> Option<usize> {
        self.0.get(i).map(|word| u32::from_le_bytes(*word) as usize)
    }

    fn partition_point(&self, below: impl Fn(usize) -> bool) -> usize {
        self.0.partition_point(|word| below(u32::from_le_bytes(*word) as usize))
    }
}

/// Where the entries end and the restarts begin.
fn entries_end(contents: &[u8]) -> Option<usize> {
    let (_, count) = contents.split_last_chunk()?;
    let count = u32::from_le_bytes(*count) as usize;
    contents.len().checked_sub(count.checked_add(1)?.checked_mul(4)?)
}

/// Checks the trailer and undoes the compression.
fn unpack(stored: &Bytes, part: &'static str) -> Result<Bytes> {
    let short = || Fault::corrupt(part, format!("{} bytes, want at least 5", stored.len()));
    let size = stored.len().checked_sub(TRAILER_LEN as usize).ok_or_else(short)?;
    let (covered, crc) = stored.split_last_chunk().ok_or_else(short)?;
    let (want, got) = (MaskedCrc(u32::from_le_bytes(*crc)), MaskedCrc::of(covered));
    if got != want {
        return Err(Fault::corrupt(
            part,
            format!("block checksum mismatch: got {got}, want {want} over {} bytes", size + 1),
        )
        .got_want(got, want)
        .advise(
            "the file was changed after it was written, or its copy is damaged: copy it again",
        ));
    }
    let contents = stored.slice(..size);
    match covered.last() {
        Some(0) => Ok(contents),
        Some(1) => unsnap(&contents, part),
        kind => Err(Fault::corrupt(
            part,
            format!("bad block type: got {}, want 0 (plain) or 1 (Snappy)", kind.unwrap_or(&0)),
        )),
    }
}

fn unsnap(compressed: &[u8], part: &'static str) -> Result<Bytes> {
    let bad =
        |what: String| Fault::corrupt(part, format!("corrupted compressed block contents: {what}"));
    let claimed = snap::raw::decompress_len(compressed).map_err(|e| bad(e.to_string()))?;
    // Held against what Snappy can reach before anything is allocated.
    let most = limits::max_snappy_output(compressed.len());
    if claimed as u64 > most {
        return Err(bad(format!(
            "{} compressed bytes claim to hold {claimed}, at most {most} are possible",
            compressed.len()
        )));
    }
    let mut plain = with_capacity(claimed, part)?;
    plain.resize(claimed, 0);
    snap::raw::Decoder::new().decompress(compressed, &mut plain).map_err(|e| bad(e.to_string()))?;
    Ok(plain.into())
}
