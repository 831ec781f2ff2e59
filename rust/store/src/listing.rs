//! Every tensor of a bundle, from one pass over its index.

use crate::bundle::Bundle;
use crate::{Error, Result};
use bytes::Bytes;
use tensorbundle_wire::bundle::{Entry, TensorSlice, slice_key};
use tensorbundle_wire::{Fault, limits};

/// The tensors of a bundle, in the order of their names.
#[derive(Debug, Default)]
pub struct Listing {
    infos: Vec<Info>,
}

/// What the index says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name: any bytes.
    pub name: Bytes,
    /// Its entry.
    pub entry: Entry,
    /// Its slices, if it is partitioned.
    pub parts: Vec<Part>,
}

/// One slice of a partitioned tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which part of the tensor.
    pub slice: TensorSlice,
    /// Its own entry; `None` if the index lacks it.
    pub entry: Option<Entry>,
}

impl Info {
    /// Bytes in the shards.
    pub fn stored_bytes(&self) -> u64 {
        let size = |entry: &Entry| u64::try_from(entry.size).unwrap_or(0);
        if self.entry.slices.is_empty() {
            return size(&self.entry);
        }
        let parts = self.parts.iter().filter_map(|part| part.entry.as_ref());
        parts.fold(0, |sum, entry| sum.saturating_add(size(entry)))
    }
}

impl Listing {
    /// The tensors.
    pub fn infos(&self) -> &[Info] {
        &self.infos
    }

    /// Is there a tensor of this name?
    pub fn contains(&self, name: &[u8]) -> bool {
        self.infos.binary_search_by(|info| (*info.name).cmp(name)).is_ok()
    }

    /// A listing of one tensor.
    pub fn of(info: Info) -> Self {
        Self { infos: vec![info] }
    }

    pub(crate) fn read(bundle: &Bundle) -> Result<Self> {
        let mut infos = Vec::new();
        let mut slice_keys = 0; // keys that begin with 00 come first
        let mut partitioned = false;
        for i in 0..bundle.block_count() {
            let block = bundle.block(i)?;
            let first = infos.len();
            let mut names = Names::with_capacity(block.len(), block.byte_len());
            let mut walk = block.iter();
            while let Some((key, value)) = walk.next_entry() {
                if key.is_empty() {
                    continue; // the header
                }
                let entry = Entry::parse(value)
                    .map_err(|fault| bundle.entry_fault(fault, i).for_tensor(key))?;
                slice_keys += usize::from(key.starts_with(&[0]));
                partitioned |= !entry.slices.is_empty();
                names.push(key).map_err(|fault| bundle.entry_fault(fault, i))?;
                infos.push(Info { name: Bytes::new(), entry, parts: Vec::new() });
            }
            names.share(infos.get_mut(first..).unwrap_or_default());
        }
        if partitioned {
            tie_slices(&mut infos, slice_keys);
        }
        Ok(Self { infos })
    }
}

impl Bundle {
    /// Everything the index says of a tensor. Touches the blocks of its slices.
    pub fn info(&self, name: &[u8]) -> Result<Option<Info>> {
        let Some(found) = self.find(name)? else {
            return Ok(None);
        };
        let parts = found.entry.slices.iter().map(|slice| {
            let entry = self.find_key(&slice_key(name, slice))?.map(|found| found.entry);
            Ok(Part { slice: slice.clone(), entry })
        });
        let parts = parts.collect::<Result<_>>().map_err(|error: Error| error.for_tensor(name))?;
        Ok(Some(Info { name: found.name.into(), entry: found.entry, parts }))
    }
}

/// The names of a block, in one allocation.
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    most: usize,
}

impl Names {
    fn with_capacity(names: usize, block_len: usize) -> Self {
        let most = limits::max_name_bytes(block_len);
        Self { bytes: Vec::with_capacity(block_len), ends: Vec::with_capacity(names), most }
    }

    fn push(&mut self, name: &[u8]) -> Result<(), Fault> {
        if self.bytes.len() + name.len() > self.most {
            return Err(Fault::unsupported(
                "data block",
                format!("the names of its tensors take more than {} bytes", self.most),
            ));
        }
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn share(mut self, infos: &mut [Info]) {
        self.bytes.shrink_to_fit();
        let bytes = Bytes::from(self.bytes);
        let mut start = 0;
        for (info, end) in infos.iter_mut().zip(self.ends) {
            info.name = bytes.slice(start..end);
            start = end;
        }
    }
}

/// Ties slices to their tensors and takes them off the list. What looks like a slice's key and belongs to no
/// tensor stays: it is a tensor with an odd name.
fn tie_slices(infos: &mut Vec<Info>, slice_keys: usize) {
    let mut tied = vec![false; infos.len()];
    for i in 0..infos.len() {
        let Some(Info { name, entry, .. }) = infos.get(i) else { continue };
        let keys = infos.get(..slice_keys).unwrap_or_default();
        let mut parts = Vec::with_capacity(entry.slices.len());
        for slice in &entry.slices {
            let key = slice_key(name, slice);
            let at = keys.binary_search_by(|info| (*info.name).cmp(&key)).ok();
            if let Some(tied) = at.and_then(|at| tied.get_mut(at)) {
                *tied = true;
            }
            let entry = at.and_then(|at| keys.get(at)).map(|info| info.entry.clone());
            parts.push(Part { slice: slice.clone(), entry });
        }
        if let Some(info) = infos.get_mut(i) {
            info.parts = parts;
        }
    }
    let mut tied = tied.into_iter();
    infos.retain(|_| tied.next() != Some(true));
}
