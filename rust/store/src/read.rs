//! A tensor's bytes: a view of its shard where that can be, a copy where it cannot.

use crate::buffer::Scratch;
use crate::bundle::{Bundle, Found};
use crate::shard::Shard;
use crate::{Error, Result};
use bytes::Bytes;
use std::ops::Range;
use tensorbundle_wire::Fault;
use tensorbundle_wire::bundle::{ByteOrder, Entry, Shape, parse_strings, parse_variants};
use tensorbundle_wire::crc::{self, MaskedCrc, RunningCrc};
use tensorbundle_wire::dtype::{DataType, Layout};

/// How a tensor is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Only these rows: indices of the first dimension.
    pub rows: Option<Range<u64>>,
    /// Indices of leading dimensions: only what lies there. The rows are those of the dimension after them.
    pub within: Vec<u64>,
    /// Copy if the bytes do not lie on a multiple of what their elements want.
    pub aligned: bool,
    /// Check the checksum of the tensor, or of the slices that are touched. `None`: as the bundle was opened.
    pub verify: Option<bool>,
    /// Bring in the pages of a view, so that a file which was cut short is an error now.
    pub touch: bool,
}

/// A tensor that was read.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Type of the elements.
    pub dtype: DataType,
    /// Its shape: of the rows, if only some were asked for.
    pub shape: Shape,
    /// Byte order of the elements.
    pub order: ByteOrder,
    /// The elements.
    pub value: Value,
}

/// A tensor's elements, row by row.
#[derive(Debug, Clone)]
pub enum Value {
    /// Elements of fixed width, one after another.
    Raw(Bytes),
    /// Strings, or serialized VariantTensorDataProtos: one for each element.
    List(Vec<Bytes>),
}

/// The byte order of this machine.
pub const HOST: ByteOrder =
    if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };

impl Bundle {
    /// Reads a tensor that was found. Checks its range, size and, as asked, its checksum; the checksums of
    /// strings and variants always.
    pub fn read(&self, found: &Found, options: &ReadOptions) -> Result<Tensor> {
        self.read_found(found, options).map_err(|error| error.for_tensor(&found.name))
    }

    fn read_found(&self, found: &Found, options: &ReadOptions) -> Result<Tensor> {
        let entry = &found.entry;
        let shape = options.shape_of(&entry.shape)?;
        let layout = entry.dtype.layout();
        if layout == Layout::None {
            let fault = Fault::unsupported(
                "index entry",
                format!("values of type {} cannot be read", entry.dtype),
            );
            return Err(self.entry_fault(fault, found.id.block));
        }
        let value = if entry.slices.is_empty() {
            self.read_piece(found, options)?
        } else {
            self.read_partitioned(found, options)?
        };
        let (value, order) = self.in_readable_order(entry, value)?;
        Ok(Tensor { dtype: entry.dtype, shape, order, value })
    }

    /// A tensor, or a slice of one, that is stored as one piece.
    pub(crate) fn read_piece(&self, found: &Found, options: &ReadOptions) -> Result<Value> {
        let entry = &found.entry;
        let (shard, range) = self.place(found)?;
        let list = match entry.dtype.layout() {
            Layout::Fixed { unit, .. } => {
                let checked = self.verify_piece(found, shard, &range, options)?;
                let rows = options.range_of(&entry.shape, range.end - range.start);
                if let Some(bytes) = checked {
                    return Ok(Value::Raw(bytes.slice(rows.start as usize..rows.end as usize)));
                }
                let range = range.start + rows.start..range.start + rows.end;
                let bytes = shard.bytes(&range)?;
                let misaligned = bytes.as_ptr().align_offset(unit) != 0;
                let copy = options.aligned && misaligned;
                if options.touch && shard.is_mapped() && !copy {
                    shard.look(&range, &mut Scratch::default(), |_| ())?;
                }
                return Ok(Value::Raw(if copy { shard.copy(&range)? } else { bytes }));
            }
            // These are copied before they are looked at: a map may change underneath.
            Layout::Strings => {
                let stored = shard.copy(&range)?;
                parse_strings(&stored, entry.shape.elements(), entry.crc, self.header().order)
            }
            Layout::Variants | Layout::None => {
                parse_variants(&shard.copy(&range)?, entry.shape.elements(), entry.crc)
            }
        };
        let mut list = list.map_err(|fault| data_fault(shard, &range, fault))?;
        let rows = options.range_of(&entry.shape, list.len() as u64);
        list.truncate(rows.end as usize);
        list.drain(..rows.start as usize);
        Ok(Value::List(list))
    }

