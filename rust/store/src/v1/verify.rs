//! Everything that is wrong with a V1 checkpoint, and what is left of a damaged one.
//!
//! Every block of every file is read and held against its checksum, every record against its key, its tensor and the
//! number of its values. A tensor whose slices all have a sound record is good.

use super::shard::V1Shard;
use super::tensors::merge_sound;
use super::{V1, V1Tensor};
use crate::buffer::Scratch;
use crate::bundle::Options;
use crate::finding::{Finding, FindingKind, Findings, Several};
use crate::scan::{Stopped, Watch, Worker, on_all_cores};
use crate::verify::Checked;
use crate::{Error, Result};
use once_cell::race::OnceBox;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use tensorbundle_wire::bundle::{SliceKeys, TensorSlice, check_tiling};
use tensorbundle_wire::dtype::Layout;
use tensorbundle_wire::table::Block;
use tensorbundle_wire::tensor_proto::CountedValues;
use tensorbundle_wire::v1::Record;
use tensorbundle_wire::{Fault, shown};

/// What a block gave: the slices with a sound record, by tensor and number, and what is wrong with the others.
#[derive(Default)]
struct Found {
    sound: Vec<(usize, usize)>,
    wrong: Vec<(Option<usize>, Finding)>,
}

type Places<'a> = HashMap<(&'a [u8], &'a TensorSlice, usize), (usize, usize)>;

impl V1 {
    /// Opens what is left of a V1 checkpoint: the files that are there, the tensors that they list.
    /// The inner error is that `watch` stopped it.
    pub fn salvage(
        prefix: &Path,
        files: &[PathBuf],
        options: Options,
        watch: &mut Watch<'_>,
    ) -> Result<Result<(Self, Findings), Stopped>> {
        let (mut shards, mut listed) = (Vec::new(), Vec::new());
        let mut findings = Findings::default();
        for (i, file) in files.iter().enumerate() {
            let number = u32::try_from(i).unwrap_or(u32::MAX);
            let tell = |finding: Finding| finding.in_shard(number);
            let mut tell = |finding| findings.push(tell(finding));
            match V1Shard::salvage(&options.files, file, &mut tell, watch) {
                Ok(Err(stopped)) => return Ok(Err(stopped)),
                Ok(Ok((mut shard, tensors))) => {
                    shard.number = number;
                    shards.push(shard);
                    listed.push(tensors);
                }
                Err(error) if files.len() == 1 => return Err(error),
                Err(error) => tell(Finding::new(FindingKind::MissingShard, error)),
            }
        }
        let tensors = merge_sound(&shards, listed, &mut findings);
        let prefix = prefix.to_owned();
        Ok(Ok((Self { prefix, options, shards, tensors, listing: OnceBox::new() }, findings)))
    }

    /// The checkpoint without some of its tensors.
    pub fn without(mut self, names: &HashSet<Vec<u8>>) -> Self {
        self.tensors.retain(|tensor| !names.contains(&*tensor.name));
        self.listing = OnceBox::new();
        self
    }

    /// Checks all blocks, records and tensors.
    pub fn verify(&self, watch: &mut Watch<'_>) -> Result<Checked, Stopped> {
        let mut checked = Checked { tensors: self.tensors.len(), ..Checked::default() };
        let jobs: Vec<_> = (self.shards.iter().enumerate())
            .flat_map(|(i, shard)| (0..shard.block_count()).map(move |block| (i, block)))
            .collect();
        let bytes = jobs.iter().map(|&(i, block)| self.block_len(i, block)).sum();
        let places = self.places();
        let made = on_all_cores(&self.options.files, jobs.len(), bytes, watch, |job, worker| {
            jobs.get(job).map(|&(shard, block)| self.check_block(shard, block, &places, worker))
        })?;
        checked.bytes = bytes;

        let mut sound: Vec<Vec<bool>> =
            self.tensors.iter().map(|tensor| vec![false; tensor.slices.len()]).collect();
        let mut told = vec![false; self.tensors.len()];
        let mut strays = Several::new();
        for found in made.into_iter().flatten() {
            for (tensor, slice) in found.sound {
                if let Some(sound) = sound.get_mut(tensor).and_then(|slices| slices.get_mut(slice))
                {
                    *sound = true;
                }
            }
            for (tensor, finding) in found.wrong {
                match tensor.and_then(|i| Some((self.tensors.get(i)?, told.get_mut(i)?))) {
                    Some((tensor, told)) => {
                        *told = true;
                        checked.lose(&tensor.name, finding);
                    }
                    None if finding.kind == FindingKind::Unowned && !strays.tell() => {}
                    None => checked.findings.push(finding),
                }
            }
        }
        if let Some(more) = strays.more() {
            let what = format!("{more} more records that no table of contents lists");
            let error = Error::fault(&self.prefix, Fault::corrupt("record", what));
            checked.findings.push(Finding::new(FindingKind::Unowned, error));
        }
        for ((tensor, sound), told) in self.tensors.iter().zip(sound).zip(told) {
            if let Err(fault) = whole(tensor, &sound)
                && !told
            {
                let file = tensor.slices.first().map_or(0, |(_, shard)| *shard);
                let error = self.contents_fault(file, fault).for_tensor(&tensor.name);
                checked.lose(&tensor.name, Finding::new(FindingKind::BadSlices, error));
            }
        }
        Ok(checked)
    }

