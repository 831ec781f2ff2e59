//! A checkpoint of either format: the same questions, whatever its files are.

use crate::bundle::{Bundle, Found, Options, index_path};
use crate::read::{ReadOptions, Tensor};
use crate::v1::{V1, V1Tensor};
use crate::{Listing, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tensorbundle_wire::bundle::{ByteOrder, Shape};

/// An open checkpoint.
pub enum Tensors {
    /// An index and data shards: since TensorFlow 0.12.
    V2(Bundle),
    /// Files of everything: before, and by `Saver(write_version=V1)`.
    V1(V1),
}

/// Which format a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Tensors are within protos, in tables.
    V1,
    /// Tensors lie as they are in data shards.
    V2,
}

/// A tensor that was found.
#[derive(Debug)]
pub enum Place<'a> {
    /// In a bundle.
    V2(Found),
    /// In a V1 checkpoint.
    V1(&'a V1Tensor),
}

impl Place<'_> {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::V2(found) => &found.name,
            Self::V1(tensor) => &tensor.name,
        }
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        match self {
            Self::V2(found) => &found.entry.shape,
            Self::V1(tensor) => &tensor.shape,
        }
    }
}

impl Tensors {
    /// Which format it has.
    pub fn format(&self) -> Format {
        match self {
            Self::V2(_) => Format::V2,
            Self::V1(_) => Format::V1,
        }
    }

    /// Its prefix.
    pub fn prefix(&self) -> &Path {
        match self {
            Self::V2(bundle) => bundle.prefix(),
            Self::V1(v1) => v1.prefix(),
        }
    }

    /// The file of its index; V1 has none.
    pub fn index_path(&self) -> Option<PathBuf> {
        match self {
            Self::V2(bundle) => Some(index_path(bundle.prefix())),
            Self::V1(_) => None,
        }
    }

    /// How many files hold values.
    pub fn num_shards(&self) -> u32 {
        match self {
            Self::V2(bundle) => bundle.header().num_shards,
            Self::V1(v1) => u32::try_from(v1.files().len()).unwrap_or(u32::MAX),
        }
    }

    /// The path of file `i` of those, whether it is there or not.
    pub fn shard_path(&self, i: u32) -> PathBuf {
        match self {
            Self::V2(bundle) => bundle.shard_path(i),
            Self::V1(v1) => v1.files().nth(i as usize).unwrap_or(v1.prefix()).to_owned(),
        }
    }

    /// Format version of its writer.
    pub fn producer(&self) -> i32 {
        match self {
            Self::V2(bundle) => bundle.header().producer,
            Self::V1(v1) => v1.producer(),
        }
    }

    /// Byte order of what is stored.
    pub fn order(&self) -> ByteOrder {
        match self {
            Self::V2(bundle) => bundle.header().order,
            Self::V1(_) => ByteOrder::Little,
        }
    }

    /// How it was opened.
    pub fn options(&self) -> &Options {
        match self {
            Self::V2(bundle) => bundle.options(),
            Self::V1(v1) => v1.options(),
        }
    }

    /// The shards that were to be mapped, but could not be.
    pub fn unmapped_shards(&self) -> Vec<u32> {
        match self {
            Self::V2(bundle) => bundle.unmapped_shards(),
            Self::V1(_) => Vec::new(),
        }
    }

    /// Finds a tensor.
    pub fn find(&self, name: &[u8]) -> Result<Option<Place<'_>>> {
        Ok(match self {
            Self::V2(bundle) => bundle.find(name)?.map(Place::V2),
            Self::V1(v1) => v1.find(name).map(Place::V1),
        })
    }

    /// The file that holds a tensor that was found here, or its first slice.
    pub fn file_of(&self, place: &Place<'_>) -> PathBuf {
        let shard = match place {
            Place::V2(found) => u32::try_from(found.entry.shard).ok(),
            Place::V1(tensor) => tensor.slices.first().and_then(|(_, i)| u32::try_from(*i).ok()),
        };
        self.shard_path(shard.unwrap_or_default())
    }

    /// Reads a tensor that was found here.
    pub fn read(&self, place: &Place<'_>, options: &ReadOptions) -> Result<Tensor> {
        match (self, place) {
            (Self::V2(bundle), Place::V2(found)) => bundle.read(found, options),
            (Self::V1(v1), Place::V1(tensor)) => v1.read(tensor, options),
            _ => Err(crate::Error::Argument("a tensor of another checkpoint".into())),
        }
    }

    /// Checks the checksums of a tensor that was found here, in bounded memory. V1 checks what it reads.
    pub fn check(&self, place: &Place<'_>) -> Result<()> {
        match (self, place) {
            (Self::V2(bundle), Place::V2(found)) => bundle.check(found),
            _ => Ok(()),
        }
    }

    /// All tensors, in the order of their names.
    pub fn listing(&self) -> Result<&Arc<Listing>> {
        match self {
            Self::V2(bundle) => bundle.listing(),
            Self::V1(v1) => Ok(v1.listing()),
        }
    }

    /// What the index says of a tensor, as a listing of one.
    pub fn info(&self, name: &[u8]) -> Result<Option<Listing>> {
        match self {
            Self::V2(bundle) => bundle.info(name),
            Self::V1(v1) => Ok(v1.info(name)),
        }
    }
}