    /// The shard of an entry and the range in it, held against type, shape and the shard's length.
    pub(crate) fn place(&self, found: &Found) -> Result<(&Shard, Range<u64>)> {
        let at_entry = |fault| self.entry_fault(fault, found.id.block);
        if let Some(width) = found.entry.dtype.width() {
            found.entry.check_size(width).map_err(at_entry)?;
        }
        let (shard, range) = found.entry.place(self.header().num_shards).map_err(at_entry)?;
        let shard = self.shard(shard)?;
        shard.check(&range)?;
        Ok((shard, range))
    }

    /// Checks the checksum of a tensor of fixed width, if that is asked for.
    ///
    /// What is mapped is checked once, where it lies. What is read can be other bytes the next time, so there
    /// the bytes that were checked are given back, and are the ones to use.
    pub(crate) fn verify_piece(
        &self,
        found: &Found,
        shard: &Shard,
        range: &Range<u64>,
        options: &ReadOptions,
    ) -> Result<Option<Bytes>> {
        let wanted = options.verify.unwrap_or(self.options().verify);
        if !wanted || (shard.is_mapped() && self.verified().contains(found.id)) {
            return Ok(None);
        }
        let (got, copy) = match shard.checksum(range)? {
            Some(got) => (got, None),
            None => {
                let copy = shard.copy(range)?;
                (MaskedCrc::of(&copy), Some(copy))
            }
        };
        let checked = crc::check("tensor data", "checksum", got, found.entry.crc);
        checked.map_err(|fault| data_fault(shard, range, fault))?;
        self.verified().insert(found.id);
        Ok(copy)
    }

    /// Checks the checksums of a tensor, or of its slices, in bounded memory: what is read of files that are not mapped
    /// is not kept. Of a store, up to 32 MiB are fetched at once.
    pub fn check(&self, found: &Found) -> Result<()> {
        self.check_found(found).map_err(|error| error.for_tensor(&found.name))
    }

    fn check_found(&self, found: &Found) -> Result<()> {
        if found.entry.dtype.width().is_none() {
            return Ok(()); // these are checked whenever they are read
        }
        if !found.entry.slices.is_empty() {
            let pieces = self.pieces(found, &ReadOptions::default())?;
            return pieces.iter().try_for_each(|piece| self.check_found(&piece.found));
        }
        let (shard, range) = self.place(found)?;
        if shard.is_mapped() && self.verified().contains(found.id) {
            return Ok(());
        }
        let mut running = RunningCrc::new();
        shard.look_alone(&range, |bytes| running.extend(bytes))?;
        let checked = crc::check("tensor data", "checksum", running.masked(), found.entry.crc);
        checked.map_err(|fault| data_fault(shard, &range, fault))?;
        self.verified().insert(found.id);
        Ok(())
    }

    /// NumPy swaps the bytes of its own types. bfloat16 is not one of them: those are swapped here, in a copy.
    fn in_readable_order(&self, entry: &Entry, value: Value) -> Result<(Value, ByteOrder)> {
        let order = self.header().order;
        match value {
            Value::Raw(bytes) if order != HOST && entry.dtype == DataType::BFLOAT16 => {
                let mut swapped =
                    crate::buffer::Buffer::zeroed(bytes.len()).map_err(|e| self.no_memory(e))?;
                for (to, from) in swapped.as_mut().chunks_exact_mut(2).zip(bytes.chunks_exact(2)) {
                    to.copy_from_slice(from);
                    to.reverse();
                }
                Ok((Value::Raw(swapped.freeze().map_err(|e| self.no_memory(e))?), HOST))
            }
            value => Ok((value, order)),
        }
    }

    pub(crate) fn no_memory(&self, error: std::io::Error) -> Error {
        Error::io(self.prefix(), error, "memory for a tensor")
    }
}

/// A fault in a tensor's bytes.
pub(crate) fn data_fault(shard: &Shard, range: &Range<u64>, fault: Fault) -> Error {
    Error::fault(shard.path(), fault.at(range.start))
}
