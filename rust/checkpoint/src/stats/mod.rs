//! What the values of tensors are like.
//!
//! ```text
//! sums      a stretch of elements: counts, extremes, mean, spread, bins
//! lanes     the sums and extremes of that by vectors
//! ```
//!
//! Tensors are cut into stretches, however they are stored, and small ones are put into one job until that is worth a turn; of a
//! store, stretches that lie together, which are one request. Each byte is read once; twice for histograms, whose bins depend on
//! what was found. Tensors of V1 files are read whole.

mod lanes;
mod sums;

pub use sums::{Extreme, Sums};

use crate::diff::check_shared;
use crate::elements::{Element, Visitor, numbers_per_element, visit};
use std::iter::repeat_n;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use sums::{bins, sums as sum_up};
use tensorbundle_store::{
    Fetched, Format, Listing, Result, Run, Stopped, Stretches, Tensors, Watch, Worker, cut,
    on_all_cores,
};
use tensorbundle_wire::bundle::{ByteOrder, elements};
use tensorbundle_wire::dtype::{DataType, Layout};

/// How many bytes are looked at in one go.
const STRETCH: u64 = 1 << 20;

/// More bins than a histogram needs, and few enough for memory.
pub const MAX_BINS: usize = 1 << 16;

/// One tensor.
#[derive(Debug, Clone)]
pub struct TensorStats {
    /// Its number in the listing.
    pub row: usize,
    /// What its values are like; `None` if they are no numbers.
    pub sums: Option<Sums>,
    /// How many of its finite elements are in each bin; empty unless asked for.
    pub histogram: Vec<u64>,
}

/// Part of a tensor: its number among those that are looked at, and its elements.
struct Piece {
    of: usize,
    stretch: Range<u64>,
}

/// Tensors of numbers that are looked at.
struct Opened<'a> {
    row: usize,
    dtype: DataType,
    dims: Vec<u64>,
    width: u64,
    /// `None`: it is opened by whoever looks at it.
    open: Option<Stretches<'a>>,
}

impl Opened<'_> {
    fn most(&self) -> u64 {
        (STRETCH / self.width).max(1)
    }

    fn bytes(&self, stretch: &Range<u64>) -> u64 {
        (stretch.end - stretch.start) * self.width
    }
}

/// The values of tensors, by their numbers in the listing; with histograms of `wanted` bins if that is not 0. The inner error is
/// that `watch` stopped it.
pub fn stats(
    tensors: &Tensors,
    rows: &[usize],
    wanted: usize,
    watch: &mut Watch<'_>,
) -> Result<Result<Vec<TensorStats>, Stopped>> {
    let listing = tensors.listing()?.clone();
    check_shared(tensors, &listing, rows.iter().copied())?;
    let mut all: Vec<_> =
        rows.iter().map(|&row| TensorStats { row, sums: None, histogram: Vec::new() }).collect();
    let mut opened = Vec::new();
    let mut places = Vec::new();
    for (at, &row) in rows.iter().enumerate() {
        if let Some(one) = open(tensors, &listing, row)? {
            opened.push(one);
            places.push(at);
        }
    }
    let jobs = match tensors.options().files.is_remote() {
        true => runs(&opened, &listing),
        false => jobs(&opened),
    };
    let once: u64 = opened.iter().map(|one| one.bytes(&(0..elements(&one.dims)))).sum();
    let again = if wanted > 0 { once } else { 0 };
    let mut first = |done: u64, _: u64| watch(done, once + again);
    let mut look =
        Look { tensors, listing: &listing, opened: &opened, verify: tensors.options().verify };
    let made = look.work(&jobs, once, &mut first, |one, bytes| one.sums(bytes))?;
    let made = match made {
        Ok(made) => made,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let mut total = vec![Sums::default(); opened.len()];
    for (of, sums) in made {
        if let Some(total) = total.get_mut(of) {
            total.append(&sums);
        }
    }
    let edges: Vec<_> = total.iter().map(|sums| edges(sums, wanted)).collect();
    let mut counts: Vec<Vec<u64>> = total.iter().map(|_| vec![0; wanted]).collect();
    if wanted > 0 {
        look.verify = false; // they were, in the first pass
        let mut second = |done: u64, _: u64| watch(once + done, once + again);
        let made = look.work(&jobs, once, &mut second, |one, bytes| {
            let mut counts = vec![0; wanted];
            let edges = edges.get(one.at).map(Vec::as_slice).unwrap_or_default();
            one.bins(bytes, edges, &mut counts);
            counts
        })?;
        let made = match made {
            Ok(made) => made,
            Err(stopped) => return Ok(Err(stopped)),
        };
        for (of, some) in made {
            let of = counts.get_mut(of).into_iter().flatten();
            of.zip(some).for_each(|(count, more)| *count += more);
        }
    }
    for ((at, sums), histogram) in places.into_iter().zip(total).zip(counts) {
        if let Some(one) = all.get_mut(at) {
            (one.sums, one.histogram) = (Some(sums), histogram);
        }
    }
    Ok(Ok(all))
}

/// The edges of bins of equal width from the least to the greatest; as NumPy has it, one wide if both are the same.
pub fn edges(sums: &Sums, bins: usize) -> Vec<f64> {
    let Some((low, high)) = sums.extremes.filter(|_| bins > 0) else {
        return Vec::new();
    };
    let (mut low, mut high) = (low.to_f64(), high.to_f64());
    if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let (width, n) = (high - low, bins as f64);
    let edge = |i: usize| match width.is_finite() {
        true => low + i as f64 * (width / n),
        false => low * ((n - i as f64) / n) + high * (i as f64 / n),
    };
    let mut edges: Vec<_> = (0..bins).map(edge).collect();
    edges.push(high);
    edges
}

/// A tensor, if it is one of numbers.
fn open<'a>(tensors: &'a Tensors, listing: &Listing, row: usize) -> Result<Option<Opened<'a>>> {
    let Some(found) = listing.row(row) else {
        return Ok(None);
    };
    let Layout::Fixed { width, .. } = found.dtype.layout() else {
        return Ok(None);
    };
    let open = match tensors.format() {
        Format::V1 => None,
        Format::V2 => {
            let open = tensors.stretches(&found)?;
            if tensors.options().verify && elements(found.dims) == 0 {
                // There will be no piece of it.
                let checked = open.verify(&Fetched::default());
                checked.map_err(|error| error.for_tensor(found.name))?;
            }
            Some(open)
        }
    };
    let (dtype, dims) = (found.dtype, found.dims.to_vec());
    Ok(Some(Opened { row, dtype, dims, width: width as u64, open }))
}

