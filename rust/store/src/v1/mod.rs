//! A V1 checkpoint: one file, or several that share its tensors (FORMAT 6).
//!
//! ```text
//! <prefix>                    a table: its contents, and the values of all slices
//! <prefix>-%05d-of-%05d       the same in several files, each with contents of its own
//! ```
//!
//! Values lie inside protos, so reading copies them; every block is read and its checksum checked before that, so
//! these files are never mapped.

mod read;
mod shard;
mod sniff;
mod tensors;
mod verify;

pub use sniff::{Sniffed, sniff_v1};
pub use tensors::V1Tensor;

use crate::bundle::Options;
use crate::{Error, Listing, Part, Result};
use once_cell::race::OnceBox;
use read::Held;
use shard::V1Shard;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tensorbundle_wire::Fault;
use tensorbundle_wire::bundle::{Entry, Region};
use tensorbundle_wire::dtype::Layout;

/// An open V1 checkpoint.
pub struct V1 {
    prefix: PathBuf,
    options: Options,
    shards: Vec<V1Shard>,
    /// In the order of their names.
    tensors: Vec<V1Tensor>,
    listing: OnceBox<Arc<Listing>>,
}

/// Where a tensor without a place of its own is said to lie: its values are within a proto.
pub(crate) const NO_OFFSET: i64 = -1;

impl V1 {
    /// Opens the files of a V1 checkpoint, all of them: each says itself which tensors it holds.
    pub fn open(prefix: &Path, files: &[PathBuf], options: Options) -> Result<Self> {
        let open = |file: &PathBuf| V1Shard::open(&options.files, file);
        let opened = files.iter().map(open).collect::<Result<Vec<_>>>()?;
        let (shards, listed): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
        let tensors = tensors::merge(&shards, listed)?;
        Ok(Self { prefix: prefix.to_owned(), options, shards, tensors, listing: OnceBox::new() })
    }

    /// Its prefix: the file, or what the names of its files begin with.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// How it was opened.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Its files.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.shards.iter().map(V1Shard::path)
    }

    /// Format version of its writer.
    pub fn producer(&self) -> i32 {
        self.shards.iter().map(V1Shard::producer).max().unwrap_or(0)
    }

    /// Finds a tensor. Touches no file.
    pub fn find(&self, name: &[u8]) -> Option<&V1Tensor> {
        let i = self.tensors.binary_search_by(|tensor| (*tensor.name).cmp(name)).ok()?;
        self.tensors.get(i)
    }

    /// All tensors, in the order of their names. How many bytes strings have stands in their records only, which are
    /// read for that; of a damaged one it is none, and reading says what is wrong with it.
    pub fn listing(&self) -> &Arc<Listing> {
        self.listing.get_or_init(|| {
            let (mut listing, mut held) = (Listing::default(), Held::default());
            for tensor in &self.tensors {
                self.list(&mut listing, tensor, &mut held);
            }
            Box::new(Arc::new(listing))
        })
    }

    /// What the contents say of a tensor, as a listing of one.
    pub fn info(&self, name: &[u8]) -> Option<Listing> {
        let mut listing = Listing::default();
        self.list(&mut listing, self.find(name)?, &mut Held::default());
        Some(listing)
    }

    fn list(&self, listing: &mut Listing, tensor: &V1Tensor, held: &mut Held) {
        let mut parts = Vec::with_capacity(tensor.slices.len());
        for (i, (slice, shard)) in tensor.slices.iter().enumerate() {
            // A slice that does not fit is listed without a size: reading says what is wrong with it.
            let entry = match slice.region(&tensor.shape) {
                Ok(region) => Some(Entry {
                    dtype: tensor.dtype,
                    size: self.stored_size(tensor, i, region.elements(), held),
                    shape: region.shape(),
                    shard: i32::try_from(*shard).unwrap_or(i32::MAX),
                    offset: NO_OFFSET,
                    ..Entry::default()
                }),
                Err(_) => None,
            };
            parts.push(Part { slice: slice.clone(), entry });
        }
        let whole = match parts.as_slice() {
            [Part { entry: Some(entry), .. }] if entry.shape == tensor.shape => Some(entry.clone()),
            _ => None,
        };
        let entry = match whole {
            Some(entry) => {
                parts.clear();
                entry
            }
            None => Entry {
                dtype: tensor.dtype,
                shape: tensor.shape.clone(),
                offset: NO_OFFSET,
                ..Entry::default()
            },
        };
        listing.append(&tensor.name, &entry, parts);
    }

    /// How many bytes the elements of a slice have.
    fn stored_size(&self, tensor: &V1Tensor, slice: usize, elements: u64, held: &mut Held) -> i64 {
        let size = match (tensor.dtype.width(), tensor.dtype.layout()) {
            (Some(width), _) => elements.saturating_mul(width as u64),
            (None, Layout::Strings) => self.string_bytes(tensor, slice, held).unwrap_or(0),
            (None, _) => 0, // not to be read
        };
        i64::try_from(size).unwrap_or(i64::MAX)
    }

    /// The boxes of a tensor's slices, in their order.
    fn regions(&self, tensor: &V1Tensor) -> Result<Vec<Region>> {
        let regions = tensor.slices.iter().map(|(slice, shard)| {
            slice.region(&tensor.shape).map_err(|fault| self.contents_fault(*shard, fault))
        });
        regions.collect()
    }

    fn shard(&self, i: usize) -> Result<&V1Shard> {
        self.shards.get(i).ok_or_else(|| Fault::corrupt("V1 file", format!("no file {i}")).into())
    }

    /// A fault in what a file's contents say.
    fn contents_fault(&self, shard: usize, fault: Fault) -> Error {
        match self.shard(shard) {
            Ok(shard) => shard.contents_fault(fault),
            Err(error) => error,
        }
    }
}
