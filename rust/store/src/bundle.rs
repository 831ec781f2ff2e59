//! A V2 bundle: one index, any number of shards.
//!
//! ```text
//! <prefix>.index                      a table: header and entries
//! <prefix>.data-%05d-of-%05d          the shards
//! ```

use crate::ahead::Ahead;
use crate::checksum::{EntryId, Verified};
use crate::files::Files;
use crate::index::Index;
use crate::lazy::Lazy;
use crate::shard::Shard;
use crate::source::File;
use crate::{Error, Listing, Result};
use once_cell::race::OnceBox;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tensorbundle_wire::bundle::{Entry, Header};
use tensorbundle_wire::table::{Block, Source, Table};
use tensorbundle_wire::{Fault, limits, shown};

/// How a bundle is opened.
#[derive(Clone)]
pub struct Options {
    /// Where its files are. Those of a store are never mapped.
    pub files: Files,
    /// Map the shards, so that tensors are views of them. The caller promises that the files are not changed
    /// in place or cut short while the bundle or a view of it lives. `false` reads instead.
    pub mmap: bool,
    /// Check every tensor's checksum when it is first read.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { files: Files::Local, mmap: true, verify: false }
    }
}

/// An open bundle.
pub struct Bundle {
    prefix: PathBuf,
    options: Options,
    table: Table<Index>,
    header: Header,
    blocks: Lazy<Block>,
    shards: Lazy<Shard>,
    verified: Verified,
    listing: OnceBox<Arc<Listing>>,
}

/// A tensor's entry, found in the index.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: Vec<u8>,
    /// What the index says of it.
    pub entry: Entry,
    pub(crate) id: EntryId,
}

/// The path of a bundle's index.
pub fn index_path(prefix: &Path) -> PathBuf {
    with_suffix(prefix, ".index")
}

/// The path of a bundle's shard `i` of `n`.
pub fn data_path(prefix: &Path, i: u32, n: u32) -> PathBuf {
    with_suffix(prefix, &format!(".data-{i:05}-of-{n:05}"))
}

/// A data shard that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its number.
    pub i: u32,
    /// Of how many it says to be.
    pub n: u32,
    /// Its path.
    pub path: PathBuf,
}

/// The files that are named like shards of a bundle, in the order of their names. None if the directory cannot be read.
pub fn data_files(files: &Files, prefix: &Path) -> Vec<DataFile> {
    let (dir, name) = dir_and_name(prefix);
    let start = [name.as_encoded_bytes(), b".data-"].concat();
    let number = |text: &str| (text.len() >= 5).then(|| text.parse().ok()).flatten();
    let names = files.names(dir).map_err(|error| files.note(dir, error));
    let mut found: Vec<_> = names
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| {
            let rest = name.as_encoded_bytes().strip_prefix(&*start)?;
            let (i, n) = std::str::from_utf8(rest).ok()?.split_once("-of-")?;
            Some(DataFile { i: number(i)?, n: number(n)?, path: dir.join(&name) })
        })
        .collect();
    found.sort_by_key(|file| (file.n, file.i));
    found
}

/// The directory of a prefix, and what the names of its files begin with: nothing, if it ends in a slash.
pub fn dir_and_name(prefix: &Path) -> (&Path, &OsStr) {
    let slash = prefix.as_os_str().as_encoded_bytes().last().copied();
    if slash.is_some_and(|last| std::path::is_separator(char::from(last))) {
        return (prefix, OsStr::new(""));
    }
    let dir = prefix.parent().unwrap_or(Path::new(""));
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    (dir, prefix.file_name().unwrap_or_default())
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(prefix);
    path.push(suffix);
    path.into()
}

/// What stands before every slice key; a tensor's name hardly ever.
const SLICE_KEY: u8 = 0;

impl Bundle {
    /// Opens the bundle `prefix`: reads the footer, the index block and the block that holds the header.
    pub fn open(prefix: &Path, options: Options) -> Result<Self> {
        let path = index_path(prefix);
        let file = File::open(&options.files, &path)
            .map_err(|error| Error::io(&path, error, "the index of the checkpoint"))?;
        Self::of_index(prefix, options, Index::File(file.held()))
    }

