//! Where the bytes of all tensors lie: each entry held against its type, its shape, its shard and its tensor.

use super::Checked;
use crate::bundle::Bundle;
use crate::finding::{Finding, FindingKind};
use crate::listing::{Listing, Row};
use crate::partition::{check_apart, check_slice};
use crate::scan::Watch;
use crate::shard::Shard;
use crate::{Error, Result};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::ops::Range;
use tensorbundle_wire::Fault;
use tensorbundle_wire::bundle::{Entry, Shape, check_tiling};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::dtype::Layout;

/// A tensor, or a slice of one, as it lies in a shard.
#[derive(Debug)]
pub(super) struct Piece {
    /// The number of its tensor.
    pub(super) row: usize,
    pub(super) shard: u32,
    pub(super) range: Range<u64>,
    pub(super) crc: MaskedCrc,
    pub(super) check: Check,
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// No piece, but a place: what comes last in a shard.
    pub(super) fn nothing_at(shard: u32, at: u64) -> Self {
        Self { row: 0, shard, range: at..at, crc: MaskedCrc::default(), check: Check::Bytes }
    }
}

/// How its checksum comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Over its bytes.
    Bytes,
    /// Over the lengths of so many strings, and their text.
    Strings(u64),
    /// Over so many variants.
    Variants(u64),
    /// It cannot be checked, as something is wrong with it already; but its bytes are its own.
    Nothing,
}

impl Check {
    /// Is it over more than its bytes?
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Strings(_) | Self::Variants(_))
    }
}

/// A shard that cannot be opened, and how many tensors have bytes in it.
struct Closed {
    error: Error,
    tensors: usize,
    last: usize,
}

/// So many missing shards are reason enough not to look closely at more.
const MANY: usize = 100;

struct Collector<'a> {
    bundle: &'a Bundle,
    checked: &'a mut Checked,
    pieces: Vec<Piece>,
    closed: HashMap<u32, Closed>,
}

/// After so many tensors the watcher is asked.
const EVERY: usize = 4096;

/// All pieces that lie where they can be read; what is wrong with the others is noted. Nothing if `watch` says to stop.
pub(super) fn collect(
    bundle: &Bundle,
    listing: &Listing,
    checked: &mut Checked,
    watch: &mut Watch<'_>,
) -> Option<Vec<Piece>> {
    let mut collector = Collector {
        bundle,
        checked,
        pieces: Vec::with_capacity(listing.len()),
        closed: HashMap::new(),
    };
    for i in 0..listing.len() {
        // How many bytes there are to check is not known yet.
        if i % EVERY == 0 && !watch(0, 0) {
            return None;
        }
        if let Some(row) = listing.row(i) {
            collector.tensor(i, row);
        }
    }
    collector.tell_closed();
    Some(collector.pieces)
}

impl<'a> Collector<'a> {
    fn tensor(&mut self, i: usize, row: Row<'_>) {
        let whole = match row.to_entry() {
            Ok(whole) => whole,
            Err(fault) => return self.lose(row, FindingKind::BadEntry, fault.into()),
        };
        if whole.dtype.layout() == Layout::None {
            let what = format!("values of type {} cannot be read", whole.dtype);
            let fault = Fault::unsupported("index entry", what);
            self.claim(i, &whole);
            return self.lose(row, FindingKind::BadEntry, fault.into());
        }
        if row.parts.is_empty() {
            self.piece(i, row, &whole);
            return;
        }
        let start = self.pieces.len();
        let placed = self.parts(i, row, &whole.shape);
        let own = self.pieces.get(start..).unwrap_or_default();
        let own = own.iter().map(|piece| (piece.shard, &piece.range));
        if let Err(fault) = placed.and_then(|()| check_apart(own)) {
            self.lose(row, FindingKind::BadSlices, fault.into());
        }
    }

    /// The slices of a partitioned tensor: they must tile it, and each must have an entry that fits.
    fn parts(&mut self, i: usize, row: Row<'_>, shape: &Shape) -> Result<(), Fault> {
        let regions: Result<Vec<_>, _> =
            row.parts.iter().map(|part| part.slice.region(shape)).collect();
        let tiling = regions.and_then(|regions| check_tiling(shape, &regions).map(|()| regions));
        let mut first = None;
        for (k, part) in row.parts.iter().enumerate() {
            let Some(entry) = &part.entry else {
                let what = format!("slice {:?} has no entry in the index", part.slice.0);
                let fault = Fault::corrupt("slice list", what);
                first.get_or_insert(
                    fault.advise("the index is damaged, or a part of the save was lost"),
                );
                continue;
            };
            let region = tiling.as_ref().ok().and_then(|regions| regions.get(k));
            match region.map(|region| check_slice(row.dtype, region, entry)) {
                Some(Err(fault)) => {
                    first.get_or_insert(fault);
                    self.claim(i, entry);
                }
                Some(Ok(())) => self.piece(i, row, entry),
                None => self.claim(i, entry),
            }
        }
        tiling?;
        first.map_or(Ok(()), Err)
    }

