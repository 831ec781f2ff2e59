//! The tensors of all files together: a partitioned one may have slices in several.

use super::shard::V1Shard;
use crate::Result;
use std::cmp::Ordering;
use tensorbundle_wire::bundle::{Shape, TensorSlice};
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::v1::SavedTensor;
use tensorbundle_wire::{Fault, shown};

/// A tensor, and where its slices are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Tensor {
    /// Its name.
    pub name: Box<[u8]>,
    /// Type of the elements.
    pub dtype: DataType,
    /// Its shape.
    pub shape: Shape,
    /// Its slices, each with the number of its file.
    pub slices: Vec<(TensorSlice, usize)>,
}

/// Puts together what the files list, in the order of names. All files must say the same of a tensor.
pub(super) fn merge(shards: &[V1Shard], listed: Vec<Vec<SavedTensor>>) -> Result<Vec<V1Tensor>> {
    let mut all: Vec<V1Tensor> = Vec::with_capacity(listed.iter().map(Vec::len).sum());
    for (i, tensors) in listed.into_iter().enumerate() {
        all.extend(tensors.into_iter().map(|tensor| V1Tensor {
            name: tensor.name,
            dtype: tensor.dtype,
            shape: tensor.shape,
            slices: tensor.slices.into_iter().map(|slice| (slice, i)).collect(),
        }));
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let mut merged: Vec<V1Tensor> = Vec::with_capacity(all.len());
    for tensor in all {
        let same = merged.last_mut().filter(|last| last.name.cmp(&tensor.name) == Ordering::Equal);
        let Some(last) = same else {
            merged.push(tensor);
            continue;
        };
        if (last.dtype, &last.shape) != (tensor.dtype, &tensor.shape) {
            let what = format!(
                "incompatible types or shapes of {}: got {} {} here, want {} {} as listed before",
                shown(&tensor.name),
                tensor.dtype,
                tensor.shape,
                last.dtype,
                last.shape
            );
            let fault = Fault::corrupt("table of contents", what);
            let fault = fault.advise("do its files belong to one checkpoint?");
            let shard = tensor.slices.first().and_then(|(_, shard)| shards.get(*shard));
            return Err(match shard {
                Some(shard) => shard.contents_fault(fault),
                None => fault.into(),
            });
        }
        last.slices.extend(tensor.slices);
    }
    Ok(merged)
}
