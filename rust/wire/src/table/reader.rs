//! A table in some source of bytes: the index block at once, data blocks one by one when asked for.

use super::{Block, BlockHandle, FOOTER_LEN, Footer};
use crate::varint::Cursor;
use crate::{Fault, Result, limits, lookalike};
use bytes::Bytes;

/// Where a table's bytes come from.
pub trait Source {
    /// What can go wrong: at least a fault in the bytes.
    type Error: From<Fault>;

    /// How many bytes there are.
    fn len(&self) -> u64;

    /// There are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from `offset` on. The caller has held the range against [`Source::len`].
    fn read(&self, offset: u64, len: usize) -> Result<Bytes, Self::Error>;
}

impl Source for Bytes {
    type Error = Fault;

    fn len(&self) -> u64 {
        Bytes::len(self) as u64
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let range =
            usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(len)?));
        range
            .filter(|range| range.end <= Bytes::len(self))
            .map(|range| self.slice(range))
            .ok_or_else(|| {
                Fault::corrupt("bytes", format!("{len} bytes at {offset} are not there"))
            })
    }
}

/// A table that is open: its index block is read and checked.
pub struct Table<S> {
    source: S,
    blocks: Vec<Known>,
}

/// A data block, as the index block knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Not below the last key of the block, below the first key of the next.
    pub separator: Box<[u8]>,
    /// Where it lies.
    pub handle: BlockHandle,
}

impl<S: Source> Table<S> {
    /// Reads the footer and the index block.
    pub fn open(source: S) -> Result<Self, S::Error> {
        let blocks = read_index(&source)?;
        Ok(Self { source, blocks })
    }

    /// A table whose blocks were found in another way; they are read and checked as those of any other.
    pub fn of_blocks(source: S, blocks: Vec<Known>) -> Self {
        Self { source, blocks }
    }

    /// Where the bytes come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// How many data blocks there are.
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The one block that can hold `key`.
    pub fn block_of(&self, key: &[u8]) -> Option<usize> {
        let i = self.blocks.partition_point(|block| *block.separator < *key);
        (i < self.blocks.len()).then_some(i)
    }

    /// What is known of block `i`.
    pub fn known(&self, i: usize) -> Option<&Known> {
        self.blocks.get(i)
    }

    /// Where block `i` lies.
    pub fn handle(&self, i: usize) -> Option<BlockHandle> {
        self.blocks.get(i).map(|block| block.handle)
    }

    /// Reads and checks data block `i`.
    pub fn load(&self, i: usize) -> Result<Block, S::Error> {
        self.load_from(&self.source, i)
    }

    /// The same from another source of the same bytes.
    pub fn load_from<T: Source>(&self, source: &T, i: usize) -> Result<Block, T::Error> {
        const PART: &str = "data block";
        let Some(Known { separator, handle }) = self.blocks.get(i) else {
            return Err(
                Fault::corrupt(PART, format!("no block {i} of {}", self.blocks.len())).into()
            );
        };
        let block = read_block(source, *handle, PART)?;
        self.check_keys(i, separator, &block).map_err(|fault| fault.at(handle.offset))?;
        Ok(block)
    }

    /// Holds a block's keys against the separators around it: a key outside could be listed, never found.
    fn check_keys(&self, i: usize, separator: &[u8], block: &Block) -> Result<()> {
        let outside = || {
            Fault::corrupt("data block", "it holds keys that the index block promises elsewhere")
                .advise("the index is damaged or was put together wrongly")
        };
        let before = i.checked_sub(1).and_then(|before| self.blocks.get(before));
        let mut walk = block.iter();
        let Some((first, _)) = walk.next_entry() else {
            return Ok(());
        };
        if before.is_some_and(|before| first <= &*before.separator) {
            return Err(outside());
        }
        let above = block.last_key() > separator;
        if above { Err(outside()) } else { Ok(()) }
    }
}

fn read_index<S: Source>(source: &S) -> Result<Vec<Known>, S::Error> {
    const PART: &str = "index block";
    let len = source.len();
    let Some(blocks_end) = len.checked_sub(FOOTER_LEN) else {
        let fault =
            Fault::corrupt("footer", format!("the file has {len} bytes, a table has at least 48"));
        return Err(explain(source, fault)?.into());
    };
    let footer = match Footer::parse(&source.read(blocks_end, FOOTER_LEN as usize)?) {
        Ok(footer) => footer,
        Err(fault) => return Err(explain(source, fault.at(blocks_end))?.into()),
    };
    footer
        .index
        .end_within(blocks_end, "footer", "the index block")
        .map_err(|fault| fault.at(blocks_end))?;
    let block = read_block(source, footer.index, PART)?;
    let mut blocks = Vec::with_capacity(block.len());
    let mut room = limits::max_key_bytes(footer.index.size);
    let mut free = 0;
    let mut walk = block.iter();
    while let Some((separator, value)) = walk.next_entry() {
        let at = |fault: Fault| fault.at(footer.index.offset);
        let handle = BlockHandle::take(&mut Cursor::new(value)).map_err(|short| {
            at(Fault::corrupt(PART, format!("bad block handle of block {}: {short}", blocks.len())))
        })?;
        let end = handle
            .end_within(blocks_end, PART, &format!("data block {}", blocks.len()))
            .map_err(at)?;
        room = room.checked_sub(separator.len()).ok_or_else(|| {
            at(Fault::unsupported(PART, "its keys are out of all proportion to its size"))
        })?;
        if handle.offset < free {
            return Err(at(Fault::corrupt(
                PART,
                format!(
                    "block {} begins at byte {}, before the one before ends ({free})",
                    blocks.len(),
                    handle.offset
                ),
            ))
            .into());
        }
        free = end;
        blocks.push(Known { separator: separator.into(), handle });
    }
    Ok(blocks)
}

pub(super) fn read_block<S: Source>(
    source: &S,
    handle: BlockHandle,
    part: &'static str,
) -> Result<Block, S::Error> {
    let end = handle
        .end_within(source.len(), part, "this block")
        .map_err(|fault| fault.at(handle.offset))?;
    let len = usize::try_from(end - handle.offset)
        .map_err(|_| Fault::unsupported(part, "a block larger than this machine can address"))?;
    let stored = source.read(handle.offset, len)?;
    Ok(Block::open(&stored, part).map_err(|fault| fault.at(handle.offset))?)
}

/// Adds to a fault of the footer what the file looks like instead.
pub(super) fn explain<S: Source>(source: &S, fault: Fault) -> Result<Fault, S::Error> {
    let head = source.read(0, source.len().min(lookalike::HEAD_LEN) as usize)?;
    Ok(fault.advise(lookalike::describe(&head, source.len()).unwrap_or_else(|| {
        "this is no checkpoint index, or its end is missing, or something was appended to it".into()
    })))
}