/// The pieces of a tensor.
fn pieces(of: usize, one: &Opened<'_>) -> Vec<Piece> {
    let stretches: Vec<_> = match one.open {
        Some(_) => cut(&one.dims, one.most()).collect(),
        None => vec![0..elements(&one.dims); 1],
    };
    stretches.into_iter().map(|stretch| Piece { of, stretch }).collect()
}

/// Pieces in the order of the tensors, as many in one job as are worth it. What is to be read whole is a job of its own.
fn jobs(opened: &[Opened<'_>]) -> Vec<Vec<Piece>> {
    let mut jobs = Vec::new();
    let (mut job, mut bytes) = (Vec::new(), 0);
    for (of, one) in opened.iter().enumerate() {
        for piece in pieces(of, one) {
            bytes += one.bytes(&piece.stretch);
            job.push(piece);
            if bytes >= STRETCH {
                jobs.push(std::mem::take(&mut job));
                bytes = 0;
            }
        }
    }
    if !job.is_empty() {
        jobs.push(job);
    }
    jobs
}

/// Pieces in the order of the files of a store: those of one job are one request.
fn runs(opened: &[Opened<'_>], listing: &Listing) -> Vec<Vec<Piece>> {
    let mut order: Vec<_> = opened.iter().enumerate().collect();
    order.sort_by_key(|(_, one)| listing.row(one.row).map(|row| row.place()));
    let mut jobs: Vec<Vec<Piece>> = Vec::new();
    let mut last: Option<Run<'_>> = None;
    for (of, one) in order {
        for piece in pieces(of, one) {
            let run = one.open.as_ref().map(|open| Run::of(open, &piece.stretch));
            let joined = last.as_ref().zip(run.as_ref()).and_then(|(last, run)| last.with(run));
            match jobs.last_mut().filter(|_| joined.is_some()) {
                Some(job) => job.push(piece),
                None => jobs.push(vec![piece]),
            }
            last = joined.or(run);
        }
    }
    jobs
}

/// A tensor of numbers, below whoever makes something of its bytes.
struct Numbers {
    at: usize,
    dtype: DataType,
    order: ByteOrder,
}

struct ToSums<'a>(&'a [u8], bool);

impl Visitor for ToSums<'_> {
    type Output = Sums;

    fn visit<E: Element>(self) -> Sums {
        sum_up::<E>(self.0, self.1)
    }
}

