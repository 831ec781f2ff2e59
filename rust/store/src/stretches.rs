//! The elements of a tensor of fixed width, a stretch at a time, in row-major order, however it is stored.
//!
//! ```text
//! elements   0 ........................ n
//! stretches  |----1----|----2----|--3--|       each within one index of an axis, and all of the axes behind it
//! slices     |   a   |   b   |    c    |       what a stretch holds of each is copied into place
//! ```
//!
//! What is mapped is read all the same: for one pass over much, the pages of a map that was never touched cost more than a copy
//! into memory that stays in the cache. That memory is as large as the stretch, whatever the slices are.

use crate::buffer::Scratch;
use crate::bundle::Bundle;
use crate::neighbours::Fetched;
use crate::partition::{self, Piece, copy_piece};
use crate::read::{ReadOptions, Value, data_fault};
use crate::shard::Shard;
use crate::tensors::{Place, Tensors};
use crate::{Result, Row};
use bytes::Bytes;
use std::ops::Range;
use tensorbundle_wire::bundle::{ByteOrder, Region, elements};
use tensorbundle_wire::crc::{self, MaskedCrc, RunningCrc};

/// A tensor whose elements can be looked at.
pub struct Stretches<'a> {
    dims: Vec<u64>,
    width: u64,
    order: ByteOrder,
    stored: Stored<'a>,
}