    /// The bytes of an entry are its own, whatever is wrong with it.
    fn claim(&mut self, i: usize, entry: &Entry) {
        let Ok((shard, range)) = entry.place(self.bundle.header().num_shards) else {
            return;
        };
        // A shard that could not be opened is not tried again for this.
        if !self.closed.contains_key(&shard)
            && let Ok(open) = self.open(shard)
        {
            let range = range.start..range.end.min(open.len());
            if !range.is_empty() {
                let (crc, check) = (entry.crc, Check::Nothing);
                self.pieces.push(Piece { row: i, shard, range, crc, check });
            }
        }
    }

    /// One entry with bytes of its own.
    fn piece(&mut self, i: usize, row: Row<'_>, entry: &Entry) {
        let placed = match entry.dtype.width() {
            Some(width) => entry.check_size(width),
            None => Ok(()),
        };
        let placed = placed.and_then(|()| entry.place(self.bundle.header().num_shards));
        let (shard, range) = match placed {
            Ok(placed) => placed,
            Err(fault) => return self.lose(row, FindingKind::BadEntry, fault.into()),
        };
        if let Some(closed) = self.closed.get_mut(&shard) {
            self.checked.lost.insert(row.name.to_vec());
            closed.tensors += usize::from(closed.last != i);
            closed.last = i;
            return;
        }
        let open = match self.open(shard) {
            Ok(open) => open,
            Err(error) => {
                self.checked.lost.insert(row.name.to_vec());
                self.closed.insert(shard, Closed { error, tensors: 1, last: i });
                return;
            }
        };
        if let Err(error) = open.check(&range) {
            let error = error.for_tensor(row.name);
            let finding = Finding::new(FindingKind::ShortShard, error).in_shard(shard).at(range);
            self.checked.lose(row.name, finding);
            return self.claim(i, entry);
        }
        let count = entry.shape.elements();
        let check = match entry.dtype.layout() {
            Layout::Strings => Check::Strings(count),
            Layout::Variants => Check::Variants(count),
            Layout::Fixed { .. } | Layout::None => Check::Bytes,
        };
        self.pieces.push(Piece { row: i, shard, range, crc: entry.crc, check });
    }

    /// A shard. Of many that are missing, not each is looked for under other names.
    fn open(&self, shard: u32) -> Result<&'a Shard> {
        let path = self.bundle.shard_path(shard);
        if self.closed.len() > MANY && !self.bundle.options().files.exists(&path) {
            return Err(Error::io(&path, ErrorKind::NotFound.into(), "a data shard"));
        }
        self.bundle.shard(shard)
    }

    fn lose(&mut self, row: Row<'_>, kind: FindingKind, error: Error) {
        let error = error.in_file(&crate::bundle::index_path(self.bundle.prefix()));
        self.checked.lose(row.name, Finding::new(kind, error.for_tensor(row.name)));
    }

    /// A shard that is not there is one finding, however many tensors are lost with it.
    fn tell_closed(&mut self) {
        let mut closed: Vec<_> = self.closed.drain().collect();
        closed.sort_by_key(|(shard, _)| *shard);
        for (shard, Closed { error, tensors, .. }) in closed {
            let (kind, error) = match error {
                Error::Io { path, source, context } => {
                    let missing = source.kind() == ErrorKind::NotFound;
                    self.checked.missing_shards += usize::from(missing);
                    let s = if tensors == 1 { "" } else { "s" };
                    let context =
                        format!("{context}; {tensors} tensor{s} cannot be read without it");
                    let kind =
                        if missing { FindingKind::MissingShard } else { FindingKind::Unreadable };
                    (kind, Error::Io { path, source, context: context.into() })
                }
                other => (FindingKind::Unreadable, other),
            };
            self.checked.findings.push(Finding::new(kind, error).in_shard(shard));
        }
    }
}
