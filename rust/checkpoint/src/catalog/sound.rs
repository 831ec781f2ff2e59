//! Whether a checkpoint looks sound, by its index and the sizes of its shards alone.

use super::walk::Place;
use crate::locate::Located;
use std::collections::HashMap;
use std::path::Path;
use tensorbundle_store::{Files, Format, Options, Result, Tensors};

/// An open checkpoint whose index is whole, and whose shards are as long as it says; `None` if they are not.
pub(super) fn sound(files: &Files, located: &Located, place: &Place) -> Result<Option<Tensors>> {
    let tensors = located.open(Options { files: files.clone(), mmap: false, verify: false })?;
    let listing = tensors.listing()?;
    if tensors.format() == Format::V1 {
        return Ok(Some(tensors));
    }
    let mut ends: HashMap<i32, i64> = HashMap::new();
    let mut raise = |(shard, end): (i32, i64)| {
        let highest = ends.entry(shard).or_default();
        *highest = end.max(*highest);
    };
    let mut lost = false;
    // Neighbours are mostly of one shard.
    let mut run: Option<(i32, i64)> = None;
    for row in (0..listing.len()).filter_map(|i| listing.row(i)) {
        let mut needs = |shard: i32, offset: i64, size: i64| {
            let end = offset.saturating_add(size);
            match &mut run {
                Some((own, highest)) if *own == shard => *highest = end.max(*highest),
                _ => run.replace((shard, end)).into_iter().for_each(&mut raise),
            }
        };
        if row.parts.is_empty() {
            needs(row.shard, row.offset, row.size);
        }
        for part in row.parts {
            match &part.entry {
                Some(entry) => needs(entry.shard, entry.offset, entry.size),
                None => lost = true,
            }
        }
    }
    run.into_iter().for_each(raise);
    let long_enough = |(&shard, &end): (&i32, &i64)| {
        let path = u32::try_from(shard).ok().map(|shard| tensors.shard_path(shard));
        let path = path.as_deref().map(Path::as_os_str);
        let stamp = place.stamps.iter().find(|stamp| Some(stamp.path.as_os_str()) == path);
        stamp.is_some_and(|stamp| i64::try_from(stamp.size).is_ok_and(|size| size >= end))
    };
    let whole = !lost && ends.iter().all(long_enough);
    Ok(whole.then_some(tensors))
}