    /// The bundle of an index, of the file or of one that was written anew.
    pub(crate) fn of_index(prefix: &Path, options: Options, index: Index) -> Result<Self> {
        let path = index.path().to_owned();
        let table = Table::open(index).map_err(|error: Error| error.in_file(&path))?;
        let blocks = Lazy::new(table.block_count());
        let first = blocks.get_or_try(0, || table.load(0));
        let header = match first.map_err(|error: Error| error.in_file(&path))? {
            Some(first) => read_header(first, first.len() > 1 || table.block_count() > 1),
            None => {
                Err(Fault::corrupt("bundle header", "the index holds no entries, not even this"))
            }
        };
        let at = table.handle(0).map_or(0, |handle| handle.offset);
        let header = header.map_err(|fault| Error::fault(&path, fault.at(at)))?;
        Ok(Self {
            prefix: prefix.to_owned(),
            options,
            verified: Verified::new(table.block_count()),
            blocks,
            shards: Lazy::new(header.num_shards as usize),
            table,
            header,
            listing: OnceBox::new(),
        })
    }

    /// The prefix it was opened with.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// How it was opened.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The path of shard `i`, whether it is there or not.
    pub fn shard_path(&self, i: u32) -> PathBuf {
        data_path(&self.prefix, i, self.header.num_shards)
    }

    /// Finds a tensor. Touches one block of the index; only a name that is not there costs a pass over all
    /// of it, so that a damaged index is never taken for one without the name.
    pub fn find(&self, name: &[u8]) -> Result<Option<Found>> {
        // A slice's key is no tensor's name, unless no partitioned tensor knows of it.
        let key = match name.first() {
            None => false, // the header's
            Some(&SLICE_KEY) => self.listing()?.contains(name),
            Some(_) => true,
        };
        let found = if key { self.find_key(name) } else { Ok(None) };
        let found = found.map_err(|error| error.for_tensor(name))?;
        if found.is_none() {
            self.listing()?;
        }
        Ok(found)
    }

    /// Finds the entry of a key, which may be a slice's.
    pub(crate) fn find_key(&self, key: &[u8]) -> Result<Option<Found>> {
        let Some(i) = self.table.block_of(key) else {
            return Ok(None);
        };
        let block = self.block(i)?;
        let Some(slot) = block.get(key) else {
            return Ok(None);
        };
        let mut entry = Entry::default();
        self.parse_entry(&mut entry, &slot.value, i, self.slice_room())?;
        let id = EntryId { block: i, place: slot.place, block_len: block.byte_len() };
        Ok(Some(Found { name: key.to_owned(), entry, id }))
    }

    /// All tensors, in the order of their names. The first call goes over the whole index.
    pub fn listing(&self) -> Result<&Arc<Listing>> {
        self.listing.get_or_try_init(|| Ok(Box::new(Arc::new(Listing::read(self)?))))
    }

    /// Reads an entry of block `i`; `room` is for how many slices.
    pub(crate) fn parse_entry(
        &self,
        entry: &mut Entry,
        value: &[u8],
        i: usize,
        room: usize,
    ) -> Result<()> {
        entry.parse_into(value, room).map_err(|fault| self.entry_fault(fault, i))
    }

    /// How many slices the index has room for.
    pub(crate) fn slice_room(&self) -> usize {
        limits::max_slices(self.table.source().len())
    }

    /// How many bytes of keys block `i` has room for.
    pub(crate) fn key_room(&self, i: usize) -> usize {
        limits::max_key_bytes(self.table.handle(i).map_or(0, |handle| handle.size))
    }

    /// How many bytes the index has.
    pub(crate) fn index_len(&self) -> u64 {
        self.table.source().len()
    }

    pub(crate) fn block_count(&self) -> usize {
        self.table.block_count()
    }

    /// Block `i` of the index.
    pub(crate) fn block(&self, i: usize) -> Result<&Block> {
        let block = self.blocks.get_or_try(i, || self.table.load(i));
        self.loaded(i, block)
    }

    /// The same from what was read ahead of the index.
    pub(crate) fn block_of(&self, i: usize, ahead: &Ahead<'_>) -> Result<&Block> {
        self.loaded(i, self.blocks.get_or_try(i, || self.table.load_from(ahead, i)))
    }

