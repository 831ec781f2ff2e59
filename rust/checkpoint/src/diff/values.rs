//! What the elements say, with all cores.
//!
//! Tensors are cut into stretches of a mebibyte. One whose bytes are the same on both sides needs no figures yet; the others
//! are held against each other at once. If a tensor changed, the products that its cosine lacks are made of the stretches that
//! did not: so what is equal costs a comparison of memory, and everything else is read once, or twice where it is equal.
//!
//! Tensors of V1 checkpoints, strings and variants are read whole, each by one core.

use super::figures::{self, Figures, Tolerance};
use super::turns::{Job, STRETCH, Two, job_bytes, turns, wanted};
use super::{Diff, Kind, Row};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use tensorbundle_store::{
    Error, Fetched, Files, Format, Listing, ReadOptions, Result, Scratch, Stopped, Stretches,
    Tensors, Value, Watch, Worker, cut, on_all_cores,
};
use tensorbundle_wire::bundle::{ByteOrder, elements};
use tensorbundle_wire::dtype::{DataType, Layout};
use tensorbundle_wire::{Fault, limits};

/// What came of it.
enum Made {
    /// The bytes are the same.
    Same,
    /// They are not: how far.
    Apart(Figures),
    /// Others failed before.
    Nothing,
    Failed(Error),
}

