//! Every checksum, with all cores.
//!
//! The starts and ends of all pieces cut a shard into segments, the grid of chunks cuts those into units. Each unit that
//! somebody owns is read once and gets a checksum; the checksum of a piece comes from those of its units. So ranges that
//! share bytes, or lie within one another a thousand times, cost no more than the file is long.
//!
//! ```text
//! pieces     |---- a ----|-------- b --------|          |-- c --|
//! chunks     .     :           :           :           :           :
//! units      |--1--|--2--|--3--|--4--|---5---|          |---6---|
//! ```

use super::{Check, Checked, Piece};
use crate::buffer::Scratch;
use crate::bundle::Bundle;
use crate::finding::{Finding, FindingKind};
use crate::listing::Listing;
use crate::pages::{CHUNK, chunks};
use crate::scan::{Stopped, Watch, Worker, on_all_cores};
use crate::shard::Shard;
use crate::{Error, Result};
use std::ops::Range;
use tensorbundle_wire::bundle::Passing;
use tensorbundle_wire::crc::{self, MaskedCrc, RunningCrc, combine, crc32c};
use tensorbundle_wire::{Fault, limits};

/// A part of a chunk that belongs to the same pieces from end to end.
struct Unit {
    shard: u32,
    range: Range<u64>,
}

impl Unit {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// What is done in one go.
enum Job<'a> {
    /// Units of one chunk.
    Units(Range<usize>),
    /// A tensor whose checksum is not just over its bytes.
    List(&'a Piece),
}

enum Made {
    /// The checksums of the units; `None` if not all could be read.
    Units(Option<Vec<u32>>),
    List(Result<()>),
}

pub(super) fn check(
    bundle: &Bundle,
    listing: &Listing,
    pieces: &[Piece],
    checked: &mut Checked,
    watch: &mut Watch<'_>,
) -> Result<(), Stopped> {
    let plain: Vec<&Piece> = pieces.iter().filter(|piece| piece.check == Check::Bytes).collect();
    let units = cut(&plain);
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut at = 0;
    for group in
        units.chunk_by(|a, b| (a.shard, a.range.start / CHUNK) == (b.shard, b.range.start / CHUNK))
    {
        jobs.push(Job::Units(at..at + group.len()));
        at += group.len();
    }
    let lists = affordable(bundle, listing, pieces, checked);
    jobs.extend(lists.iter().map(|&piece| Job::List(piece)));
    let bytes = units.iter().map(Unit::len).sum::<u64>()
        + lists.iter().map(|piece| piece.len()).sum::<u64>();
    let made = on_all_cores(&bundle.options().files, jobs.len(), bytes, watch, |i, worker| {
        match jobs.get(i) {
            Some(Job::List(piece)) => Made::List(check_list(bundle, piece, worker)),
            Some(Job::Units(group)) => {
                Made::Units(sum_units(bundle, units.get(group.clone()).unwrap_or_default(), worker))
            }
            None => Made::Units(None),
        }
    })?;
    checked.bytes += bytes;

    let mut sums = vec![None; units.len()];
    for (job, made) in jobs.iter().zip(made) {
        match (job, made) {
            (Job::Units(group), Made::Units(Some(own))) => {
                let places = sums.get_mut(group.clone()).unwrap_or_default();
                places.iter_mut().zip(own).for_each(|(place, sum)| *place = Some(sum));
            }
            (Job::List(piece), Made::List(Err(error))) => {
                tell(FindingKind::Checksum, listing, piece, error, checked)
            }
            _ => {}
        }
    }
    hold(bundle, listing, &plain, &Sums { units, sums }, checked);
    Ok(())
}

/// The units of all pieces, sorted by their places.
fn cut(plain: &[&Piece]) -> Vec<Unit> {
    // Where the number of pieces that own a byte changes, and by how many.
    let mut edges: Vec<(u32, u64, i32)> = Vec::with_capacity(plain.len() * 2);
    for piece in plain.iter().filter(|piece| !piece.range.is_empty()) {
        edges.push((piece.shard, piece.range.start, 1));
        edges.push((piece.shard, piece.range.end, -1));
    }
    edges.sort_unstable();
    let mut units = Vec::with_capacity(plain.len());
    let mut owners = 0;
    for pair in edges.windows(2) {
        let [(shard, start, change), (next, end, _)] = pair else { continue };
        owners += change;
        if owners > 0 && shard == next && start < end {
            units.extend(chunks(&(*start..*end)).map(|range| Unit { shard: *shard, range }));
        }
    }
    units
}

/// The checksums of units that lie in one chunk.
fn sum_units(bundle: &Bundle, units: &[Unit], worker: &mut Worker<'_>) -> Option<Vec<u32>> {
    let (first, last) = (units.first()?, units.last()?);
    let window = first.range.start..last.range.end;
    let shard = bundle.shard(first.shard).ok()?;
    let mut sums = Vec::with_capacity(units.len());
    if let Some(bytes) = shard.touch(&window) {
        let within = |at: u64| (at - window.start) as usize;
        sums.extend(units.iter().map(|unit| {
            let own = within(unit.range.start)..within(unit.range.end);
            crc32c(bytes.get(own).unwrap_or_default())
        }));
    } else {
        read_units(shard, units, &window, &mut sums, &mut worker.scratch).ok()?;
    }
    worker.advance(units.iter().map(Unit::len).sum());
    Some(sums)
}

/// Reads a window and sums its units as their bytes pass.
fn read_units(
    shard: &Shard,
    units: &[Unit],
    window: &Range<u64>,
    sums: &mut Vec<u32>,
    scratch: &mut Scratch,
) -> Result<()> {
    let (mut at, mut rest) = (window.start, units.iter().peekable());
    let mut running = RunningCrc::new();
    shard.look(window, scratch, |bytes| {
        let end = at + bytes.len() as u64;
        let part = |range: Range<u64>| {
            bytes.get((range.start - at) as usize..(range.end - at) as usize).unwrap_or_default()
        };
        while let Some(unit) = rest.next_if(|unit| unit.range.end <= end) {
            if unit.range.start >= at {
                sums.push(crc32c(part(unit.range.clone())));
            } else {
                running.extend(part(at..unit.range.end));
                sums.push(std::mem::take(&mut running).masked().unmask());
            }
        }
        if let Some(unit) = rest.peek().filter(|unit| unit.range.start < end) {
            running.extend(part(unit.range.start.max(at)..end));
        }
        at = end;
    })
}

/// The units and their checksums: `None` where one could not be read.
struct Sums {
    units: Vec<Unit>,
    sums: Vec<Option<u32>>,
}

impl Sums {
    /// The units of a piece.
    fn of(&self, piece: &Piece) -> Range<usize> {
        let index = |at: u64| {
            self.units.partition_point(|unit| (unit.shard, unit.range.start) < (piece.shard, at))
        };
        let first = index(piece.range.start);
        // Most pieces are one unit.
        let one = self.units.get(first).is_some_and(|unit| unit.range.end == piece.range.end);
        first..if one || piece.range.is_empty() {
            first + usize::from(!piece.range.is_empty())
        } else {
            index(piece.range.end)
        }
    }

