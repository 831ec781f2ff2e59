//! Everything that is wrong with the values of a bundle: a report, not the first error.
//!
//! ```text
//! pieces     where each tensor, or slice, lies: entries held against types, shapes, shards and each other
//! layout     ranges that share bytes, bytes that nobody owns
//! sums       every checksum, with all cores; each byte is read once, whatever ranges share it
//! ```
//!
//! The index itself is checked by whoever salvages it (`salvage`).

mod layout;
mod pieces;
mod sums;

use crate::bundle::Bundle;
use crate::finding::{Finding, FindingKind, Findings};
use crate::scan::{Stopped, Watch};
use crate::{Error, Result};
use pieces::{Check, Piece};
use std::collections::{HashMap, HashSet};
use tensorbundle_wire::Fault;

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong.
    pub findings: Findings,
    /// What is worth knowing, but no damage.
    pub notes: Findings,
    /// The names of tensors that cannot be read as they were written.
    pub lost: HashSet<Vec<u8>>,
    /// How many tensors were looked at.
    pub tensors: usize,
    /// Over how many bytes checksums were computed.
    pub bytes: u64,
    /// How many shards that tensors need are not there.
    pub missing_shards: usize,
    /// How many pieces of each shard do not have their checksum.
    pub(crate) mismatches: HashMap<u32, usize>,
}

impl Checked {
    /// Notes that a tensor is lost, and why.
    pub fn lose(&mut self, name: &[u8], finding: Finding) {
        self.lost.insert(name.to_vec());
        self.findings.push(finding);
    }
}

impl Bundle {
    /// Checks all tensors; their checksums only if `data` says so. The outer error is one of the index, which a
    /// salvaged bundle does not have.
    pub fn verify(&self, data: bool, watch: &mut Watch<'_>) -> Result<Result<Checked, Stopped>> {
        let listing = self.listing()?;
        let mut checked = Checked { tensors: listing.len(), ..Checked::default() };
        let Some(pieces) = pieces::collect(self, listing, &mut checked, watch) else {
            return Ok(Err(Stopped));
        };
        layout::check(self, listing, &pieces, &mut checked);
        if data && let Err(stopped) = sums::check(self, listing, &pieces, &mut checked, watch) {
            return Ok(Err(stopped));
        }
        if data {
            other_shards(self, &pieces, &mut checked);
        }
        Ok(Ok(checked))
    }
}

/// A shard of which no tensor has its bytes is another checkpoint's.
fn other_shards(bundle: &Bundle, pieces: &[Piece], checked: &mut Checked) {
    let mut shards: HashMap<u32, usize> = HashMap::new();
    for piece in pieces.iter().filter(|piece| !piece.range.is_empty()) {
        *shards.entry(piece.shard).or_default() += 1;
    }
    let wrong = |shard: u32| checked.mismatches.get(&shard).copied().unwrap_or(0);
    let mut foreign: Vec<_> =
        shards.into_iter().filter(|&(shard, all)| all > 1 && all == wrong(shard)).collect();
    foreign.sort_unstable();
    for (shard, all) in foreign {
        let fault = Fault::corrupt(
            "data shard",
            format!("none of its {all} tensors and slices has the bytes that the index promises"),
        )
        .advise("the file belongs to another checkpoint, or was written over");
        let error = Error::fault(&bundle.shard_path(shard), fault);
        checked.findings.push(Finding::new(FindingKind::OtherShard, error).in_shard(shard));
    }
}
