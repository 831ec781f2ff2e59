//! Ranges that share bytes, and bytes that nobody owns.
//!
//! TensorFlow packs tensors densely, or pads each with zeros to a boundary (FORMAT 3.4): zeros up to a multiple of a power
//! of two that is larger than they are many are padding.

use super::{Checked, Piece};
use crate::Error;
use crate::buffer::Scratch;
use crate::bundle::Bundle;
use crate::finding::{Finding, FindingKind, Several};
use crate::listing::Listing;
use crate::shard::Shard;
use std::ops::Range;
use tensorbundle_wire::{Fault, shown};

pub(super) fn check(bundle: &Bundle, listing: &Listing, pieces: &[Piece], checked: &mut Checked) {
    let mut sorted: Vec<&Piece> = pieces.iter().filter(|piece| !piece.range.is_empty()).collect();
    sorted.sort_by_key(|piece| (piece.shard, piece.range.start, piece.range.end));
    for own in sorted.chunk_by(|a, b| a.shard == b.shard) {
        let number = own.first().map_or(0, |piece| piece.shard);
        if let Ok(shard) = bundle.shard(number) {
            check_shard(number, shard, listing, own, checked);
        }
    }
}

fn check_shard(
    number: u32,
    shard: &Shard,
    listing: &Listing,
    own: &[&Piece],
    checked: &mut Checked,
) {
    let name = |piece: &Piece| shown(listing.name(piece.row).unwrap_or_default());
    let finding = |kind, what: String, range: Range<u64>| {
        let fault = Fault::corrupt("data shard", what).at(range.start);
        Finding::new(kind, Error::fault(shard.path(), fault)).in_shard(number).at(range)
    };
    let (mut overlaps, mut gaps) = (Several::new(), Several::new());
    let mut scratch = Scratch::default();
    let mut last: Option<&Piece> = None;
    let mut free = 0;
    let end = Piece::nothing_at(number, shard.len());
    for &piece in own.iter().chain(std::iter::once(&&end)) {
        let range = &piece.range;
        if let Some(last) = last.filter(|_| range.start < free && !range.is_empty())
            && overlaps.tell()
        {
            let shared = range.start..range.end.min(free);
            let what = format!(
                "bytes {} to {} belong to {} and to {}",
                shared.start,
                shared.end,
                name(last),
                name(piece)
            );
            checked.findings.push(finding(FindingKind::Overlap, what, shared));
        }
        let gap = free..range.start;
        if gap.start < gap.end && !is_padding(shard, &gap, &mut scratch) && gaps.tell() {
            let what = format!("bytes {} to {} belong to no tensor", gap.start, gap.end);
            checked.findings.push(finding(FindingKind::Unowned, what, gap));
        }
        if range.end > free {
            free = range.end;
            last = Some(piece);
        }
    }
    let all = 0..shard.len();
    if let Some(more) = overlaps.more() {
        let what = format!("{more} more pairs of tensors share bytes");
        checked.findings.push(finding(FindingKind::Overlap, what, all.clone()));
    }
    if let Some(more) = gaps.more() {
        let what = format!("{more} more ranges belong to no tensor");
        checked.findings.push(finding(FindingKind::Unowned, what, all));
    }
}

fn is_padding(shard: &Shard, gap: &Range<u64>, scratch: &mut Scratch) -> bool {
    let mut zeros = true;
    let boundary = (gap.end - gap.start).checked_add(1).and_then(u64::checked_next_power_of_two);
    boundary.is_some_and(|boundary| gap.end.is_multiple_of(boundary))
        && shard.look(gap, scratch, |bytes| zeros &= bytes.iter().all(|&byte| byte == 0)).is_ok()
        && zeros
}