/// Compares the values of all rows that are equal as far as the index knows. The outer error is that of a tensor which cannot
/// be read.
pub(super) fn compare(
    diff: &mut Diff,
    a: &Tensors,
    b: &Tensors,
    watch: &mut Watch<'_>,
) -> Result<Result<(), Stopped>> {
    let (left, right) = (diff.a.clone(), diff.b.clone());
    let tensors = [a, b];
    let same = || diff.rows.iter().filter(|row| row.kind == Kind::Equal);
    check_shared(a, &left, same().filter_map(|row| row.a))?;
    check_shared(b, &right, same().filter_map(|row| row.b))?;
    let mut twos = Vec::new();
    for (at, row) in diff.rows.iter().enumerate().filter(|(_, row)| row.kind == Kind::Equal) {
        twos.extend(two(tensors, [&left, &right], at, row)?);
    }
    let remote = tensors.iter().position(|side| side.options().files.is_remote());
    if let Some(side) = remote {
        twos.sort_by_key(|two| two.place.get(side).copied());
    }
    let verify = tensors.iter().any(|side| side.options().verify);
    let mut jobs = Vec::new();
    for (i, two) in twos.iter().enumerate() {
        if two.open.is_none() {
            jobs.push(Job::Whole(i));
            continue;
        }
        if verify {
            jobs.push(Job::Verify(i));
        }
        jobs.extend(stretches(two).map(|stretch| Job::Stretch(i, stretch)));
    }
    let tolerance = diff.options.tolerance;
    let compared: u64 = twos.iter().map(|two| two.bytes).sum();
    let files = remote.and_then(|side| tensors.get(side)).map(|side| &side.options().files);
    let files = files.unwrap_or(&Files::Local);
    let made = work(files, &twos, &jobs, compared, watch, |job, fetched, worker| match job {
        Job::Verify(i) => verify_two(twos.get(*i), tensors, fetched),
        Job::Whole(i) => twos.get(*i).map_or(Ok(Made::Nothing), |two| {
            whole(two, tensors, [&left, &right], tolerance, worker)
        }),
        Job::Stretch(i, stretch) => {
            let found = twos.get(*i).and_then(|two| Some((two, two.open.as_ref()?)));
            found.map_or(Ok(Made::Nothing), |(two, open)| {
                let scratch = &mut worker.scratch;
                let made = part(two, open, stretch, fetched, tolerance, Make::IfApart, scratch);
                worker.advance(job_bytes(job, &twos));
                made
            })
        }
    })?;
    let made = match made {
        Ok(made) => made,
        Err(stopped) => return Ok(Err(stopped)),
    };

    let mut changed = vec![false; twos.len()];
    for (job, made) in jobs.iter().zip(&made) {
        if let (Job::Whole(i) | Job::Stretch(i, _), Made::Apart(_)) = (job, made)
            && let Some(changed) = changed.get_mut(*i)
        {
            *changed = true;
        }
    }
    // The stretches of changed tensors that are the same.
    let rest: Vec<(usize, Job)> = jobs
        .iter()
        .zip(&made)
        .enumerate()
        .filter_map(|(at, pair)| match pair {
            (Job::Stretch(i, stretch), Made::Same) if changed.get(*i) == Some(&true) => {
                Some((at, Job::Stretch(*i, stretch.clone())))
            }
            _ => None,
        })
        .collect();
    let again: u64 = rest.iter().map(|(_, job)| job_bytes(job, &twos)).sum();
    let (places, rest): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
    let mut later = |done: u64, _: u64| watch(compared + done, compared + again);
    let products = work(files, &twos, &rest, again, &mut later, |job, fetched, worker| {
        let Job::Stretch(i, stretch) = job else { return Ok(Made::Nothing) };
        let found = twos.get(*i).and_then(|two| Some((two, two.open.as_ref()?)));
        found.map_or(Ok(Made::Nothing), |(two, open)| {
            let scratch = &mut worker.scratch;
            let made = part(two, open, stretch, fetched, tolerance, Make::Always, scratch);
            worker.advance(job_bytes(job, &twos));
            made
        })
    })?;
    let products = match products {
        Ok(products) => products,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let mut made = made;
    for (at, product) in places.into_iter().zip(products) {
        if let Some(place) = made.get_mut(at) {
            *place = product;
        }
    }

    let mut sums = vec![Figures::default(); twos.len()];
    for (job, made) in jobs.iter().zip(&made) {
        if let (Job::Whole(i) | Job::Stretch(i, _), Made::Apart(figures)) = (job, made)
            && let Some(sum) = sums.get_mut(*i)
        {
            sum.extend(figures);
        }
    }
    diff.bytes = compared;
    for (two, sum) in twos.iter().zip(sums) {
        if let Some(row) = diff.rows.get_mut(two.at)
            && sum.changed > 0
        {
            let close = tolerance.is_given() && sum.beyond == 0;
            row.kind = if close { Kind::Close } else { Kind::Changed };
            row.figures = Some(Box::new(sum));
        }
    }
    Ok(Ok(()))
}

/// Refuses a bundle whose tensors share their bytes again and again.
pub(crate) fn check_shared(
    tensors: &Tensors,
    listing: &Listing,
    rows: impl Iterator<Item = usize>,
) -> Result<()> {
    let Some(index) = tensors.index_path() else { return Ok(()) };
    let (mut wanted, mut ends) = (0_u64, HashMap::<i32, u64>::new());
    let mut count = |shard: i32, offset: i64, size: i64| {
        let (start, size) = (u64::try_from(offset).unwrap_or(0), u64::try_from(size).unwrap_or(0));
        wanted = wanted.saturating_add(size);
        let end = ends.entry(shard).or_default();
        *end = start.saturating_add(size).max(*end);
    };
    for row in rows.filter_map(|i| listing.row(i)) {
        if row.parts.is_empty() {
            count(row.shard, row.offset, row.size);
        }
        for entry in row.parts.iter().filter_map(|part| part.entry.as_ref()) {
            count(entry.shard, entry.offset, entry.size);
        }
    }
    // What lies behind the end of a shard is refused when the tensor is opened, before anything is read.
    let there = ends.values().fold(0_u64, |sum, &end| sum.saturating_add(end));
    if wanted <= there.saturating_mul(limits::MAX_SHARED_READS) {
        return Ok(());
    }
    let what = format!(
        "its tensors share their bytes: {wanted} are wanted of {there}, too many to be read"
    );
    let fault = Fault::unsupported("index entries", what);
    Err(Error::fault(&index, fault.advise("read some of them, by their names")))
}

/// The two tensors of a row; none if there is nothing to compare.
fn two<'a>(
    tensors: [&'a Tensors; 2],
    listings: [&'a Listing; 2],
    at: usize,
    row: &Row,
) -> Result<Option<Two<'a>>> {
    let [left, right] = listings;
    let (Some(a), Some(b)) = (row.a.and_then(|i| left.row(i)), row.b.and_then(|i| right.row(i)))
    else {
        return Ok(None);
    };
    let mut two = Two {
        at,
        name: [a.name, b.name],
        dtype: a.dtype,
        dims: a.dims,
        width: a.dtype.width().unwrap_or(1) as u64,
        bytes: a.stored_bytes().saturating_add(b.stored_bytes()),
        place: [a.place(), b.place()],
        open: None,
    };
    let bundles = tensors.iter().all(|side| side.format() == Format::V2);
    if bundles && matches!(a.dtype.layout(), Layout::Fixed { .. }) {
        let [one, other] = tensors;
        two.open = Some([one.stretches(&a)?, other.stretches(&b)?]);
        two.bytes = elements(a.dims).saturating_mul(two.width).saturating_mul(2);
    }
    Ok(Some(two))
}

fn stretches(two: &Two<'_>) -> impl Iterator<Item = Range<u64>> + use<> {
    cut(two.dims, (STRETCH / two.width.max(1)).max(1))
}

/// Does all jobs, and gives what came of each, in their order; the first that failed, if one did.
fn work<'a>(
    files: &Files,
    twos: &[Two<'a>],
    jobs: &[Job],
    bytes: u64,
    watch: &mut Watch<'_>,
    one: impl Fn(&Job, &[Fetched<'a>; 2], &mut Worker<'_>) -> Result<Made> + Sync,
) -> Result<Result<Vec<Made>, Stopped>> {
    // The first turn that failed: those behind it are not worth a request any more.
    let failed = AtomicUsize::new(usize::MAX);
    let turns = turns(jobs, twos, files.is_remote());
    let made = on_all_cores(files, turns.len(), bytes, watch, |i, worker| {
        let jobs = turns.get(i).and_then(|turn| jobs.get(turn.clone())).unwrap_or_default();
        let mut fetched = [Fetched::default(), Fetched::default()];
        let mut over = failed.load(Ordering::Relaxed) < i;
        if files.is_remote() && !over {
            let wanted: Vec<_> = jobs.iter().filter_map(|job| wanted(job, twos)).collect();
            let of_a = wanted.iter().map(|([a, _], stretch)| (a, stretch.clone()));
            let of_b = wanted.iter().map(|([_, b], stretch)| (b, stretch.clone()));
            fetched = [Fetched::ahead(of_a), Fetched::ahead(of_b)];
        }
        let each = jobs.iter().map(|job| {
            if over {
                return Made::Nothing;
            }
            one(job, &fetched, worker).unwrap_or_else(|error| {
                over = true;
                failed.fetch_min(i, Ordering::Relaxed);
                Made::Failed(error)
            })
        });
        each.collect::<Vec<_>>()
    });
    let made = match made {
        Ok(made) => made,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let mut all = Vec::with_capacity(jobs.len());
    for made in made.into_iter().flatten() {
        match made {
            Made::Failed(error) => return Err(error),
            made => all.push(made),
        }
    }
    Ok(Ok(all))
}

fn verify_two(
    two: Option<&Two<'_>>,
    tensors: [&Tensors; 2],
    fetched: &[Fetched<'_>; 2],
) -> Result<Made> {
    let Some((two, open)) = two.and_then(|two| Some((two, two.open.as_ref()?))) else {
        return Ok(Made::Nothing);
    };
    for (((side, open), name), fetched) in tensors.iter().zip(open).zip(two.name).zip(fetched) {
        if side.options().verify {
            open.verify(fetched).map_err(|error| error.for_tensor(name))?;
        }
    }
    Ok(Made::Nothing)
}

/// Whether figures are made of bytes that are the same.
#[derive(Clone, Copy, PartialEq)]
enum Make {
    IfApart,
    Always,
}

/// A stretch of two tensors.
fn part(
    two: &Two<'_>,
    open: &[Stretches<'_>; 2],
    stretch: &Range<u64>,
    [of_a, of_b]: &[Fetched<'_>; 2],
    tolerance: Tolerance,
    make: Make,
    scratch: &mut Scratch,
) -> Result<Made> {
    let [a, b] = open;
    let [name_a, name_b] = two.name;
    let len = (stretch.end - stretch.start).saturating_mul(two.width) as usize;
    // Both begin at a boundary.
    let room = len.next_multiple_of(64);
    let (for_a, for_b) = scratch.bytes(room + len).split_at_mut(room);
    let for_a = for_a.get_mut(..len).unwrap_or_default();
    let made = a.look(stretch, of_a, for_a, |one| {
        b.look(stretch, of_b, for_b, |other| {
            let order = a.order();
            if order == b.order() {
                return hold(two.dtype, order, one, other, tolerance, make);
            }
            hold(two.dtype, order, one, &swapped(two.dtype, other), tolerance, make)
        })
    });
    let made = made.map_err(|error| error.for_tensor(name_a))?;
    let made = made.map_err(|error| error.for_tensor(name_b))?;
    Ok(made)
}

fn hold(
    dtype: DataType,
    order: ByteOrder,
    a: &[u8],
    b: &[u8],
    tolerance: Tolerance,
    make: Make,
) -> Made {
    if make == Make::IfApart && a == b {
        return Made::Same;
    }
    let figures = figures::compare(dtype, order, a, b, tolerance);
    // NaNs of two payloads.
    if make == Make::IfApart && figures.changed == 0 { Made::Same } else { Made::Apart(figures) }
}

/// The bytes in the other order.
fn swapped(dtype: DataType, bytes: &[u8]) -> Vec<u8> {
    let mut swapped = bytes.to_vec();
    if let Layout::Fixed { unit, .. } = dtype.layout() {
        swapped.chunks_exact_mut(unit.max(1)).for_each(<[u8]>::reverse);
    }
    swapped
}

/// Two tensors of which one at least is read whole.
fn whole(
    two: &Two<'_>,
    tensors: [&Tensors; 2],
    listings: [&Listing; 2],
    tolerance: Tolerance,
    worker: &mut Worker<'_>,
) -> Result<Made> {
    let made = match two.dtype.layout() {
        Layout::Fixed { .. } => numbers(two, tensors, listings, tolerance, worker)?,
        _ => lists(two, tensors)?,
    };
    worker.advance(two.bytes);
    Ok(made)
}

fn numbers(
    two: &Two<'_>,
    tensors: [&Tensors; 2],
    listings: [&Listing; 2],
    tolerance: Tolerance,
    worker: &mut Worker<'_>,
) -> Result<Made> {
    let mut open = Vec::with_capacity(2);
    for ((side, listing), name) in tensors.into_iter().zip(listings).zip(two.name) {
        let row = listing.position(name).and_then(|i| listing.row(i));
        let Some(row) = row else { return Ok(Made::Nothing) };
        open.push(side.stretches(&row)?);
    }
    let Ok(open) = <[Stretches<'_>; 2]>::try_from(open) else { return Ok(Made::Nothing) };
    for ((side, open), name) in tensors.iter().zip(&open).zip(two.name) {
        if side.options().verify {
            open.verify(&Fetched::default()).map_err(|error| error.for_tensor(name))?;
        }
    }
    // As is done with many cores: figures of equal stretches only where others are not.
    for make in [Make::IfApart, Make::Always] {
        let mut sum = Figures::default();
        let mut apart = make == Make::Always;
        for stretch in stretches(two) {
            let (nothing, scratch) = (Default::default(), &mut worker.scratch);
            match part(two, &open, &stretch, &nothing, tolerance, make, scratch)? {
                Made::Apart(figures) if make == Make::IfApart => {
                    apart |= figures.changed > 0;
                    break;
                }
                Made::Apart(figures) => sum.extend(&figures),
                _ => {}
            }
        }
        if !apart {
            return Ok(Made::Same);
        }
        if make == Make::Always {
            return Ok(Made::Apart(sum));
        }
    }
    Ok(Made::Same)
}

/// Strings or variants.
fn lists(two: &Two<'_>, tensors: [&Tensors; 2]) -> Result<Made> {
    let mut read = Vec::with_capacity(2);
    for (side, name) in tensors.into_iter().zip(two.name) {
        let Some(place) = side.find(name)? else { return Ok(Made::Nothing) };
        match side.read(&place, &ReadOptions::default())?.value {
            Value::List(list) => read.push(list),
            Value::Raw(_) => return Ok(Made::Nothing),
        }
    }
    let [a, b] = read.as_slice() else { return Ok(Made::Nothing) };
    let changed = a.iter().zip(b).filter(|(a, b)| a != b).count() as u64;
    if changed == 0 {
        return Ok(Made::Same);
    }
    let elements = a.len() as u64;
    Ok(Made::Apart(Figures { elements, changed, beyond: changed, ..Figures::default() }))
}
