//! What lies together in a shard of a store: one request for all of it.
//!
//! ```text
//! wanted    a b   c  d                       e
//! shard     |-|-|...|-|------|..............|---|
//! requests  |------- 1 ------|              |-2-|      a small gap comes with what is around it
//! ```
//!
//! A worker takes a run of stretches, asks once, and looks at each of them in what came. What did not come is read stretch by
//! stretch, so that an error is that of its own tensor. Of files of this machine nothing is read ahead.

use crate::Result;
use crate::remote::{GAP, at_once, merged};
use crate::shard::Shard;
use crate::stretches::Stretches;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

/// Bytes of a run, at most: enough for a line to be busy while sixteen are asked for. Each worker holds one.
const RUN: u64 = 2 << 20;

/// Stretches that are one request.
pub struct Run<'a>(Place<'a>);

enum Place<'a> {
    /// Nothing of them is in a store.
    Here,
    /// They are in this range.
    Together(&'a Shard, Range<u64>),
    /// It is one, in several slices.
    Apart,
}

/// Bytes of shards that were read before somebody looks at them.
#[derive(Default)]
pub struct Fetched<'a>(Vec<(&'a Shard, u64, Bytes)>);

impl<'a> Run<'a> {
    /// One stretch.
    pub fn of(stretches: &Stretches<'a>, stretch: &Range<u64>) -> Self {
        let mut places = stretches.places(stretch).into_iter();
        Self(match (places.next(), places.next()) {
            (None, _) => Place::Here,
            (Some((shard, range)), None) => Place::Together(shard, range),
            _ => Place::Apart,
        })
    }

    /// With another behind it; `None` if that is another request.
    #[must_use]
    pub fn with(&self, next: &Self) -> Option<Self> {
        let joined = match (&self.0, &next.0) {
            (Place::Here, Place::Here) => Place::Here,
            (Place::Here, Place::Together(shard, range))
            | (Place::Together(shard, range), Place::Here) => Place::Together(shard, range.clone()),
            (Place::Together(shard, range), Place::Together(other, next)) => {
                let all = range.start..range.end.max(next.end);
                let near = next.start >= range.start && next.start <= range.end.saturating_add(GAP);
                if !near || !std::ptr::eq(*shard, *other) || all.end - all.start > RUN {
                    return None;
                }
                Place::Together(shard, all)
            }
            _ => return None,
        };
        Some(Self(joined))
    }
}

impl<'a> Fetched<'a> {
    /// What the stretches of a run want, as far as it can be had; nothing of one that is read as it is looked at.
    pub fn ahead<'s>(wanted: impl Iterator<Item = (&'s Stretches<'a>, Range<u64>)>) -> Self
    where
        'a: 's,
    {
        let places: Vec<_> =
            wanted.flat_map(|(stretches, stretch)| stretches.places(&stretch)).collect();
        if places.len() < 2 {
            return Self::default();
        }
        let mut room = RUN;
        let mut fetched = Vec::new();
        for (shard, range) in requests(places, RUN) {
            let Some(left) = room.checked_sub(range.end - range.start) else { continue };
            let Ok(bytes) = shard.copy(&range) else { break };
            room = left;
            fetched.push((shard, range.start, bytes));
        }
        Self(fetched)
    }

    /// All that is wanted, by several requests at once, none of more than `most` bytes unless a range is.
    pub(crate) fn at_once(wanted: Vec<(&'a Shard, Range<u64>)>, most: u64) -> Result<Self> {
        let jobs: Vec<_> =
            requests(wanted, most).map(|(shard, range)| (shard, range, OnceLock::new())).collect();
        at_once(jobs.len(), |i| {
            if let Some((shard, range, place)) = jobs.get(i) {
                let _ = place.set(shard.copy(range)?);
            }
            Ok::<_, crate::Error>(())
        })?;
        let fetched = jobs
            .into_iter()
            .filter_map(|(shard, range, place)| Some((shard, range.start, place.into_inner()?)));
        Ok(Self(fetched.collect()))
    }

    /// The bytes of a range, if they are there.
    pub(crate) fn get(&self, shard: &Shard, range: &Range<u64>) -> Option<&[u8]> {
        let key = (address(shard), range.start);
        let i = self.0.partition_point(|(shard, start, _)| (address(shard), *start) <= key);
        let (own, start, bytes) = self.0.get(i.checked_sub(1)?)?;
        if !std::ptr::eq(*own, shard) {
            return None;
        }
        let first = (range.start - start) as usize;
        bytes.get(first..first.checked_add((range.end - range.start) as usize)?)
    }
}

fn address(shard: &Shard) -> usize {
    std::ptr::from_ref(shard).addr()
}

/// Ranges as requests, sorted by shard and place.
fn requests(
    wanted: Vec<(&Shard, Range<u64>)>,
    most: u64,
) -> impl Iterator<Item = (&Shard, Range<u64>)> {
    let mut shards: BTreeMap<usize, (&Shard, Vec<Range<u64>>)> = BTreeMap::new();
    for (shard, range) in wanted {
        shards.entry(address(shard)).or_insert((shard, Vec::new())).1.push(range);
    }
    shards.into_values().flat_map(move |(shard, mut ranges)| {
        merged(&mut ranges, GAP, most);
        ranges.into_iter().map(move |range| (shard, range))
    })
}
