//! Something that is wrong with a checkpoint, found by a check that goes on.

use crate::Error;
use std::ops::Range;
use std::path::Path;
use tensorbundle_wire::{Fault, limits};

/// What was found.
#[derive(Debug)]
pub struct Finding {
    /// In which way it is wrong.
    pub kind: FindingKind,
    /// The sentence: which part, which file and tensor, got and want.
    pub error: Error,
    /// The number of the shard.
    pub shard: Option<u32>,
    /// Which bytes of the file.
    pub range: Option<Range<u64>>,
}

/// In which way a checkpoint is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A footer, a block or the header of an index or a V1 file.
    DamagedIndex,
    /// An entry of the index, or a line or a record of a V1 file.
    BadEntry,
    /// A partitioned tensor whose slices do not fit together.
    BadSlices,
    /// Bytes that are not those that were written.
    Checksum,
    /// A file that should be there and is not.
    MissingShard,
    /// A file that ends before its tensors do.
    ShortShard,
    /// The system cannot read it.
    Unreadable,
    /// Bytes that belong to several tensors.
    Overlap,
    /// Bytes that belong to no tensor.
    Unowned,
    /// A file that a writer left behind.
    LeftOver,
    /// A shard of another checkpoint.
    OtherShard,
    /// The graph beside it, or its graph of objects, cannot be read.
    DamagedGraph,
    /// A graph speaks of other tensors.
    Graph,
    /// There are more findings than are told.
    More,
}

impl FindingKind {
    /// A phrase for it, which stays the same.
    pub fn name(self) -> &'static str {
        match self {
            Self::DamagedIndex => "damaged index",
            Self::BadEntry => "bad entry",
            Self::BadSlices => "bad slices",
            Self::Checksum => "checksum mismatch",
            Self::MissingShard => "missing shard",
            Self::ShortShard => "short shard",
            Self::Unreadable => "unreadable",
            Self::Overlap => "overlapping bytes",
            Self::Unowned => "bytes nobody owns",
            Self::LeftOver => "left-over file",
            Self::OtherShard => "shard of another checkpoint",
            Self::DamagedGraph => "damaged graph",
            Self::Graph => "graph does not fit",
            Self::More => "more findings",
        }
    }
}

impl Finding {
    /// A finding about no particular shard or range.
    pub fn new(kind: FindingKind, error: Error) -> Self {
        // What the system refuses is no damage that is known.
        let kind = match error {
            Error::Io { .. } if kind != FindingKind::MissingShard => FindingKind::Unreadable,
            _ => kind,
        };
        Self { kind, error, shard: None, range: None }
    }

    /// Says in which shard.
    #[must_use]
    pub fn in_shard(mut self, shard: u32) -> Self {
        self.shard = Some(shard);
        self
    }

    /// Says which bytes.
    #[must_use]
    pub fn at(mut self, range: Range<u64>) -> Self {
        self.range = Some(range);
        self
    }
}

/// Findings, of which a damaged or hostile file can have more than anybody reads, or memory holds: beyond some number
/// they are only counted.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    more: usize,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        if self.list.len() < limits::MAX_FINDINGS {
            self.list.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Drops some.
    pub fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) {
        self.list.retain(keep);
    }

    /// Adds others.
    pub fn append(&mut self, others: Self) {
        self.more += others.more;
        others.list.into_iter().for_each(|finding| self.push(finding));
    }

    /// Says how many there are beyond those that were kept.
    pub fn finish(&mut self, prefix: &Path) {
        if self.more > 0 {
            let what = format!("{} more findings, too many to tell each", self.more);
            let error = Error::fault(prefix, Fault::corrupt("checkpoint", what));
            self.list.push(Finding::new(FindingKind::More, error));
            self.more = 0;
        }
    }
}

impl std::ops::Deref for Findings {
    type Target = [Finding];

    fn deref(&self) -> &[Finding] {
        &self.list
    }
}

/// Findings of one kind and place, of which only so many are told one by one.
pub(crate) struct Several {
    told: usize,
    more: usize,
}

impl Several {
    /// Beyond this many, a number says more than a list.
    const MOST: usize = 100;

    pub(crate) fn new() -> Self {
        Self { told: 0, more: 0 }
    }

    /// Is this one to be told?
    pub(crate) fn tell(&mut self) -> bool {
        let tell = self.told < Self::MOST;
        if tell {
            self.told += 1
        } else {
            self.more += 1
        }
        tell
    }

    /// How many were not told.
    pub(crate) fn more(&self) -> Option<usize> {
        (self.more > 0).then_some(self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_anybody_reads() {
        let one = || {
            let error = Error::fault(Path::new("m"), Fault::corrupt("checkpoint", "something"));
            Finding::new(FindingKind::Checksum, error)
        };
        let mut findings = Findings::default();
        (0..limits::MAX_FINDINGS).for_each(|_| findings.push(one()));
        findings.finish(Path::new("m"));
        assert_eq!(findings.len(), limits::MAX_FINDINGS);
        let mut others = Findings::default();
        (0..3).for_each(|_| others.push(one()));
        findings.append(others);
        findings.finish(Path::new("m"));
        assert_eq!(findings.len(), limits::MAX_FINDINGS + 1);
        let last = findings.last().unwrap();
        assert_eq!(last.kind, FindingKind::More);
        assert!(last.error.to_string().contains("3 more findings"), "{}", last.error);
    }
}
