//! The tensors of all files together: a partitioned one may have slices in several.

use super::shard::V1Shard;
use crate::finding::{Finding, FindingKind, Findings};
use crate::{Error, Result};
use std::collections::HashSet;
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
    let mut first = None;
    let merged = merge_telling(shards, listed, &mut |error, _| {
        first.get_or_insert(error);
    });
    first.map_or(Ok(merged), Err)
}

/// The same without the tensors of which the files say different things.
pub(super) fn merge_sound(
    shards: &[V1Shard],
    listed: Vec<Vec<SavedTensor>>,
    findings: &mut Findings,
) -> Vec<V1Tensor> {
    let mut bad = HashSet::new();
    let mut merged = merge_telling(shards, listed, &mut |error, name| {
        findings.push(Finding::new(FindingKind::BadEntry, error.for_tensor(name)));
        bad.insert(Box::<[u8]>::from(name));
    });
    merged.retain(|tensor| !bad.contains(&tensor.name));
    merged
}

fn merge_telling(
    shards: &[V1Shard],
    listed: Vec<Vec<SavedTensor>>,
    tell: &mut impl FnMut(Error, &[u8]),
) -> Vec<V1Tensor> {
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
        match merged.last_mut().filter(|last| last.name == tensor.name) {
            None => merged.push(tensor),
            Some(last) if (last.dtype, &last.shape) == (tensor.dtype, &tensor.shape) => {
                last.slices.extend(tensor.slices);
            }
            Some(last) => tell(disagreement(shards, last, &tensor), &tensor.name),
        }
    }
    merged
}

fn disagreement(shards: &[V1Shard], last: &V1Tensor, tensor: &V1Tensor) -> Error {
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
    match tensor.slices.first().and_then(|(_, shard)| shards.get(*shard)) {
        Some(shard) => shard.contents_fault(fault),
        None => fault.into(),
    }
}
