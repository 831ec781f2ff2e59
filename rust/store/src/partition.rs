//! A partitioned tensor, put together from its slices (FORMAT 5.4).
//!
//! The slices must tile the tensor; each must have an entry of its own, of the same type and of exactly its
//! shape. Only the slices that the wanted rows touch are looked up and read, whatever shards they are in.

use crate::buffer::Buffer;
use crate::bundle::{Bundle, Found};
use crate::neighbours::Fetched;
use crate::parallel::for_bands;
use crate::read::{ReadOptions, Value};
use crate::runs::{for_runs, overlaps};
use crate::shard::Shard;
use crate::{Error, Result};
use bytes::Bytes;
use std::fmt::Display;
use std::ops::Range;
use tensorbundle_wire::bundle::{Entry, Region, SliceKeys, check_tiling};
use tensorbundle_wire::dtype::{DataType, Layout};
use tensorbundle_wire::{Fault, with_capacity};

/// A stored slice that holds some of what is wanted.
pub(crate) struct Piece<'a> {
    region: Region,
    pub(crate) found: Found,
    pub(crate) shard: &'a Shard,
    pub(crate) range: Range<u64>,
    /// Its bytes, if they were read already to be checked.
    checked: Option<Bytes>,
}

/// Runs at least this long are read straight into place; shorter ones from a copy of the piece.
const DIRECT: u64 = 64 << 10;

/// Of a larger tensor in a store, long runs are read straight into place: there is no room for it twice.
const ROOM: u64 = 64 << 20;

/// Such runs are at least this long: worth a request of their own.
const LONG: u64 = 1 << 20;

/// Ranges of a store are not joined beyond this: several requests at once are faster.
const MOST: u64 = 8 << 20;

impl Piece<'_> {
    /// Where in its shard some of its bytes lie.
    fn lies(&self, within: Range<u64>) -> Range<u64> {
        self.range.start + within.start..self.range.start + within.end
    }
}

