//! A bundle from what is left of its index.
//!
//! Every block that is whole gives its entries; a block whose bytes are right but whose keys or restarts are not gives
//! what can be taken from it; without a footer or an index block, blocks are looked for. What was saved is written anew,
//! in memory, and opened as any other index: so all that reads a bundle reads a salvaged one.

use crate::bundle::{Bundle, DataFile, Options, data_files, index_path};
use crate::files::Files;
use crate::finding::{Finding, FindingKind, Findings};
use crate::index::Index;
use crate::read::ReadOptions;
use crate::scan::{Stopped, Watch};
use crate::source::File;
use crate::{Error, Result};
use bytes::Bytes;
use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;
use tensorbundle_wire::bundle::{ByteOrder, Entry, Header, SliceKeys, TensorSlice, sliced_tensor};
use tensorbundle_wire::dtype::Layout;
use tensorbundle_wire::table::{Block, Source, Table, builder, survey};
use tensorbundle_wire::varint::put_varint;
use tensorbundle_wire::{Fault, limits, shown};

/// What is left of a bundle, and what was wrong with its index.
pub struct Salvaged {
    /// The bundle of all entries that are sound in themselves.
    pub bundle: Bundle,
    /// What is wrong.
    pub findings: Findings,
    /// The names of tensors whose entries make no sense, or are lost while their slices are there.
    pub lost: HashSet<Vec<u8>>,
    /// Entries may be missing without a trace.
    pub incomplete: bool,
}

/// The entries that were taken from an index.
struct Taken<'a> {
    path: &'a Path,
    entries: BTreeMap<Vec<u8>, Bytes>,
    /// The entry that is looked at, and for how many slices there is room.
    entry: Entry,
    room: usize,
    findings: Findings,
    lost: HashSet<Vec<u8>>,
    /// The file cannot be opened as it is.
    rewrite: bool,
    incomplete: bool,
}

impl Bundle {
    /// Opens what is left of a bundle. Fails only where there is no index to be read, or `watch` stopped it: the inner
    /// error.
    pub fn salvage(
        prefix: &Path,
        options: Options,
        watch: &mut Watch<'_>,
    ) -> Result<Result<Salvaged, Stopped>> {
        let path = index_path(prefix);
        let open = |path: &Path| {
            let file = File::open(&options.files, path).map(File::held);
            file.map_err(|error| Error::io(path, error, "the index of the checkpoint"))
        };
        let file = open(&path)?;
        let len = Source::len(&file);
        let survey = survey(&file, &mut |at| watch(at as u64, len));
        let Some(survey) = survey.map_err(|error| error.in_file(&path))? else {
            return Ok(Err(Stopped));
        };
        let mut taken = Taken {
            path: &path,
            entries: BTreeMap::new(),
            entry: Entry::default(),
            room: limits::max_slices(len),
            findings: Findings::default(),
            lost: HashSet::new(),
            rewrite: survey.broken,
            incomplete: survey.incomplete,
        };
        for (fault, range) in survey.faults {
            taken.find(FindingKind::DamagedIndex, fault, range);
        }
        let unowned = if survey.blocks.is_empty() { Vec::new() } else { survey.unowned };
        for gap in unowned {
            let what = format!("{} bytes that belong to no block", gap.end - gap.start);
            taken.find(FindingKind::Unowned, Fault::corrupt("index", what).at(gap.start), gap);
        }
        if !survey.broken
            && let Some(bundle) = Self::whole(prefix, &options)
        {
            let (findings, lost) = (taken.findings, HashSet::new());
            return Ok(Ok(Salvaged { bundle, findings, lost, incomplete: false }));
        }
        let table = Table::of_blocks(file, survey.blocks);
        for i in 0..table.block_count() {
            taken.take_block(&table, i);
        }
        let guessed = taken.check_header(&options.files, prefix);
        taken.drop_orphans();
        let Taken { mut entries, findings, mut lost, rewrite, incomplete, .. } = taken;
        lost.retain(|name| !entries.contains_key(name)); // the other of two may be sound
        if !rewrite {
            let index = Index::File(open(&path)?);
            let bundle = Self::of_index(prefix, options, index)?;
            return Ok(Ok(Salvaged { bundle, findings, lost, incomplete }));
        }
        let make = |entries: &BTreeMap<Vec<u8>, Bytes>| {
            let index = rewritten(&path, &Vec::from_iter(entries));
            Self::of_index(prefix, options.clone(), index)
        };
        let mut bundle = make(&entries)?;
        if let Some(num_shards) = guessed.filter(|_| bundle.strings_fit() == Some(false)) {
            entries.insert(Vec::new(), header_of(num_shards, ByteOrder::Big));
            let big = make(&entries)?;
            if big.strings_fit() == Some(true) {
                bundle = big;
            }
        }
        Ok(Ok(Salvaged { bundle, findings, lost, incomplete }))
    }

