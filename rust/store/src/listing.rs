//! Every tensor of a bundle, from one pass over its index: columns, not objects.

use crate::Result;
use crate::ahead::Ahead;
use crate::bundle::Bundle;
use crate::parallel::both;
use crate::scan::in_order;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use tensorbundle_wire::Fault;
use tensorbundle_wire::bundle::{Entry, Shape, SliceKeys, TensorSlice};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::dtype::DataType;

/// Blocks of an index that one core reads in one go: half a mebibyte or so.
const GROUP: usize = 2;

/// The tensors of a bundle, in the order of their names.
#[derive(Debug, Default)]
pub struct Listing {
    names: Ragged<u8>,
    shapes: Ragged<u64>,
    dtypes: Vec<DataType>,
    shards: Vec<i32>,
    offsets: Vec<i64>,
    sizes: Vec<i64>,
    crcs: Vec<MaskedCrc>,
    /// The slices of those rows that are partitioned tensors.
    parts: HashMap<usize, Vec<Part>>,
}

/// What the index says of one tensor. The place in the shards is as stored, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its name: any bytes.
    pub name: &'a [u8],
    /// Its dimensions.
    pub dims: &'a [u64],
    /// Type of its elements.
    pub dtype: DataType,
    /// Number of its shard; means nothing if it is partitioned, like all that follow.
    pub shard: i32,
    /// Where in the shard.
    pub offset: i64,
    /// How many bytes.
    pub size: i64,
    /// Its checksum.
    pub crc: MaskedCrc,
    /// Its slices, if it is partitioned.
    pub parts: &'a [Part],
}

/// Where tensors are, as columns: of each what [`Row`] says.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Types of their elements.
    pub dtypes: &'a [DataType],
    /// Numbers of their shards.
    pub shards: &'a [i32],
    /// Where in the shards.
    pub offsets: &'a [i64],
    /// How many bytes.
    pub sizes: &'a [i64],
    /// Their checksums.
    pub crcs: &'a [MaskedCrc],
}

/// One slice of a partitioned tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which part of the tensor.
    pub slice: TensorSlice,
    /// Its own entry; `None` if the index lacks it.
    pub entry: Option<Entry>,
}

impl Row<'_> {
    /// Bytes in the shards.
    pub fn stored_bytes(&self) -> u64 {
        let bytes = |size: i64| u64::try_from(size).unwrap_or(0);
        if self.parts.is_empty() {
            return bytes(self.size);
        }
        let entries = self.parts.iter().filter_map(|part| part.entry.as_ref());
        entries.fold(0, |sum, entry| sum.saturating_add(bytes(entry.size)))
    }

    /// Where it begins in the files, by shard and offset; if it is partitioned, its first slice.
    pub fn place(&self) -> (i32, i64) {
        let entry = self.parts.first().and_then(|part| part.entry.as_ref());
        entry.map_or((self.shard, self.offset), |entry| (entry.shard, entry.offset))
    }

    /// The row as an entry, without its slices: those stand in the listing's `parts`.
    pub(crate) fn to_entry(self) -> Result<Entry, Fault> {
        let dims: Vec<_> = self.dims.iter().map(|&dim| dim as i64).collect();
        Ok(Entry {
            dtype: self.dtype,
            shape: Shape::new(&dims)?,
            shard: self.shard,
            offset: self.offset,
            size: self.size,
            crc: self.crc,
            slices: Vec::new(),
        })
    }
}

impl Listing {
    /// A listing of one tensor.
    pub fn of(name: &[u8], entry: &Entry, parts: Vec<Part>) -> Self {
        let mut listing = Self::default();
        listing.append(name, entry, parts);
        listing
    }

    /// Appends a tensor, whose name comes behind all others, and its slices, if it is partitioned.
    pub fn append(&mut self, name: &[u8], entry: &Entry, parts: Vec<Part>) {
        if !parts.is_empty() {
            self.parts.insert(self.len(), parts);
        }
        self.push(name, entry);
    }

    /// How many tensors.
    pub fn len(&self) -> usize {
        self.dtypes.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.dtypes.is_empty()
    }

    /// The name of tensor `i`.
    pub fn name(&self, i: usize) -> Option<&[u8]> {
        self.names.get(i)
    }