    /// The tensor and the number of each slice, by its tensor's name, what it covers and its file.
    fn places(&self) -> Places<'_> {
        let tensors = self.tensors.iter().enumerate();
        let slices = tensors.flat_map(|(i, tensor)| {
            let slices = tensor.slices.iter().enumerate();
            slices.map(move |(k, (slice, shard))| ((&*tensor.name, slice, *shard), (i, k)))
        });
        slices.collect()
    }

    fn block_len(&self, shard: usize, block: usize) -> u64 {
        self.shards
            .get(shard)
            .map_or(0, |shard| shard.range_of(block).end - shard.range_of(block).start)
    }

    fn check_block(
        &self,
        number: usize,
        i: usize,
        places: &Places<'_>,
        worker: &mut Worker<'_>,
    ) -> Found {
        let mut found = Found::default();
        let Some(shard) = self.shards.get(number) else {
            return found;
        };
        let range = shard.range_of(i);
        let place = |finding: Finding| finding.in_shard(shard.number).at(range.clone());
        match shard.load(i) {
            Ok(block) => {
                self.check_records(&block, number, places, &mut found, &mut worker.scratch);
                for (_, finding) in &mut found.wrong {
                    finding.shard = Some(shard.number);
                    finding.range = Some(range.clone());
                }
            }
            Err(error) => {
                found.wrong.push((None, place(Finding::new(FindingKind::DamagedIndex, error))));
            }
        }
        worker.advance(range.end - range.start);
        found
    }

    fn check_records(
        &self,
        block: &Block,
        number: usize,
        places: &Places<'_>,
        found: &mut Found,
        scratch: &mut Scratch,
    ) {
        let Some(shard) = self.shards.get(number) else {
            return;
        };
        let mut walk = block.iter();
        while walk.next_entry().is_some() {
            let Some((key, slot)) = walk.entry().filter(|(key, _)| !key.is_empty()) else {
                continue; // the contents
            };
            let (tensor, result) = match Record::parse(&slot.value) {
                Ok(record) => self.check_record(key, &record, number, places, scratch),
                Err(fault) => (None, Err((FindingKind::BadEntry, fault))),
            };
            match (tensor, result) {
                (Some(at), Ok(())) => found.sound.push(at),
                (at, Err((kind, fault))) => {
                    let mut error = shard.fault(fault);
                    let tensor = at.and_then(|(i, _)| self.tensors.get(i));
                    if let Some(tensor) = tensor {
                        error = error.for_tensor(&tensor.name);
                    }
                    found.wrong.push((at.map(|(i, _)| i), Finding::new(kind, error)));
                }
                (None, Ok(())) => {}
            }
        }
    }

    /// The tensor and slice that a record is of, and whether it is sound.
    #[allow(clippy::type_complexity, reason = "read once, above")]
    fn check_record(
        &self,
        key: &[u8],
        record: &Record,
        number: usize,
        places: &Places<'_>,
        scratch: &mut Scratch,
    ) -> (Option<(usize, usize)>, Result<(), (FindingKind, Fault)>) {
        let place = places.get(&(&*record.name, &record.slice, number));
        let place = place.and_then(|&(i, k)| Some((i, k, self.tensors.get(i)?)));
        let Some((i, k, tensor)) = place else {
            let what = format!(
                "{} {:?} is listed in no table of contents",
                shown(&record.name),
                record.slice.0
            );
            return (None, Err((FindingKind::Unowned, Fault::corrupt("record", what))));
        };
        let bad = |fault| (Some((i, k)), Err((FindingKind::BadEntry, fault)));
        if SliceKeys::new(&tensor.name).key(&record.slice) != key {
            let what =
                format!("{} {:?} stands under another key", shown(&record.name), record.slice.0);
            return bad(Fault::corrupt("record", what));
        }
        match sound_values(tensor, record, scratch) {
            Ok(()) => (Some((i, k)), Ok(())),
            Err(fault) => bad(fault),
        }
    }
}

/// Takes the values of a record, as reading it would.
fn sound_values(tensor: &V1Tensor, record: &Record, scratch: &mut Scratch) -> Result<(), Fault> {
    let count = record.slice.region(&tensor.shape)?.elements();
    let values = CountedValues::new(&record.data, tensor.dtype, count)?;
    match tensor.dtype.layout() {
        Layout::Fixed { width, .. } => {
            // As many values as were counted in the record.
            values.copy_to(0, scratch.bytes(count as usize * width))
        }
        Layout::Strings => values.items(0, count).map(|_| ()),
        Layout::Variants | Layout::None => {
            let what = format!("values of type {} cannot be read", tensor.dtype);
            Err(Fault::unsupported("table of contents", what))
        }
    }
}

/// Does a tensor have all of its slices?
fn whole(tensor: &V1Tensor, sound: &[bool]) -> Result<(), Fault> {
    let regions: Result<Vec<_>, _> =
        tensor.slices.iter().map(|(slice, _)| slice.region(&tensor.shape)).collect();
    check_tiling(&tensor.shape, &regions?)?;
    match sound.iter().position(|sound| !sound) {
        None => Ok(()),
        Some(missing) => {
            let slice = tensor.slices.get(missing).map(|(slice, _)| slice.0.clone());
            let what = format!(
                "the record of its slice {:?} is missing, or in a block that is damaged",
                slice.unwrap_or_default()
            );
            Err(Fault::corrupt("table of contents", what))
        }
    }
}