struct ToBins<'a>(&'a [u8], bool, &'a [f64], &'a mut [u64]);

impl Visitor for ToBins<'_> {
    type Output = ();

    fn visit<E: Element>(self) {
        bins::<E>(self.0, self.1, self.2, self.3);
    }
}

impl Numbers {
    fn is_complex(&self) -> bool {
        numbers_per_element(self.dtype) == 2
    }

    fn sums(&self, bytes: &[u8]) -> Sums {
        visit(self.dtype, self.order, ToSums(bytes, self.is_complex())).unwrap_or_default()
    }

    fn bins(&self, bytes: &[u8], edges: &[f64], counts: &mut [u64]) {
        visit(self.dtype, self.order, ToBins(bytes, self.is_complex(), edges, counts));
    }
}

struct Look<'a> {
    tensors: &'a Tensors,
    listing: &'a Listing,
    opened: &'a [Opened<'a>],
    /// Check the checksum of each tensor with its first piece.
    verify: bool,
}

/// What was made of pieces, in their order, each with the number of its tensor.
type Made<T> = Vec<(usize, T)>;

impl Look<'_> {
    fn work<T: Send>(
        &self,
        jobs: &[Vec<Piece>],
        bytes: u64,
        watch: &mut Watch<'_>,
        make: impl Fn(&Numbers, &[u8]) -> T + Sync,
    ) -> Result<Result<Made<T>, Stopped>> {
        // The first job that failed: those behind it are not worth a request any more.
        let failed = AtomicUsize::new(usize::MAX);
        let done =
            on_all_cores(&self.tensors.options().files, jobs.len(), bytes, watch, |job, worker| {
                let mut made = Vec::new();
                if failed.load(Ordering::Relaxed) < job {
                    return Ok(made);
                }
                let pieces = jobs.get(job).map(Vec::as_slice).unwrap_or_default();
                let fetched = Fetched::ahead(pieces.iter().flat_map(|piece| self.wanted(piece)));
                for piece in pieces {
                    let result = self.piece(piece, &fetched, worker, &make, &mut made);
                    result.inspect_err(|_| {
                        failed.fetch_min(job, Ordering::Relaxed);
                    })?;
                }
                Ok(made)
            });
        let done: Vec<Result<Made<T>>> = match done {
            Ok(done) => done,
            Err(stopped) => return Ok(Err(stopped)),
        };
        let mut all = Vec::new();
        for made in done {
            all.extend(made?);
        }
        Ok(Ok(all))
    }

    /// A piece, as often as its bytes are looked at.
    fn wanted(&self, piece: &Piece) -> impl Iterator<Item = (&Stretches<'_>, Range<u64>)> {
        let open = self.opened.get(piece.of).and_then(|one| one.open.as_ref());
        let times = 1 + usize::from(self.verify && piece.stretch.start == 0);
        open.into_iter().flat_map(move |open| repeat_n((open, piece.stretch.clone()), times))
    }

    fn piece<T>(
        &self,
        piece: &Piece,
        fetched: &Fetched<'_>,
        worker: &mut Worker<'_>,
        make: &impl Fn(&Numbers, &[u8]) -> T,
        made: &mut Made<T>,
    ) -> Result<()> {
        let (Some(one), Some(row)) = (
            self.opened.get(piece.of),
            self.opened.get(piece.of).and_then(|one| self.listing.row(one.row)),
        ) else {
            return Ok(());
        };
        let whole;
        let (open, stretches): (_, Vec<_>) = match &one.open {
            Some(open) => (open, vec![piece.stretch.clone()]),
            None => {
                whole = self.tensors.stretches(&row)?;
                (&whole, cut(&one.dims, one.most()).collect())
            }
        };
        if self.verify && piece.stretch.start == 0 {
            open.verify(fetched).map_err(|error| error.for_tensor(row.name))?;
        }
        let numbers = Numbers { at: piece.of, dtype: one.dtype, order: open.order() };
        for stretch in stretches {
            let bytes = one.bytes(&stretch);
            let scratch = worker.scratch.bytes(bytes as usize); // no more than a stretch, or one element
            let result = open.look(&stretch, fetched, scratch, |bytes| make(&numbers, bytes));
            made.push((piece.of, result.map_err(|error| error.for_tensor(row.name))?));
            if !worker.advance(bytes) {
                break;
            }
        }
        Ok(())
    }
}