    /// Do string tensors, whose lengths have a checksum of their own, speak for the byte order that was guessed?
    fn strings_fit(&self) -> Option<bool> {
        const ENOUGH: usize = 4;
        const SHORT: i64 = 1 << 20;
        let listing = self.listing().ok()?;
        let rows = (0..listing.len()).filter_map(|i| listing.row(i));
        let strings = rows.filter(|row| {
            row.dtype.layout() == Layout::Strings
                && row.parts.is_empty()
                && !row.dims.contains(&0)
                && row.size < SHORT
        });
        let read = strings.take(ENOUGH).map(|row| {
            let found = self.find(row.name).ok().flatten();
            found.is_some_and(|found| self.read(&found, &ReadOptions::default()).is_ok())
        });
        let read: Vec<bool> = read.collect();
        (!read.is_empty()).then(|| read.contains(&true))
    }

    /// The bundle, if there is nothing wrong with its entries, one by one.
    fn whole(prefix: &Path, options: &Options) -> Option<Self> {
        let bundle = Self::open(prefix, options.clone()).ok()?;
        bundle.listing().ok()?;
        Some(bundle)
    }

    /// The bundle without some of its tensors.
    pub fn without(&self, names: &HashSet<Vec<u8>>) -> Result<Self> {
        let listing = self.listing()?;
        let mut dropped: HashSet<Vec<u8>> = names.clone();
        for row in names.iter().filter_map(|name| listing.row(listing.position(name)?)) {
            let mut keys = SliceKeys::new(row.name);
            dropped.extend(row.parts.iter().map(|part| keys.key(&part.slice).to_vec()));
        }
        let mut entries = Vec::new();
        for i in 0..self.block_count() {
            let mut walk = self.block(i)?.iter();
            while let Some((key, value)) = walk.next_entry() {
                if !dropped.contains(key) {
                    entries.push((key.to_vec(), Bytes::copy_from_slice(value)));
                }
            }
        }
        let index = rewritten(&index_path(self.prefix()), &entries);
        Self::of_index(self.prefix(), self.options().clone(), index)
    }
}

/// A header as TensorFlow writes it.
fn header_of(num_shards: u32, order: ByteOrder) -> Bytes {
    let mut header = vec![0x08];
    put_varint(&mut header, num_shards.into());
    if order == ByteOrder::Big {
        header.extend_from_slice(&[0x10, 1]);
    }
    header.extend_from_slice(&[0x1a, 2, 0x08, 1]);
    header.into()
}

/// How many shards the files beside an index speak of: of a set that is complete, if there is one.
fn shards_there(files: &Files, prefix: &Path) -> u32 {
    let sound = |file: &DataFile| (1..=limits::MAX_SHARDS).contains(&file.n) && file.i < file.n;
    let files: Vec<_> = data_files(files, prefix).into_iter().filter(sound).collect();
    let sets = files.chunk_by(|a, b| a.n == b.n);
    let best = sets.max_by_key(|set| {
        let n = set.first().map_or(1, |file| file.n);
        (set.len() as u32 == n, set.len(), n)
    });
    best.and_then(<[DataFile]>::first).map_or(1, |file| file.n)
}

fn rewritten<K: AsRef<[u8]>, V: AsRef<[u8]>>(path: &Path, entries: &[(K, V)]) -> Index {
    let bytes = builder::table(entries, builder::Options::default());
    Index::Rewritten { path: path.to_owned(), bytes: bytes.into() }
}

