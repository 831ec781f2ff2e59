//! A tensor of a V1 checkpoint, put together from its slices.

use super::{V1, V1Tensor};
use crate::buffer::Buffer;
use crate::read::{ReadOptions, Tensor, Value};
use crate::runs::{for_runs, overlaps};
use crate::{Error, Result};
use bytes::Bytes;
use std::io;
use tensorbundle_wire::bundle::{ByteOrder, Region, check_tiling};
use tensorbundle_wire::dtype::Layout;
use tensorbundle_wire::table::Block;
use tensorbundle_wire::tensor_proto::CountedValues;
use tensorbundle_wire::v1::Record;
use tensorbundle_wire::{Fault, limits, with_capacity};

/// A slice's record, and what it takes to say where a fault in it is.
struct Piece {
    record: Record,
    shard: usize,
    offset: u64,
}

/// The block that was used last: what is read next is often in the same, whatever its size.
#[derive(Default)]
pub(super) struct Held {
    shard: usize,
    block: Option<(usize, Block)>,
}

impl V1 {
    /// Reads a tensor that was found. The checksums of the blocks it touches are always checked.
    pub fn read(&self, tensor: &V1Tensor, options: &ReadOptions) -> Result<Tensor> {
        self.read_tensor(tensor, options).map_err(|error| error.for_tensor(&tensor.name))
    }

    fn read_tensor(&self, tensor: &V1Tensor, options: &ReadOptions) -> Result<Tensor> {
        let shape = options.shape_of(&tensor.shape)?;
        let regions = self.regions(tensor)?;
        let first = tensor.slices.first().map_or(0, |(_, shard)| *shard);
        check_tiling(&tensor.shape, &regions).map_err(|fault| self.contents_fault(first, fault))?;
        let want = options.region_of(&tensor.shape);
        let pieces = self.in_stored_order(tensor, regions, &want);
        let value = match tensor.dtype.layout() {
            Layout::Fixed { width, .. } => Value::Raw(self.numbers(tensor, &pieces, &want, width)?),
            Layout::Strings => Value::List(self.strings(tensor, &pieces, &want)?),
            Layout::Variants | Layout::None => {
                let what = format!("values of type {} cannot be read", tensor.dtype);
                return Err(
                    self.contents_fault(first, Fault::unsupported("table of contents", what))
                );
            }
        };
        // The protos are little-endian; so are the arrays that are made of them.
        Ok(Tensor { dtype: tensor.dtype, shape, order: ByteOrder::Little, value })
    }

    /// The slices that hold some of what is wanted, as their records lie in the files: each block is read once.
    fn in_stored_order(
        &self,
        tensor: &V1Tensor,
        regions: Vec<Region>,
        want: &Region,
    ) -> Vec<(usize, Region)> {
        let touched = regions.into_iter().enumerate().filter(|(_, region)| overlaps(region, want));
        let mut placed: Vec<_> = touched
            .map(|(i, region)| {
                let slice = tensor.slices.get(i);
                let place = slice.and_then(|(slice, shard)| {
                    Some((*shard, self.shard(*shard).ok()?.block_of(&tensor.name, slice)))
                });
                (place, i, region)
            })
            .collect();
        placed.sort_by_key(|(place, i, _)| (*place, *i));
        placed.into_iter().map(|(_, i, region)| (i, region)).collect()
    }

    fn numbers(
        &self,
        tensor: &V1Tensor,
        pieces: &[(usize, Region)],
        want: &Region,
        width: usize,
    ) -> Result<Bytes> {
        let no_memory = |error| Error::io(self.prefix(), error, "memory for a tensor");
        let len = want.elements().checked_mul(width as u64);
        let len = len.and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or_else(|| no_memory(io::ErrorKind::OutOfMemory.into()))?;
        self.check_room(tensor, want)?;
        let mut buffer = Buffer::zeroed(len).map_err(no_memory)?;
        let out = buffer.as_mut();
        let mut held = Held::default();
        for (i, region) in pieces {
            let piece = self.piece(tensor, *i, &mut held)?;
            let values = self.values(tensor, &piece, region)?;
            if let Some((from, to, n)) = only_run(region, want) {
                let (start, size) = (to as usize * width, n as usize * width);
                let place = out.get_mut(start..start + size).unwrap_or_default();
                values.copy_to(from, place).map_err(|fault| self.piece_fault(&piece, fault))?;
                continue;
            }
            let size = region.elements() as usize * width; // values that were counted
            let mut own = Buffer::zeroed(size).map_err(no_memory)?;
            values.copy_to(0, own.as_mut()).map_err(|fault| self.piece_fault(&piece, fault))?;
            for_runs(region, want, |from, to, n| {
                let (from, to, n) =
                    (from as usize * width, to as usize * width, n as usize * width);
                let place = out.get_mut(to..to + n).unwrap_or_default();
                place.copy_from_slice(own.as_mut().get(from..from + n).unwrap_or_default());
                Ok::<_, Error>(())
            })?;
        }
        buffer.freeze().map_err(no_memory)
    }

