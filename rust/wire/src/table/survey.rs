//! What can still be said of a table, whatever is wrong with it.
//!
//! Where [`Table::open`](super::Table::open) stops at the first fault, a survey goes on: without a footer or an index
//! block it looks for the blocks themselves; what of the file belongs to no block is said too.

use super::reader::{explain, read_block};
use super::{Block, BlockHandle, FOOTER_LEN, Footer, Known, Source, find_blocks};
use crate::varint::Cursor;
use crate::{Fault, limits};
use std::ops::Range;

/// What there is of a table.
#[derive(Debug, Default)]
pub struct Survey {
    /// Its data blocks, in the order of their keys, as far as they are known. They may be damaged.
    pub blocks: Vec<Known>,
    /// What is wrong with the footer, the index block and the metaindex block, each with its place.
    pub faults: Vec<(Fault, Range<u64>)>,
    /// Bytes of the file that belong to no block.
    pub unowned: Vec<Range<u64>>,
    /// The table cannot be opened as it is.
    pub broken: bool,
    /// Not all blocks are known: entries may be missing without a trace.
    pub incomplete: bool,
}

/// Looks at footer, index block and metaindex block of a table; at its data blocks only if it must. Nothing if `watch`
/// stopped the search for them.
pub fn survey<S: Source>(
    source: &S,
    watch: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Survey>, S::Error> {
    let mut survey = Survey::default();
    let len = source.len();
    let blocks_end = len.saturating_sub(FOOTER_LEN);
    let tail = source.read(blocks_end, (len - blocks_end) as usize)?;
    let footer = match Footer::parse(&tail) {
        Ok(footer) => footer,
        Err(fault) => {
            let fault = explain(source, fault.at(blocks_end))?;
            survey.fail(fault, blocks_end..len);
            let all = survey.search(source, len, Vec::new(), watch)?;
            return Ok(all.then_some(survey));
        }
    };
    let stray = footer.stray_bytes(&tail);
    if stray > 0 {
        let fault = Fault::corrupt(
            "footer",
            format!("{stray} bytes of its padding are not as they are written"),
        );
        survey.faults.push((fault.at(blocks_end), blocks_end..len));
    }
    let mut owned = Vec::from_iter(survey.metaindex(source, footer.metaindex, blocks_end)?);
    owned.push(blocks_end..len);
    let place = footer.index.end_within(blocks_end, "footer", "the index block");
    let index = match place.map(|end| footer.index.offset..end) {
        Ok(range) => {
            let stored = source.read(range.start, (range.end - range.start) as usize)?;
            let block = Block::open(&stored, "index block");
            block
                .map_err(|fault| (fault.at(range.start), range.clone()))
                .map(|block| (block, range))
        }
        Err(fault) => Err((fault.at(blocks_end), blocks_end..len)),
    };
    match index {
        Ok((block, range)) => {
            survey.take_handles(&block, &range, blocks_end);
            owned.push(range);
            survey.own(owned, len);
        }
        Err(fault) => {
            let (fault, range) = fault;
            owned.push(range.clone());
            survey.fail(fault, range);
            if !survey.search(source, blocks_end, owned, watch)? {
                return Ok(None);
            }
        }
    }
    Ok(Some(survey))
}

impl Survey {
    /// Notes what keeps the table from being opened.
    fn fail(&mut self, fault: Fault, range: Range<u64>) {
        self.broken = true;
        self.faults.push((fault, range));
    }

    /// The metaindex block holds nothing, but has a checksum.
    fn metaindex<S: Source>(
        &mut self,
        source: &S,
        handle: BlockHandle,
        limit: u64,
    ) -> Result<Option<Range<u64>>, S::Error> {
        const PART: &str = "metaindex block";
        let range = match handle.end_within(limit, "footer", "the metaindex block") {
            Ok(end) => handle.offset..end,
            Err(fault) => {
                self.faults.push((fault.at(limit), limit..limit + FOOTER_LEN));
                return Ok(None);
            }
        };
        let stored = source.read(range.start, (range.end - range.start) as usize)?;
        let fault = match Block::open(&stored, PART) {
            Ok(block) if block.is_empty() => return Ok(Some(range)),
            Ok(block) => Fault::corrupt(PART, format!("{} entries, want none", block.len())),
            Err(fault) => fault,
        };
        self.faults.push((fault.at(range.start), range.clone()));
        Ok(Some(range))
    }

    /// Takes what an index block says, entry by entry.
    fn take_handles(&mut self, block: &Block, place: &Range<u64>, limit: u64) {
        const PART: &str = "index block";
        let mut walk = block.iter();
        let mut free = 0;
        let mut number = 0_usize;
        let mut room = limits::max_key_bytes(place.end - place.start);
        while let Some((separator, value)) = walk.next_entry() {
            let Some(left) = room.checked_sub(separator.len()) else {
                let fault =
                    Fault::unsupported(PART, "its keys are out of all proportion to its size");
                self.fail(fault.at(place.start), place.clone());
                self.incomplete = true;
                return;
            };
            room = left;
            let whose = format!("data block {number}");
            number += 1;
            let handle = BlockHandle::take(&mut Cursor::new(value));
            let handle = handle
                .map_err(|short| {
                    Fault::corrupt(PART, format!("bad block handle of {whose}: {short}"))
                })
                .and_then(|handle| Ok((handle, handle.end_within(limit, PART, &whose)?)));
            match handle {
                Ok((handle, end)) if handle.offset >= free => {
                    free = end;
                    self.blocks.push(Known { separator: separator.into(), handle });
                }
                Ok((handle, _)) => {
                    let what = format!(
                        "{whose} begins at byte {}, before the one before ends ({free})",
                        handle.offset
                    );
                    self.fail(Fault::corrupt(PART, what).at(place.start), place.clone());
                    self.incomplete = true;
                }
                Err(fault) => {
                    self.fail(fault.at(place.start), place.clone());
                    self.incomplete = true;
                }
            }
        }
    }

    /// Looks for the blocks in the first `end` bytes, of which `owned` are known. `false`: it was stopped.
    fn search<S: Source>(
        &mut self,
        source: &S,
        end: u64,
        mut owned: Vec<Range<u64>>,
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> Result<bool, S::Error> {
        self.incomplete = true;
        let file = source.read(0, usize::try_from(end).unwrap_or(usize::MAX))?;
        let Some((found, all)) = find_blocks(&file, watch) else {
            return Ok(false);
        };
        if !all {
            let what = "its blocks were not all looked for: too many places look like one";
            self.fail(Fault::unsupported("table", what), 0..end);
        }
        let mut data: Vec<(BlockHandle, Block)> = Vec::new();
        let mut index = None;
        for handle in found {
            owned.push(handle.range());
            let block = read_block(source, handle, "data block")?;
            if is_index(&block, handle.offset) {
                index = Some((block, handle.range()));
            } else if !block.is_empty() {
                data.push((handle, block));
            }
        }
        if let Some((block, range)) = index {
            // The index block itself is whole: it knows of the damaged ones, too.
            self.incomplete = false;
            self.take_handles(&block, &range, range.start);
        } else {
            let mut last: Option<Box<[u8]>> = None;
            for (handle, block) in data {
                let first = block.iter().next_entry().map(|(key, _)| key.to_vec());
                if last.as_ref().is_some_and(|last| first.is_some_and(|first| *first <= **last)) {
                    let what = "a block that was found does not fit behind the one before: its keys are lower";
                    let range = handle.range();
                    self.faults.push((Fault::corrupt("data block", what).at(range.start), range));
                    continue;
                }
                let separator: Box<[u8]> = block.last_key().into();
                last = Some(separator.clone());
                self.blocks.push(Known { separator, handle });
            }
        }
        self.own(owned, source.len());
        Ok(true)
    }

    /// Notes what of the file no range covers.
    fn own(&mut self, mut owned: Vec<Range<u64>>, len: u64) {
        owned.extend(self.blocks.iter().map(|known| known.handle.range()));
        owned.sort_by_key(|range| range.start);
        let mut free = 0;
        for range in owned.into_iter().chain(std::iter::once(len..len)) {
            if range.start > free {
                self.unowned.push(free..range.start);
            }
            free = free.max(range.end);
        }
    }
}

/// Is it an index block? Each of its values is a handle, of a block that lies before it.
fn is_index(block: &Block, offset: u64) -> bool {
    let mut walk = block.iter();
    while let Some((_, value)) = walk.next_entry() {
        let mut cursor = Cursor::new(value);
        let handle = BlockHandle::take(&mut cursor);
        if !handle.is_ok_and(|handle| handle.range().end <= offset) || !cursor.is_empty() {
            return false;
        }
    }
    !block.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::builder::{Options, put_block, put_footer, table};
    use super::*;
    use bytes::Bytes;

    fn of(file: &Bytes) -> Survey {
        survey(file, &mut |_| true).unwrap().unwrap()
    }

    fn sample() -> (Vec<u8>, usize) {
        let entries: Vec<_> =
            (0..200).map(|i| (format!("k{i:03}").into_bytes(), vec![7; 20])).collect();
        let file = table(&entries, Options { block_size: 500, ..Options::default() });
        let blocks = of(&Bytes::from(file.clone())).blocks.len();
        (file, blocks)
    }

    fn texts(survey: &Survey) -> Vec<String> {
        survey.faults.iter().map(|(fault, _)| fault.to_string()).collect()
    }

    #[test]
    fn nothing_wrong() {
        let (file, blocks) = sample();
        let survey = of(&Bytes::from(file));
        assert!(blocks > 5);
        assert_eq!((texts(&survey), survey.unowned.len(), survey.incomplete), (vec![], 0, false));
    }

    #[test]
    fn without_its_footer() {
        let (file, blocks) = sample();
        let len = file.len();
        // The index block is there still.
        let cut = of(&Bytes::from(file[..len - 10].to_vec()));
        assert_eq!((cut.blocks.len(), cut.incomplete), (blocks, false));
        assert!(texts(&cut)[0].contains("bad magic number"), "{:?}", texts(&cut));
        assert_eq!(cut.unowned, vec![(len - 48) as u64..(len - 10) as u64]);
        // It is not.
        let cut = of(&Bytes::from(file[..len - 100].to_vec()));
        assert_eq!((cut.blocks.len(), cut.incomplete), (blocks, true));
        // The last blocks are gone too.
        let cut = of(&Bytes::from(file[..1100].to_vec()));
        assert_eq!((cut.blocks.len(), cut.incomplete), (2, true));
        let cut = of(&Bytes::from(file[..20].to_vec()));
        assert_eq!((cut.blocks.len(), cut.incomplete), (0, true));
        assert_eq!(of(&Bytes::new()).blocks, []);
    }

    #[test]
    fn a_damaged_index_block() {
        let (mut file, blocks) = sample();
        let len = file.len();
        file[len - 60] ^= 1;
        let found = of(&Bytes::from(file));
        assert_eq!((found.blocks.len(), found.incomplete), (blocks, true));
        assert!(texts(&found)[0].starts_with("index block at byte"), "{:?}", texts(&found));
    }

    #[test]
    fn stray_bytes_and_gaps() {
        let mut file = Vec::new();
        let data = put_block(&mut file, &[0, 1, 1, b'k', b'v', 0, 0, 0, 0, 1, 0, 0, 0], false);
        file.extend_from_slice(b"gap");
        let metaindex = put_block(&mut file, &[0, 0, 0, 0, 1, 0, 0, 0], false);
        let value = [data.offset as u8, data.size as u8];
        let mut contents = vec![0, 1, 2, b'l'];
        contents.extend(value);
        contents.extend([0, 0, 0, 0, 1, 0, 0, 0]);
        let index = put_block(&mut file, &contents, false);
        put_footer(&mut file, Footer { metaindex, index });
        let len = file.len();
        file[len - 20] = 9;
        let at = metaindex.offset as usize;
        file[at] ^= 1;
        let found = of(&Bytes::from(file));
        assert_eq!(found.unowned, vec![18..21]);
        let texts = texts(&found);
        assert!(
            texts[0].contains("1 bytes of its padding are not as they are written"),
            "{texts:?}"
        );
        assert!(texts[1].contains("metaindex block at byte 21: block checksum"), "{texts:?}");
    }
}
