//! A writer of tables: what TensorFlow writes, with the sizes to choose. A salvaged index is written anew with it, in
//! memory; tests write what they break.

use super::{BlockHandle, Footer};
use crate::crc::MaskedCrc;
use crate::varint::put_varint;

/// How a table is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A data block is cut when it reaches this many bytes.
    pub block_size: usize,
    /// Entries between two restarts.
    pub restart_interval: usize,
    /// Compress blocks with Snappy.
    pub snappy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { block_size: 262_144, restart_interval: 16, snappy: false }
    }
}

/// The bytes of a table that holds `entries`, whose keys rise.
pub fn table<K: AsRef<[u8]>, V: AsRef<[u8]>>(entries: &[(K, V)], options: Options) -> Vec<u8> {
    let mut file = Vec::new();
    let mut index = BlockBuilder::new(1);
    let mut data = BlockBuilder::new(options.restart_interval);
    for (i, (key, value)) in entries.iter().enumerate() {
        let key = key.as_ref();
        data.add(key, value.as_ref());
        let next = entries.get(i + 1);
        if data.size() >= options.block_size || next.is_none() {
            let handle = put_block(&mut file, &data.finish(), options.snappy);
            let mut value = Vec::new();
            put_handle(&mut value, handle);
            index.add(&separator(key, next.map(|(key, _)| key.as_ref())), &value);
        }
    }
    let metaindex = put_block(&mut file, &BlockBuilder::new(16).finish(), false);
    let index = put_block(&mut file, &index.finish(), options.snappy);
    put_footer(&mut file, Footer { metaindex, index });
    file
}

/// Appends a block with its trailer. What is too long for Snappy stays as it is.
pub fn put_block(file: &mut Vec<u8>, contents: &[u8], snappy: bool) -> BlockHandle {
    let offset = file.len();
    let compressed =
        snappy.then(|| snap::raw::Encoder::new().compress_vec(contents).ok()).flatten();
    file.extend_from_slice(compressed.as_deref().unwrap_or(contents));
    let size = file.len() - offset;
    file.push(u8::from(compressed.is_some()));
    let crc = MaskedCrc::of(file.get(offset..).unwrap_or_default());
    file.extend_from_slice(&crc.0.to_le_bytes());
    BlockHandle { offset: offset as u64, size: size as u64 }
}

/// Appends a footer.
pub fn put_footer(file: &mut Vec<u8>, footer: Footer) {
    let start = file.len();
    put_handle(file, footer.metaindex);
    put_handle(file, footer.index);
    file.resize(start + 40, 0);
    file.extend_from_slice(&0xdb47_7524_8b80_fb57_u64.to_le_bytes());
}

fn put_handle(out: &mut Vec<u8>, handle: BlockHandle) {
    put_varint(out, handle.offset);
    put_varint(out, handle.size);
}

/// A short key from `last` on and below `next`, as TensorFlow chooses it (FORMAT 2.5).
fn separator(last: &[u8], next: Option<&[u8]>) -> Vec<u8> {
    let shared = next.map_or(0, |next| last.iter().zip(next).take_while(|(a, b)| a == b).count());
    let cut = match next {
        Some(next) => (shared < last.len().min(next.len())
            && last[shared] < 0xff
            && last[shared] + 1 < next[shared])
            .then_some(shared),
        None => last.iter().position(|&byte| byte != 0xff),
    };
    let Some(cut) = cut else {
        return last.to_vec();
    };
    let mut short = last[..=cut].to_vec();
    short[cut] += 1;
    short
}

/// A writer of one block.
#[derive(Debug)]
pub struct BlockBuilder {
    contents: Vec<u8>,
    restarts: Vec<u32>,
    interval: usize,
    since_restart: usize,
    last: Vec<u8>,
}

impl BlockBuilder {
    /// An empty block with a restart every `interval` entries.
    pub fn new(interval: usize) -> Self {
        Self {
            contents: Vec::new(),
            restarts: vec![0],
            interval,
            since_restart: 0,
            last: Vec::new(),
        }
    }

    /// Adds an entry. Its key should be above the last one; a test may break that.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let mut shared = 0;
        if self.since_restart == self.interval {
            self.restarts.push(self.contents.len() as u32);
            self.since_restart = 0;
        } else if self.since_restart > 0 {
            shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        }
        put_varint(&mut self.contents, shared as u64);
        put_varint(&mut self.contents, (key.len() - shared) as u64);
        put_varint(&mut self.contents, value.len() as u64);
        self.contents.extend_from_slice(&key[shared..]);
        self.contents.extend_from_slice(value);
        self.since_restart += 1;
        self.last = key.to_vec();
    }

    /// Bytes so far, with the restarts.
    pub fn size(&self) -> usize {
        self.contents.len() + 4 * self.restarts.len() + 4
    }

    /// The contents of the block; the builder starts anew.
    pub fn finish(&mut self) -> Vec<u8> {
        let next = Self::new(self.interval);
        let Self { mut contents, restarts, .. } = std::mem::replace(self, next);
        for restart in &restarts {
            contents.extend_from_slice(&restart.to_le_bytes());
        }
        contents.extend_from_slice(&(restarts.len() as u32).to_le_bytes());
        contents
    }
}