impl Taken<'_> {
    fn find(&mut self, kind: FindingKind, fault: Fault, range: Range<u64>) {
        self.findings.push(Finding::new(kind, Error::fault(self.path, fault)).at(range));
    }

    fn take_block(&mut self, table: &Table<File>, i: usize) {
        let Some(known) = table.known(i) else {
            return;
        };
        let range = known.handle.range();
        let error = match table.load(i) {
            Ok(block) => return self.take_entries(&block, &range),
            Err(error) => error.in_file(self.path),
        };
        self.findings.push(Finding::new(FindingKind::DamagedIndex, error).at(range.clone()));
        self.rewrite = true;
        let len = (range.end - range.start) as usize; // it was to be loaded
        let stored = table.source().read(range.start, len).ok();
        let rescued = stored.and_then(|stored| Block::rescue(&stored, "data block"));
        let (entries, all) = rescued.unwrap_or_default();
        if !all {
            self.incomplete = true;
            let before = i.checked_sub(1).and_then(|before| table.known(before));
            let from = match entries.last() {
                Some((key, _)) => shown(key),
                None => before.map_or("the first".to_owned(), |known| shown(&known.separator)),
            };
            let what = format!(
                "the entries behind {from}, up to {}, cannot be read: the tensors of those names are lost",
                shown(&known.separator)
            );
            let fault = Fault::corrupt("data block", what).at(range.start);
            self.find(FindingKind::DamagedIndex, fault, range.clone());
        }
        for (key, value) in entries {
            self.take(key, value, &range);
        }
    }

    /// Takes an entry, if it makes sense. Of two under one key the first counts.
    fn take(&mut self, key: Vec<u8>, value: Bytes, range: &Range<u64>) {
        if !self.is_sound(&key, &value) {
            return;
        }
        match self.entries.entry(key) {
            Slot::Vacant(slot) => {
                slot.insert(value);
            }
            Slot::Occupied(slot) if *slot.get() == value => {}
            Slot::Occupied(slot) => {
                let what = "the key comes twice, with other values; the first counts";
                let fault = Fault::corrupt("data block", what).at(range.start);
                let error = Error::fault(self.path, fault).for_tensor(slot.key());
                self.findings.push(Finding::new(FindingKind::BadEntry, error).at(range.clone()));
            }
        }
    }

    fn take_entries(&mut self, block: &Block, range: &Range<u64>) {
        let mut room = limits::max_key_bytes(range.end - range.start);
        let mut walk = block.iter();
        while let Some((key, _)) = walk.next_entry() {
            let Some(left) = room.checked_sub(key.len()) else {
                let what = "the names of its tensors are out of all proportion to it";
                let fault = Fault::unsupported("data block", what).at(range.start);
                (self.rewrite, self.incomplete) = (true, true);
                return self.find(FindingKind::DamagedIndex, fault, range.clone());
            };
            room = left;
            if let Some((key, slot)) = walk.entry() {
                self.take(key.to_vec(), slot.value, range);
            }
        }
    }

    /// Without a header, the files say how many shards there are; without files, nobody does. Gives that number if the
    /// byte order was not to be had.
    fn check_header(&mut self, files: &Files, prefix: &Path) -> Option<u32> {
        let value = self.entries.get(&b""[..]);
        let fault = match value.map(|value| Header::parse(value)) {
            Some(Ok(Header { num_shards: 0, .. })) if self.entries.len() > 1 => {
                Fault::corrupt("bundle header", "it counts 0 data shards, but tensors follow")
            }
            Some(Ok(_)) => return None,
            Some(Err(fault)) => fault,
            None => Fault::corrupt("bundle header", "it is lost"),
        };
        let (num_shards, order) = value.map_or((None, None), |value| Header::glean(value));
        let says = if num_shards.is_some() { "it says" } else { "the files beside it suggest" };
        let num_shards = num_shards.unwrap_or_else(|| shards_there(files, prefix));
        let guess = if order.is_some() { "" } else { "; that they are little-endian is a guess" };
        let what = format!("taken for one of {num_shards} shards, as {says}{guess}");
        let fault = fault.advise(what);
        self.rewrite = true;
        if !self.entries.is_empty() {
            let error = Error::fault(self.path, fault);
            self.findings.push(Finding::new(FindingKind::DamagedIndex, error));
        }
        self.entries.insert(Vec::new(), header_of(num_shards, order.unwrap_or_default()));
        order.is_none().then_some(num_shards)
    }

    /// Does an entry make sense? The header's does elsewhere.
    fn is_sound(&mut self, key: &[u8], value: &[u8]) -> bool {
        if key.is_empty() {
            return true;
        }
        let parsed = match key.len() > limits::MAX_KEY {
            false => self.entry.parse_into(value, self.room),
            true => Err(Fault::unsupported("data block", "its key is too long to be read again")),
        };
        match parsed {
            Ok(()) => {
                let places = self.entry.slices.iter().map(TensorSlice::places).sum();
                self.room = self.room.saturating_sub(places);
                true
            }
            Err(fault) => {
                self.rewrite = true;
                // A slice that is lost is a matter of its tensor.
                if !key.starts_with(&[0]) {
                    self.lost.insert(key.to_vec());
                }
                let error = Error::fault(self.path, fault).for_tensor(key);
                self.findings.push(Finding::new(FindingKind::BadEntry, error));
                false
            }
        }
    }

    /// Leaves out slices whose tensor is among what was lost. In a whole index they would be tensors with odd names.
    fn drop_orphans(&mut self) {
        if !self.incomplete && !self.rewrite {
            return;
        }
        let slices = self.entries.keys().filter(|key| key.starts_with(&[0]));
        let orphans: Vec<_> = slices
            .filter_map(|key| Some((key.clone(), sliced_tensor(key)?)))
            .filter(|(_, name)| !self.entries.contains_key(name))
            .collect();
        for (key, name) in orphans {
            self.entries.remove(&key);
            if self.lost.insert(name.clone()) {
                let what = "its slices are there, but its own entry is lost";
                let error = Error::fault(self.path, Fault::corrupt("index", what));
                let finding = Finding::new(FindingKind::BadEntry, error.for_tensor(&name));
                self.findings.push(finding);
            }
        }
    }
}