impl Bundle {
    /// The slices that hold what is wanted, held against the tensor and each other.
    pub(crate) fn pieces(&self, whole: &Found, options: &ReadOptions) -> Result<Vec<Piece<'_>>> {
        let at_entry = |fault| self.entry_fault(fault, whole.id.block);
        let shape = &whole.entry.shape;
        let regions: Result<Vec<_>, _> =
            whole.entry.slices.iter().map(|slice| slice.region(shape)).collect();
        let regions = regions.map_err(at_entry)?;
        check_tiling(shape, &regions).map_err(at_entry)?;
        let want = options.region_of(shape);
        let mut keys = SliceKeys::new(&whole.name);
        let mut pieces = Vec::new();
        for (slice, region) in whole.entry.slices.iter().zip(regions) {
            if overlaps(&region, &want) {
                pieces.push(self.piece(whole, keys.key(slice), region)?);
            }
        }
        let placed = pieces.iter().map(|piece| (piece.found.entry.shard, &piece.range));
        check_apart(placed).map_err(at_entry)?;
        Ok(pieces)
    }

    pub(crate) fn read_partitioned(&self, whole: &Found, options: &ReadOptions) -> Result<Value> {
        let want = options.region_of(&whole.entry.shape);
        let mut pieces = self.pieces(whole, options)?;
        if whole.entry.dtype.width().is_some() {
            for piece in &mut pieces {
                piece.checked =
                    self.verify_piece(&piece.found, piece.shard, &piece.range, options)?;
            }
        }
        match whole.entry.dtype.layout() {
            Layout::Fixed { width, .. } => {
                let width = width as u64;
                // Of a store: neighbours with one request, several requests at once.
                let long = if want.elements() * width > ROOM { LONG } else { u64::MAX };
                let unread = pieces
                    .iter()
                    .filter(|piece| piece.checked.is_none() && piece.shard.is_remote());
                let short = unread.filter_map(|piece| {
                    let (within, longest) = span(piece, &want, width)?;
                    (longest < long).then(|| (piece.shard, piece.lies(within)))
                });
                let fetched = Fetched::at_once(short.collect(), MOST)?;
                self.assemble(&pieces, &want, width, &fetched).map(Value::Raw)
            }
            _ => self.assemble_list(&pieces, &want).map(Value::List),
        }
    }

    /// Looks up a slice and holds its entry against its tensor's.
    fn piece(&self, whole: &Found, key: &[u8], region: Region) -> Result<Piece<'_>> {
        let at_entry = |fault| self.entry_fault(fault, whole.id.block);
        let name = || format!("slice {:?} + {:?}", region.start, region.len);
        let Some(found) = self.find_key(key)? else {
            let fault =
                Fault::corrupt("slice list", format!("{} has no entry in the index", name()));
            return Err(at_entry(
                fault.advise("the index is damaged, or a part of the save was lost"),
            ));
        };
        check_slice(whole.entry.dtype, &region, &found.entry)
            .map_err(|fault| self.entry_fault(fault, found.id.block))?;
        let (shard, range) = self.place(&found)?;
        Ok(Piece { region, found, shard, range, checked: None })
    }

    /// Copies the wanted elements of all pieces into one block of memory, with all cores.
    fn assemble(
        &self,
        pieces: &[Piece<'_>],
        want: &Region,
        width: u64,
        fetched: &Fetched<'_>,
    ) -> Result<Bytes> {
        let too_large = || self.no_memory(std::io::ErrorKind::OutOfMemory.into());
        // No more than the pieces hold, and those lie in the shards.
        let len = usize::try_from(want.elements() * width).map_err(|_| too_large())?;
        let rows = want.len.first().copied().unwrap_or(1);
        let row = (len as u64).checked_div(rows).unwrap_or(0) as usize;
        let mut buffer = Buffer::zeroed(len).map_err(|e| self.no_memory(e))?;
        for_bands(buffer.as_mut(), row, self.options().files.requests(), |first, band| {
            let mut part = want.clone();
            if let (Some(start), Some(len)) = (part.start.first_mut(), part.len.first_mut()) {
                *start += first;
                *len = (band.len() / row.max(1)) as u64;
            }
            pieces.iter().try_for_each(|piece| copy_piece(piece, &part, band, width, fetched))
        })?;
        buffer.freeze().map_err(|e| self.no_memory(e))
    }

    /// The same for strings and variants.
    fn assemble_list(&self, pieces: &[Piece<'_>], want: &Region) -> Result<Vec<Bytes>> {
        let mut decoded = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if let Value::List(list) = self.read_piece(&piece.found, &ReadOptions::default())? {
                decoded.push(list);
            }
        }
        let count = want.elements() as usize; // the pieces' elements, which were there to be decoded
        let mut all = with_capacity(count, "string tensor")?;
        all.resize(count, Bytes::new());
        for (piece, list) in pieces.iter().zip(&decoded) {
            for_runs(&piece.region, want, |from, to, n| {
                let (from, to, n) = (from as usize, to as usize, n as usize);
                let source = list.get(from..from + n).unwrap_or_default();
                if let Some(target) = all.get_mut(to..to + n) {
                    target.clone_from_slice(source);
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(all)
    }
}

/// Holds the entry of a slice against its tensor: it must be of the same type and of exactly the shape of its place.
pub(crate) fn check_slice(dtype: DataType, region: &Region, entry: &Entry) -> Result<(), Fault> {
    let bad = |what: String| {
        let slice = format!("slice {:?} + {:?}", region.start, region.len);
        Fault::corrupt("slice entry", format!("{slice}: {what}"))
    };
    if !entry.slices.is_empty() {
        return Err(bad("it is partitioned itself".into()));
    }
    if entry.dtype != dtype {
        let fault = bad(format!("type: got {}, want {dtype}", entry.dtype));
        return Err(fault.got_want(entry.dtype, dtype));
    }
    if entry.shape.dims() != region.len {
        let fault = bad(format!("shape: got {}, want {:?}", entry.shape, region.len));
        return Err(fault.got_want(&entry.shape, format!("{:?}", region.len)));
    }
    Ok(())
}

/// What the runs of `want` in a piece span, in bytes, and how long the longest is.
fn span(piece: &Piece<'_>, want: &Region, width: u64) -> Option<(Range<u64>, u64)> {
    let (mut first, mut last, mut longest) = (u64::MAX, 0, 0);
    let all = for_runs(&piece.region, want, |from, _, n| {
        first = first.min(from * width);
        last = last.max((from + n) * width);
        longest = longest.max(n * width);
        Ok::<_, std::convert::Infallible>(())
    });
    all.ok().filter(|()| last > 0).map(|()| (first..last, longest))
}

/// Where in its shard that lies.
pub(crate) fn place<'a>(
    piece: &Piece<'a>,
    want: &Region,
    width: u64,
) -> Option<(&'a Shard, Range<u64>)> {
    let (within, _) = span(piece, want, width)?;
    Some((piece.shard, piece.lies(within)))
}

/// Copies what `want` holds of a piece to its places in `out`.
pub(crate) fn copy_piece(
    piece: &Piece<'_>,
    want: &Region,
    out: &mut [u8],
    width: u64,
    fetched: &Fetched<'_>,
) -> Result<()> {
    // What the runs span of the piece: read at once, if they are short.
    let Some((Range { start: first, end: last }, longest)) = span(piece, want, width) else {
        return Ok(());
    };
    let start = piece.range.start;
    let span = piece.lies(first..last);
    let read;
    let there = match &piece.checked {
        Some(bytes) => bytes.get(first as usize..last as usize),
        None => fetched.get(piece.shard, &span),
    };
    let span = match there {
        Some(bytes) => Some(bytes),
        None if longest >= DIRECT => None,
        None => {
            read = piece.shard.copy(&span)?;
            Some(&*read)
        }
    };
    for_runs(&piece.region, want, |from, to, n| {
        let (from, to, len) = (from * width, (to * width) as usize, (n * width) as usize);
        let out = out.get_mut(to..to + len).unwrap_or_default();
        match &span {
            Some(bytes) => {
                let from = (from - first) as usize;
                out.copy_from_slice(bytes.get(from..from + len).unwrap_or_default());
                Ok(())
            }
            None => piece.shard.read_into(start + from, out),
        }
    })
}

/// No two slices of a tensor may share bytes: otherwise a small file could stand for a tensor without end. Each range is
/// given with its shard.
pub(crate) fn check_apart<'a, S: Ord + Copy + Display>(
    slices: impl Iterator<Item = (S, &'a Range<u64>)>,
) -> Result<(), Fault> {
    let mut slices: Vec<_> = slices.filter(|(_, range)| !range.is_empty()).collect();
    slices.sort_by_key(|(shard, range)| (*shard, range.start, range.end));
    for pair in slices.windows(2) {
        if let [(shard, before), (next, after)] = pair
            && shard == next
            && after.start < before.end
        {
            return Err(Fault::corrupt(
                "slice list",
                format!("two slices share bytes of shard {shard}: {before:?} and {after:?}"),
            ));
        }
    }
    Ok(())
}