    /// All names.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.name(i).unwrap_or_default())
    }

    /// The dimensions of tensor `i`.
    pub fn dims(&self, i: usize) -> Option<&[u64]> {
        self.shapes.get(i)
    }

    /// The types of all tensors.
    pub fn dtypes(&self) -> &[DataType] {
        &self.dtypes
    }

    /// Tensor `i`.
    pub fn row(&self, i: usize) -> Option<Row<'_>> {
        Some(Row {
            name: self.names.get(i)?,
            dims: self.shapes.get(i)?,
            dtype: *self.dtypes.get(i)?,
            shard: *self.shards.get(i)?,
            offset: *self.offsets.get(i)?,
            size: *self.sizes.get(i)?,
            crc: *self.crcs.get(i)?,
            parts: self.parts.get(&i).map_or(&[], Vec::as_slice),
        })
    }

    /// The names of some of them, one behind the other.
    pub fn name_bytes(&self, rows: Range<usize>) -> &[u8] {
        self.names.span(rows)
    }

    /// Where some of them are; `None` if there are partitioned tensors among all.
    pub fn places(&self, rows: Range<usize>) -> Option<Places<'_>> {
        if !self.parts.is_empty() {
            return None;
        }
        Some(Places {
            dtypes: self.dtypes.get(rows.clone())?,
            shards: self.shards.get(rows.clone())?,
            offsets: self.offsets.get(rows.clone())?,
            sizes: self.sizes.get(rows.clone())?,
            crcs: self.crcs.get(rows)?,
        })
    }

    /// Is there a tensor of this name?
    pub fn contains(&self, name: &[u8]) -> bool {
        self.find(name, self.len()).is_some()
    }

    /// The number of the tensor of this name.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.find(name, self.len())
    }

    /// The row of a name among the first `rows`.
    fn find(&self, name: &[u8], rows: usize) -> Option<usize> {
        let (mut low, mut high) = (0, rows);
        while low < high {
            let middle = low.midpoint(high);
            match self.name(middle)?.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    fn push(&mut self, name: &[u8], entry: &Entry) {
        self.names.push(name);
        self.shapes.push(entry.shape.dims());
        self.dtypes.push(entry.dtype);
        self.shards.push(entry.shard);
        self.offsets.push(entry.offset);
        self.sizes.push(entry.size);
        self.crcs.push(entry.crc);
    }

    /// Reads the whole index, with all cores if it is large.
    pub(crate) fn read(bundle: &Bundle) -> Result<Self> {
        let blocks = bundle.block_count();
        let jobs = blocks.div_ceil(GROUP);
        let room = AtomicUsize::new(bundle.slice_room());
        let group = |job: usize| job * GROUP..blocks.min((job + 1) * GROUP);
        let groups = bundle.while_ahead(|ahead| {
            let work = |job| Self::read_blocks(bundle, ahead, group(job), &room);
            in_order(jobs, bundle.index_len(), work)
        })?;
        let mut listing = Self::joined(groups.into_iter().collect::<Result<_>>()?);
        if listing.parts.is_empty() {
            return Ok(listing);
        }
        // Keys that begin with 00 come first.
        let slice_keys = listing.names().take_while(|name| name.starts_with(&[0])).count();
        let tied = listing.tie_slices(slice_keys)?;
        Ok(listing.without(&tied)?)
    }

    /// Some blocks of the index; `room` is for how many slices.
    fn read_blocks(
        bundle: &Bundle,
        ahead: &Ahead<'_>,
        blocks: Range<usize>,
        room: &AtomicUsize,
    ) -> Result<Self> {
        let mut listing = Self::default();
        let mut entry = Entry::default();
        for i in blocks {
            let block = bundle.block_of(i, ahead)?;
            let most_names = listing.names.values.len() + bundle.key_room(i);
            listing.reserve(block.len());
            let mut walk = block.iter();
            while let Some((key, value)) = walk.next_entry() {
                if key.is_empty() {
                    continue; // the header
                }
                let left = room.load(Ordering::Relaxed);
                let parsed = bundle.parse_entry(&mut entry, value, i, left);
                parsed.map_err(|error| error.for_tensor(key))?;
                if !entry.slices.is_empty() {
                    let slices = std::mem::take(&mut entry.slices).into_iter();
                    let places = slices.as_slice().iter().map(TensorSlice::places).sum();
                    // Others may have taken of it at the same time: what is too much then is refused next.
                    let take = |left: usize| Some(left.saturating_sub(places));
                    let _ = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
                    let parts = slices.map(|slice| Part { slice, entry: None }).collect();
                    listing.parts.insert(listing.len(), parts);
                }
                listing.push(key, &entry);
                if listing.names.values.len() > most_names {
                    let what = "the names of its tensors are out of all proportion to it";
                    return Err(bundle.entry_fault(Fault::unsupported("data block", what), i));
                }
            }
        }
        Ok(listing)
    }

    /// One behind the other. Of a large index this is a third of the work: so each column is made at once, the largest by a
    /// core of its own.
    fn joined(mut groups: Vec<Self>) -> Self {
        if groups.len() < 2 {
            return groups.pop().unwrap_or_default();
        }
        let mut parts = HashMap::new();
        let mut before = 0;
        for group in &mut groups {
            parts.extend(group.parts.drain().map(|(row, parts)| (before + row, parts)));
            before += group.len();
        }
        let groups = &groups;
        let (names, others) = both(
            || Ragged::joined(groups.iter().map(|group| &group.names)),
            || Self {
                names: Ragged::default(),
                shapes: Ragged::joined(groups.iter().map(|group| &group.shapes)),
                dtypes: joined(groups, |group| &group.dtypes),
                shards: joined(groups, |group| &group.shards),
                offsets: joined(groups, |group| &group.offsets),
                sizes: joined(groups, |group| &group.sizes),
                crcs: joined(groups, |group| &group.crcs),
                parts,
            },
        );
        Self { names, ..others }
    }

    fn reserve(&mut self, rows: usize) {
        self.names.ends.reserve(rows);
        self.shapes.ends.reserve(rows);
        self.dtypes.reserve(rows);
        self.shards.reserve(rows);
        self.offsets.reserve(rows);
        self.sizes.reserve(rows);
        self.crcs.reserve(rows);
    }

    /// Gives the partitioned tensors the entries of their slices; says which rows those were.
    fn tie_slices(&mut self, slice_keys: usize) -> Result<Vec<bool>, Fault> {
        let mut tied = vec![false; self.len()];
        let mut parts = std::mem::take(&mut self.parts);
        for (&row, parts) in &mut parts {
            let mut keys = SliceKeys::new(self.name(row).unwrap_or_default());
            for part in parts {
                let Some(at) = self.find(keys.key(&part.slice), slice_keys) else {
                    continue;
                };
                part.entry = self.row(at).map(Row::to_entry).transpose()?;
                if let Some(tied) = tied.get_mut(at) {
                    *tied = true;
                }
            }
        }
        self.parts = parts;
        Ok(tied)
    }

    /// The listing without the rows that are slices of others. What looks like a slice's key and belongs to no
    /// tensor stays: it is a tensor with an odd name.
    fn without(mut self, tied: &[bool]) -> Result<Self, Fault> {
        let mut left = Self::default();
        for (i, _) in tied.iter().enumerate().filter(|&(_, tied)| !tied) {
            let parts = self.parts.remove(&i);
            if let Some(row) = self.row(i) {
                if let Some(parts) = parts {
                    left.parts.insert(left.len(), parts);
                }
                left.push(row.name, &row.to_entry()?);
            }
        }
        Ok(left)
    }
}

impl Bundle {
    /// Everything the index says of a tensor, as a listing of one. Touches one block; of a partitioned tensor,
    /// goes over the whole index once for the entries of its slices.
    pub fn info(&self, name: &[u8]) -> Result<Option<Listing>> {
        let Some(found) = self.find(name)? else {
            return Ok(None);
        };
        let mut parts = Vec::new();
        if !found.entry.slices.is_empty() {
            let listing = self.listing()?;
            let row = listing.find(name, listing.len());
            parts = row.and_then(|row| listing.parts.get(&row)).cloned().unwrap_or_default();
        }
        Ok(Some(Listing::of(name, &found.entry, parts)))
    }
}

fn joined<T: Copy>(groups: &[Listing], column: impl Fn(&Listing) -> &Vec<T>) -> Vec<T> {
    let columns: Vec<_> = groups.iter().map(|group| column(group).as_slice()).collect();
    columns.concat()
}

/// A column of lists: all values in one allocation, and where each list ends.
#[derive(Debug)]
struct Ragged<T> {
    values: Vec<T>,
    ends: Vec<usize>,
}

impl<T: Copy> Ragged<T> {
    fn push(&mut self, list: &[T]) {
        self.values.extend_from_slice(list);
        self.ends.push(self.values.len());
    }

    fn joined<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self
    where
        T: 'a,
    {
        let values: Vec<_> = all.clone().map(|one| one.values.as_slice()).collect();
        let mut ends = Vec::with_capacity(all.clone().map(|one| one.ends.len()).sum());
        let mut before = 0;
        for one in all {
            ends.extend(one.ends.iter().map(|end| before + end));
            before += one.values.len();
        }
        Self { values: values.concat(), ends }
    }

    fn get(&self, i: usize) -> Option<&[T]> {
        self.values.get(self.start(i)?..*self.ends.get(i)?)
    }

    /// Where list `i` begins: where the one before ends.
    fn start(&self, i: usize) -> Option<usize> {
        i.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())
    }

    /// The values of some lists, one behind the other.
    fn span(&self, lists: Range<usize>) -> &[T] {
        let range = self.start(lists.start).zip(self.start(lists.end));
        range.and_then(|(start, end)| self.values.get(start..end)).unwrap_or_default()
    }
}

impl<T> Default for Ragged<T> {
    fn default() -> Self {
        Self { values: Vec::new(), ends: Vec::new() }
    }
}