enum Stored<'a> {
    /// In one piece of a shard.
    Whole { shard: &'a Shard, range: Range<u64>, crc: MaskedCrc },
    /// In slices, which tile it.
    Slices(Vec<Piece<'a>>),
    /// In memory: it was read from a V1 checkpoint.
    Memory(Bytes),
}

impl Bundle {
    /// A tensor of its listing, which must be of fixed width. Holds its entry, and those of its slices, against the shards,
    /// and reads none of them.
    pub fn stretches(&self, row: &Row<'_>) -> Result<Stretches<'_>> {
        self.open_stretches(row).map_err(|error| error.for_tensor(row.name))
    }

    fn open_stretches(&self, row: &Row<'_>) -> Result<Stretches<'_>> {
        let width = row.dtype.width().unwrap_or(1) as u64;
        let stored = match self.placed(row) {
            Some((shard, range)) => Stored::Whole { shard, range, crc: row.crc },
            // The long way says what is wrong.
            None => match self.find(row.name)? {
                Some(found) if row.parts.is_empty() => {
                    let (shard, range) = self.place(&found)?;
                    Stored::Whole { shard, range, crc: row.crc }
                }
                Some(found) => {
                    let options = ReadOptions { verify: Some(false), ..ReadOptions::default() };
                    Stored::Slices(self.pieces(&found, &options)?)
                }
                None => Stored::Memory(Bytes::new()),
            },
        };
        Ok(Stretches { dims: row.dims.to_vec(), width, order: self.header().order, stored })
    }

    /// Where a tensor in one piece is, if nothing is wrong with that.
    fn placed(&self, row: &Row<'_>) -> Option<(&Shard, Range<u64>)> {
        let want = elements(row.dims).checked_mul(row.dtype.width()? as u64)?;
        let (start, size) = (u64::try_from(row.offset).ok()?, u64::try_from(row.size).ok()?);
        if !row.parts.is_empty() || size != want {
            return None;
        }
        let number = u32::try_from(row.shard).ok().filter(|&i| i < self.header().num_shards)?;
        let shard = self.shard(number).ok()?;
        let range = start..start.checked_add(size)?;
        shard.check(&range).ok()?;
        Some((shard, range))
    }
}

impl Tensors {
    /// A tensor of its listing, which must be of fixed width. One of a V1 checkpoint is read whole.
    pub fn stretches(&self, row: &Row<'_>) -> Result<Stretches<'_>> {
        let v1 = match self {
            Self::V2(bundle) => return bundle.stretches(row),
            Self::V1(v1) => v1,
        };
        let value = match v1.find(row.name) {
            Some(tensor) => self.read(&Place::V1(tensor), &ReadOptions::default())?.value,
            None => Value::List(Vec::new()),
        };
        let stored = Stored::Memory(match value {
            Value::Raw(bytes) => bytes,
            Value::List(_) => Bytes::new(),
        });
        let width = row.dtype.width().unwrap_or(1) as u64;
        Ok(Stretches { dims: row.dims.to_vec(), width, order: ByteOrder::Little, stored })
    }
}

impl<'a> Stretches<'a> {
    /// Byte order of its elements.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// Where the bytes of a stretch are in shards of a store.
    pub(crate) fn places(&self, stretch: &Range<u64>) -> Vec<(&'a Shard, Range<u64>)> {
        match &self.stored {
            Stored::Whole { shard, range, .. } if shard.is_remote() && !stretch.is_empty() => {
                let within = stretch.start * self.width..stretch.end * self.width;
                vec![(*shard, range.start + within.start..range.start + within.end)]
            }
            Stored::Slices(pieces) if !stretch.is_empty() => {
                let want = region(&self.dims, stretch);
                let remote = pieces.iter().filter(|piece| piece.shard.is_remote());
                remote.filter_map(|piece| partition::place(piece, &want, self.width)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Calls `look` with the bytes of a stretch, one of [`cut`]; of what was fetched, if they are there. `scratch` is as long
    /// as those.
    pub fn look<T>(
        &self,
        stretch: &Range<u64>,
        fetched: &Fetched<'_>,
        scratch: &mut [u8],
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let (first, last) = (stretch.start * self.width, stretch.end * self.width);
        match &self.stored {
            Stored::Memory(bytes) => {
                Ok(look(bytes.get(first as usize..last as usize).unwrap_or_default()))
            }
            Stored::Whole { shard, range, .. } => {
                let range = range.start + first..range.start + last;
                if let Some(bytes) = fetched.get(shard, &range) {
                    return Ok(look(bytes));
                }
                shard.read_into(range.start, scratch)?;
                Ok(look(scratch))
            }
            Stored::Slices(pieces) => {
                let want = region(&self.dims, stretch);
                for piece in pieces {
                    copy_piece(piece, &want, scratch, self.width, fetched)?;
                }
                Ok(look(scratch))
            }
        }
    }

    /// Holds what is stored, or was fetched of it, against the checksums of the index.
    pub fn verify(&self, fetched: &Fetched<'_>) -> Result<()> {
        match &self.stored {
            Stored::Memory(_) => Ok(()), // V1: its blocks were checked
            Stored::Whole { shard, range, crc } => verify(shard, range, *crc, fetched),
            Stored::Slices(pieces) => pieces.iter().try_for_each(|piece| {
                verify(piece.shard, &piece.range, piece.found.entry.crc, fetched)
            }),
        }
    }
}

fn verify(shard: &Shard, range: &Range<u64>, want: MaskedCrc, fetched: &Fetched<'_>) -> Result<()> {
    let mut running = RunningCrc::new();
    match fetched.get(shard, range) {
        Some(bytes) => running.extend(bytes),
        None => shard.look(range, &mut Scratch::default(), |bytes| running.extend(bytes))?,
    }
    crc::check("tensor data", "checksum", running.masked(), want)
        .map_err(|fault| data_fault(shard, range, fault))
}

/// The stretches of a tensor, none of more than `most` elements.
pub fn cut(dims: &[u64], most: u64) -> impl Iterator<Item = Range<u64>> + use<> {
    let total = elements(dims);
    // The first axis of which an index is not too much.
    let (mut axis, mut inner) = (1, total);
    for &dim in dims {
        axis = dim;
        inner = inner.checked_div(dim).unwrap_or(0);
        if inner <= most {
            break;
        }
    }
    let step = most.checked_div(inner).unwrap_or(1).clamp(1, axis.max(1)) * inner.max(1);
    let period = axis.saturating_mul(inner).max(1);
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let border = (start / period).saturating_add(1).saturating_mul(period);
        at = start.saturating_add(step).min(border).min(total);
        (start < total).then_some(start..at)
    })
}

/// A stretch as a box.
fn region(dims: &[u64], stretch: &Range<u64>) -> Region {
    let mut left = stretch.start;
    let count = stretch.end - stretch.start;
    let mut region = Region { start: Vec::new(), len: Vec::new() };
    let mut inner = elements(dims);
    for &dim in dims {
        inner = inner.checked_div(dim).unwrap_or(0).max(1);
        region.start.push(left / inner);
        region.len.push((count / inner).clamp(1, dim));
        left %= inner;
    }
    region
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stretches_are_boxes_that_tile(
            dims in proptest::collection::vec(1..7_u64, 0..4), most in 1..100_u64,
        ) {
            let mut next = 0;
            for stretch in cut(&dims, most) {
                prop_assert_eq!(stretch.start, next);
                prop_assert!(stretch.end > stretch.start && stretch.end - stretch.start <= most);
                next = stretch.end;
                let region = region(&dims, &stretch);
                prop_assert_eq!(region.elements(), stretch.end - stretch.start);
                // Its first and last element are those of the stretch.
                let flat = |last: bool| {
                    let axes = dims.iter().zip(region.start.iter().zip(&region.len));
                    axes.fold(0, |flat, (dim, (start, len))| {
                        flat * dim + start + if last { len - 1 } else { 0 }
                    })
                };
                prop_assert_eq!((flat(false), flat(true)), (stretch.start, stretch.end - 1));
            }
            prop_assert_eq!(next, dims.iter().product::<u64>());
        }
    }

    #[test]
    fn nothing_to_cut() {
        assert_eq!(cut(&[3, 0], 5).count(), 0);
        assert_eq!(cut(&[], 5).collect::<Vec<_>>(), vec![0..1; 1]);
    }
}