    /// Calls `work` while all of an index in a store is read that lies between the blocks that were read already and its end:
    /// in one go, where a request for each block would take as long as many blocks do.
    pub(crate) fn while_ahead<T: Send>(&self, work: impl Fn(&Ahead<'_>) -> T + Sync) -> Result<T> {
        let index = self.table.source();
        let missing = |i: &usize| self.blocks.get(*i).is_none();
        let all = 0..self.table.block_count();
        let ends = all.clone().find(missing).zip(all.rev().find(missing));
        let range = ends.and_then(|(first, last)| {
            Some(self.table.handle(first)?.offset..self.table.handle(last)?.range().end)
        });
        Ahead::with(index, range, work).map_err(|error| error.in_file(index.path()))
    }

    fn loaded<'a>(&'a self, i: usize, block: Result<Option<&'a Block>>) -> Result<&'a Block> {
        let block = block.map_err(|error| error.in_file(self.table.source().path()))?;
        block.ok_or_else(|| self.entry_fault(Fault::corrupt("index block", "no such block"), i))
    }

    /// A fault in an entry of block `i`.
    pub(crate) fn entry_fault(&self, fault: Fault, i: usize) -> Error {
        let offset = self.table.handle(i).map_or(0, |handle| handle.offset);
        Error::fault(self.table.source().path(), fault.at(offset))
    }

    /// Shard `i`, opened when it is first touched.
    pub(crate) fn shard(&self, i: u32) -> Result<&Shard> {
        let n = self.header.num_shards;
        let open = || {
            let path = self.shard_path(i);
            Shard::open(&self.options, &path, || self.missing_shard(i))
        };
        let shard = self.shards.get_or_try(i as usize, open)?;
        shard.ok_or_else(|| Fault::corrupt("index entry", format!("no shard {i} of {n}")).into())
    }

    /// Reads a range of a shard ahead of the tensors in it, if it is in a store. An empty one lets
    /// go of what was read from where it begins.
    pub fn read_ahead_of(&self, shard: u32, range: &Range<u64>) -> Result<()> {
        self.shard(shard)?.read_ahead(range)
    }

    /// The shards that were to be mapped, but could not be: their tensors are read.
    pub fn unmapped_shards(&self) -> Vec<u32> {
        if self.options.files.is_remote() {
            return Vec::new(); // nobody expects it
        }
        self.shards.iter().filter(|(_, shard)| !shard.is_mapped()).map(|(i, _)| i as u32).collect()
    }

    pub(crate) fn verified(&self) -> &Verified {
        &self.verified
    }

    /// What to say when shard `i` is not there.
    fn missing_shard(&self, i: u32) -> String {
        let n = self.header.num_shards;
        let mut context =
            format!("data shard {i} of {n}: all {n} stand beside the index; is the copy complete?");
        // A merge of bundles, one of them empty, counts more shards than it leaves (FORMAT 3.5).
        // A store would be asked for each of them.
        let most = if self.options.files.is_remote() { 0 } else { n.min(64) };
        let there = |m: &u32| self.options.files.exists(&data_path(&self.prefix, i, *m));
        let other = (1..=most).filter(|&m| m != n).find(there);
        if let Some(other) = other {
            let name = data_path(Path::new(""), i, other);
            context.push_str(&format!(
                " There is a *{}: of another checkpoint, or the header counts wrong",
                name.display()
            ));
        }
        context
    }
}

/// The header is the value of the empty key, which sorts first.
fn read_header(first: &Block, more: bool) -> Result<Header, Fault> {
    let mut entries = first.iter();
    match entries.next_entry() {
        Some((b"", value)) => match Header::parse(value)? {
            Header { num_shards: 0, .. } if more => {
                Err(Fault::corrupt("bundle header", "it counts 0 data shards, but tensors follow"))
            }
            header => Ok(header),
        },
        Some((key, _)) => Err(Fault::corrupt(
            "bundle header",
            format!("the first key is {}, want the empty key", shown(key)),
        )
        .advise("this table is no checkpoint index, or it was put together wrongly")),
        None => Err(Fault::corrupt("bundle header", "the first block of the index is empty")),
    }
}