    fn unit_len(&self, i: usize) -> u64 {
        self.units.get(i).map_or(0, Unit::len)
    }

    /// The checksum of units one after the other.
    fn joined(&self, own: Range<usize>) -> Option<u32> {
        let sums = self.sums.get(own.clone())?;
        let mut all = own.zip(sums);
        let first = all.next().map_or(Some(0), |(_, sum)| *sum)?;
        all.try_fold(first, |sum, (i, next)| Some(combine(sum, (*next)?, self.unit_len(i))))
    }

    /// The checksum of all units up to each one.
    fn up_to_each(&self) -> Vec<u32> {
        let mut sum = 0;
        let sums = self.sums.iter().enumerate().map(|(i, next)| {
            sum = combine(sum, next.unwrap_or(0), self.unit_len(i));
            sum
        });
        sums.collect()
    }
}

/// Holds the checksum of each piece against that of the index.
fn hold(bundle: &Bundle, listing: &Listing, plain: &[&Piece], sums: &Sums, checked: &mut Checked) {
    let own: Vec<_> = plain.iter().map(|piece| sums.of(piece)).collect();
    let steps: usize = own.iter().map(ExactSizeIterator::len).sum();
    // Where pieces share many units, each is the difference of two sums that begin at the first unit.
    let shared = steps > 4 * sums.units.len();
    let (up_to, mut missing) = if shared {
        let missing = sums.sums.iter().scan(0_usize, |n, sum| {
            *n += usize::from(sum.is_none());
            Some(*n)
        });
        (sums.up_to_each(), missing.collect())
    } else {
        (Vec::new(), Vec::new())
    };
    missing.insert(0, 0);
    for (piece, own) in plain.iter().zip(own) {
        let sum = if shared && own.len() > 2 {
            let before = own.start.checked_sub(1).and_then(|i| up_to.get(i)).copied().unwrap_or(0);
            let all = up_to.get(own.end - 1).copied();
            let whole = missing.get(own.start) == missing.get(own.end);
            all.filter(|_| whole).map(|all| combine(before, all, piece.len()))
        } else {
            sums.joined(own)
        };
        let got = match sum {
            Some(sum) => Ok(MaskedCrc::mask(sum)),
            // A part of the chunk could not be read: is it of this one?
            None => read_alone(bundle, piece),
        };
        let held = got.and_then(|got| {
            crc::check("tensor data", "checksum", got, piece.crc)
                .map_err(|fault| at_piece(bundle, piece, fault))
        });
        if let Err(error) = held {
            tell(FindingKind::Checksum, listing, piece, error, checked);
        }
    }
}

fn read_alone(bundle: &Bundle, piece: &Piece) -> Result<MaskedCrc> {
    let mut running = RunningCrc::new();
    bundle
        .shard(piece.shard)?
        .look(&piece.range, &mut Scratch::default(), |bytes| running.extend(bytes))?;
    Ok(running.masked())
}

fn at_piece(bundle: &Bundle, piece: &Piece, fault: Fault) -> Error {
    Error::fault(&bundle.shard_path(piece.shard), fault.at(piece.range.start))
}

/// Checks strings or variants as their bytes pass.
fn check_list(bundle: &Bundle, piece: &Piece, worker: &mut Worker<'_>) -> Result<()> {
    let mut passing = match piece.check {
        Check::Variants(count) => Passing::variants(count),
        Check::Strings(count) => Passing::strings(count, bundle.header().order),
        Check::Bytes | Check::Nothing => return Ok(()),
    };
    let shard = bundle.shard(piece.shard)?;
    let mut scratch = std::mem::take(&mut worker.scratch);
    for chunk in chunks(&piece.range) {
        let mut fed = Ok(());
        shard.look(&chunk, &mut scratch, |bytes| {
            if fed.is_ok() {
                fed = passing.feed(bytes);
            }
        })?;
        fed.map_err(|fault| at_piece(bundle, piece, fault))?;
        if !worker.advance(chunk.end - chunk.start) {
            return Ok(());
        }
    }
    worker.scratch = scratch;
    passing.finish(piece.crc).map_err(|fault| at_piece(bundle, piece, fault))
}

/// The string and variant tensors that are checked. Each has to be walked through by itself, so where they share bytes
/// again and again, which no writer does, not all are.
fn affordable<'a>(
    bundle: &Bundle,
    listing: &Listing,
    pieces: &'a [Piece],
    checked: &mut Checked,
) -> Vec<&'a Piece> {
    let mut lists: Vec<&Piece> = pieces.iter().filter(|piece| piece.check.is_list()).collect();
    lists.sort_by_key(|piece| (piece.shard, piece.range.start));
    let (mut free, mut shared) = ((0, 0), 0_u64);
    lists.retain(|piece| {
        let start =
            if free.0 == piece.shard { piece.range.start.max(free.1) } else { piece.range.start };
        let again = piece.len() - piece.range.end.saturating_sub(start);
        if shared.saturating_add(again) > limits::MAX_SHARED_STRINGS {
            let what = "it shares its bytes with others, too many times for each to be checked";
            let error = at_piece(bundle, piece, Fault::unsupported("tensor data", what));
            tell(FindingKind::Overlap, listing, piece, error, checked);
            return false;
        }
        shared += again;
        free = (piece.shard, piece.range.end.max(if free.0 == piece.shard { free.1 } else { 0 }));
        true
    });
    lists
}

fn tell(kind: FindingKind, listing: &Listing, piece: &Piece, error: Error, checked: &mut Checked) {
    let name = listing.name(piece.row).unwrap_or_default();
    let finding = Finding::new(kind, error.for_tensor(name));
    if finding.kind == FindingKind::Checksum {
        *checked.mismatches.entry(piece.shard).or_default() += 1;
    }
    checked.lose(name, finding.in_shard(piece.shard).at(piece.range.clone()));
}