    /// Every element takes a byte of a record at least, so no more can be wanted than the files have room for.
    fn check_room(&self, tensor: &V1Tensor, want: &Region) -> Result<()> {
        let room = self.shards.iter().fold(0_u64, |sum, shard| {
            let len = usize::try_from(shard.len()).unwrap_or(usize::MAX);
            sum.saturating_add(limits::max_snappy_output(len))
        });
        if want.elements() <= room {
            return Ok(());
        }
        let what = format!(
            "{} elements are wanted, more than its files can hold ({room})",
            want.elements()
        );
        let first = tensor.slices.first().map_or(0, |(_, shard)| *shard);
        Err(self.contents_fault(first, Fault::corrupt("table of contents", what)))
    }

    fn strings(
        &self,
        tensor: &V1Tensor,
        pieces: &[(usize, Region)],
        want: &Region,
    ) -> Result<Vec<Bytes>> {
        let (mut held, mut whole) = (Held::default(), Vec::new());
        for (i, region) in pieces {
            let piece = self.piece(tensor, *i, &mut held)?;
            let values = self.values(tensor, &piece, region)?;
            let (first, n) =
                only_run(region, want).map_or((0, region.elements()), |(from, _, n)| (from, n));
            let list = values.items(first, n).map_err(|fault| self.piece_fault(&piece, fault))?;
            whole.push((region, first, list));
        }
        if let [(_, _, list)] = whole.as_mut_slice()
            && list.len() as u64 == want.elements()
        {
            return Ok(std::mem::take(list));
        }
        let count = want.elements() as usize; // of the slices' elements, which were there to be counted
        let mut all = with_capacity(count, "string tensor")?;
        all.resize(count, Bytes::new());
        for (region, first, list) in whole {
            for_runs(region, want, |from, to, n| {
                let (from, to, n) = ((from - first) as usize, to as usize, n as usize);
                if let Some(place) = all.get_mut(to..to + n) {
                    place.clone_from_slice(list.get(from..from + n).unwrap_or_default());
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(all)
    }

    /// How many bytes the strings of slice `i` have.
    pub(super) fn string_bytes(&self, tensor: &V1Tensor, i: usize, held: &mut Held) -> Result<u64> {
        let Some((slice, shard)) = tensor.slices.get(i) else {
            return Ok(0);
        };
        let region = slice.region(&tensor.shape);
        let region = region.map_err(|fault| self.contents_fault(*shard, fault))?;
        let piece = self.piece(tensor, i, held)?;
        let values = self.values(tensor, &piece, &region)?;
        values.item_bytes().map_err(|fault| self.piece_fault(&piece, fault))
    }

    fn piece(&self, tensor: &V1Tensor, i: usize, held: &mut Held) -> Result<Piece> {
        let Some((slice, shard)) = tensor.slices.get(i) else {
            return Err(Fault::corrupt("table of contents", format!("no slice {i}")).into());
        };
        if held.shard != *shard {
            *held = Held { shard: *shard, block: None };
        }
        let (record, offset) = self.shard(*shard)?.record(&tensor.name, slice, &mut held.block)?;
        Ok(Piece { record, shard: *shard, offset })
    }

    /// The values of a slice, which are as many as it has elements.
    fn values<'a>(
        &self,
        tensor: &V1Tensor,
        piece: &'a Piece,
        region: &Region,
    ) -> Result<CountedValues<'a>> {
        let values = CountedValues::new(&piece.record.data, tensor.dtype, region.elements());
        values.map_err(|fault| self.piece_fault(piece, fault))
    }

    fn piece_fault(&self, piece: &Piece, fault: Fault) -> Error {
        match self.shard(piece.shard) {
            Ok(shard) => Error::fault(shard.path(), fault.at(piece.offset)),
            Err(error) => error,
        }
    }
}

/// Where a piece goes, if all of it that is wanted lies together in both: from, to, how many elements.
fn only_run(region: &Region, want: &Region) -> Option<(u64, u64, u64)> {
    let mut run = None;
    let one = for_runs(region, want, |from, to, n| match run.replace((from, to, n)) {
        Some(_) => Err(()),
        None => Ok(()),
    });
    run.filter(|_| one.is_ok())
}
