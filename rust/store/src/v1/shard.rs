//! One file of a V1 checkpoint: a table whose blocks hold the values too.

use crate::files::Files;
use crate::finding::{Finding, FindingKind};
use crate::scan::{Stopped, Watch};
use crate::source::File;
use crate::{Error, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use tensorbundle_wire::bundle::{SliceKeys, TensorSlice};
use tensorbundle_wire::table::{Block, BlockHandle, Source, Table, survey};
use tensorbundle_wire::v1::{self, Contents, Record, SavedTensor};
use tensorbundle_wire::{Fault, shown};

/// An open file.
pub(super) struct V1Shard {
    /// Which of the files it is, also if some before it are missing.
    pub(super) number: u32,
    table: Table<File>,
    producer: i32,
    /// The block that was read last, if it is small: the next tensor is often in the same. Nobody waits for it:
    /// who finds it locked reads the block again.
    last: Mutex<Option<(usize, Block)>>,
}

fn open(files: &Files, path: &Path) -> Result<File> {
    let file = File::open(files, path);
    file.map(File::held).map_err(|error| Error::io(path, error, "a V1 checkpoint"))
}

/// Blocks of more bytes than this are not kept. TensorFlow cuts a block at 256 KiB; larger is one with a large value.
const SMALL: usize = 8 << 20;

impl V1Shard {
    /// Reads the footer, the index block and the block with the contents: also gives what those list.
    pub(super) fn open(files: &Files, path: &Path) -> Result<(Self, Vec<SavedTensor>)> {
        let file = open(files, path)?;
        let table = Table::open(file).map_err(|error: Error| error.in_file(path))?;
        let mut shard = Self { number: 0, table, producer: 0, last: Mutex::new(None) };
        let contents = shard.read_contents()?;
        shard.producer = contents.producer;
        Ok((shard, contents.tensors))
    }

    /// Opens what is left of a file: its blocks, and the tensors that its contents list, if those can be read.
    pub(super) fn salvage(
        files: &Files,
        path: &Path,
        tell: &mut impl FnMut(Finding),
        watch: &mut Watch<'_>,
    ) -> Result<Result<(Self, Vec<SavedTensor>), Stopped>> {
        let file = open(files, path)?;
        let len = Source::len(&file);
        let survey = survey(&file, &mut |at| watch(at as u64, len));
        let Some(survey) = survey.map_err(|error| error.in_file(path))? else {
            return Ok(Err(Stopped));
        };
        for (fault, range) in survey.faults {
            tell(Finding::new(FindingKind::DamagedIndex, Error::fault(path, fault)).at(range));
        }
        for gap in survey.unowned {
            let what = format!("{} bytes that belong to no block", gap.end - gap.start);
            let fault = Fault::corrupt("V1 file", what).at(gap.start);
            tell(Finding::new(FindingKind::Unowned, Error::fault(path, fault)).at(gap));
        }
        let table = Table::of_blocks(file, survey.blocks);
        let mut shard = Self { number: 0, table, producer: 0, last: Mutex::new(None) };
        let tensors = match shard.read_contents() {
            Ok(contents) => {
                shard.producer = contents.producer;
                contents.tensors
            }
            Err(error) => {
                tell(Finding::new(FindingKind::DamagedIndex, error).at(shard.range_of(0)));
                Vec::new()
            }
        };
        Ok(Ok((shard, tensors)))
    }

    pub(super) fn block_count(&self) -> usize {
        self.table.block_count()
    }

    /// Which bytes of the file block `i` has, with its trailer.
    pub(super) fn range_of(&self, i: usize) -> Range<u64> {
        self.table.handle(i).map_or(0..0, BlockHandle::range)
    }

    /// Block `i`, read anew.
    pub(super) fn load(&self, i: usize) -> Result<Block> {
        self.table.load(i).map_err(|error: Error| error.in_file(self.path()))
    }

    /// A fault somewhere in this file.
    pub(super) fn fault(&self, fault: Fault) -> Error {
        Error::fault(self.path(), fault)
    }

    fn read_contents(&self) -> Result<Contents> {
        const PART: &str = "table of contents";
        let nothing = |what: &str| self.contents_fault(Fault::corrupt(PART, what));
        if self.table.block_count() == 0 {
            return Err(nothing("the table holds no entries, not even this"));
        }
        let block = self.block(0)?;
        let mut entries = block.iter();
        match entries.next_entry() {
            Some((b"", value)) if v1::is_contents(value) => {
                Contents::parse(value, self.len()).map_err(|fault| self.contents_fault(fault))
            }
            Some((b"", value)) if value.first() == Some(&0x08) => Err(self.contents_fault(
                Fault::corrupt(PART, "this is the index of a V2 checkpoint")
                    .advise("it must be called PREFIX.index, with its data shards beside it"),
            )),
            Some((b"", _)) => Err(nothing("the value of the empty key is no table of contents")),
            Some((key, _)) => Err(nothing(&format!(
                "the first key is {}, want the empty key of the table of contents",
                shown(key)
            ))),
            None => Err(nothing("the first block is empty")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.table.source().path()
    }

    pub(super) fn producer(&self) -> i32 {
        self.producer
    }

    /// How many bytes the file has.
    pub(super) fn len(&self) -> u64 {
        self.table.source().len()
    }

    /// The number of the block that a slice's record is in, if there is one.
    pub(super) fn block_of(&self, name: &[u8], slice: &TensorSlice) -> Option<usize> {
        self.table.block_of(SliceKeys::new(name).key(slice))
    }

    /// The record of a slice, and where its block begins in the file. `held` is the block that was used last.
    pub(super) fn record(
        &self,
        name: &[u8],
        slice: &TensorSlice,
        held: &mut Option<(usize, Block)>,
    ) -> Result<(Record, u64)> {
        let mut keys = SliceKeys::new(name);
        let key = keys.key(slice);
        let missing = || {
            let what = format!(
                "the table of contents lists the slice {:?}, but no record has its key",
                slice.0
            );
            let fault = Fault::corrupt("record", what);
            self.contents_fault(fault.advise("the file is damaged, or was put together wrongly"))
        };
        let i = self.table.block_of(key).ok_or_else(missing)?;
        let block = match held {
            Some((number, block)) if *number == i => block,
            _ => &held.insert((i, self.block(i)?)).1,
        };
        let slot = block.get(key).ok_or_else(missing)?;
        let offset = self.table.handle(i).map_or(0, |handle| handle.offset);
        let at = |fault: Fault| Error::fault(self.path(), fault.at(offset));
        let record = Record::parse(&slot.value).map_err(at)?;
        record.check(name, slice).map_err(at)?;
        Ok((record, offset))
    }

    fn block(&self, i: usize) -> Result<Block> {
        if let Ok(last) = self.last.try_lock()
            && let Some((_, block)) = last.as_ref().filter(|(number, _)| *number == i)
        {
            return Ok(block.clone());
        }
        let block = self.load(i)?;
        if block.byte_len() <= SMALL
            && let Ok(mut last) = self.last.try_lock()
        {
            *last = Some((i, block.clone()));
        }
        Ok(block)
    }

    /// A fault in what the contents say.
    pub(super) fn contents_fault(&self, fault: Fault) -> Error {
        let offset = self.table.handle(0).map_or(0, |handle| handle.offset);
        Error::fault(self.path(), fault.at(offset))
    }
}
