//! What is done in one go, and what one worker does in one turn.
//!
//! ```text
//! jobs    a stretch of two tensors │ both whole │ both checksums
//! turns   small jobs together; of stores, those that lie together on each side that is in one: one request there
//! ```

use std::ops::Range;
use tensorbundle_store::{Run, Stretches};
use tensorbundle_wire::bundle::elements;
use tensorbundle_wire::dtype::DataType;

/// How many bytes of each side are looked at in one go.
pub(super) const STRETCH: u64 = 1 << 20;

/// Two tensors of one name, type and shape.
pub(super) struct Two<'a> {
    /// Its place among the rows of the difference.
    pub(super) at: usize,
    pub(super) name: [&'a [u8]; 2],
    pub(super) dtype: DataType,
    pub(super) dims: &'a [u64],
    pub(super) width: u64,
    /// What both have in bytes.
    pub(super) bytes: u64,
    /// Where they begin in the files.
    pub(super) place: [(i32, i64); 2],
    /// Ready to be looked at, unless both are to be read whole.
    pub(super) open: Option<[Stretches<'a>; 2]>,
}

/// What is done in one go.
pub(super) enum Job {
    /// A stretch of the two with this number.
    Stretch(usize, Range<u64>),
    /// All of it.
    Whole(usize),
    /// The checksums of both.
    Verify(usize),
}

pub(super) fn job_bytes(job: &Job, twos: &[Two<'_>]) -> u64 {
    match job {
        Job::Stretch(i, stretch) => {
            let width = twos.get(*i).map_or(0, |two| two.width);
            (stretch.end - stretch.start).saturating_mul(width).saturating_mul(2)
        }
        Job::Whole(_) | Job::Verify(_) => 0,
    }
}

/// The stretch of two tensors that a job looks at.
pub(super) fn wanted<'t, 'a>(
    job: &Job,
    twos: &'t [Two<'a>],
) -> Option<(&'t [Stretches<'a>; 2], Range<u64>)> {
    match job {
        Job::Stretch(i, stretch) => Some((twos.get(*i)?.open.as_ref()?, stretch.clone())),
        Job::Verify(i) => {
            let two = twos.get(*i)?;
            Some((two.open.as_ref()?, 0..elements(two.dims)))
        }
        Job::Whole(_) => None,
    }
}

/// Jobs that one worker does in one turn.
pub(super) fn turns(jobs: &[Job], twos: &[Two<'_>], remote: bool) -> Vec<Range<usize>> {
    let mut turns: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    let mut last: Option<[Run<'_>; 2]> = None;
    for (at, job) in jobs.iter().enumerate() {
        let wanted = wanted(job, twos).filter(|_| remote);
        let runs = wanted.map(|([a, b], stretch)| [Run::of(a, &stretch), Run::of(b, &stretch)]);
        let joined = match (&last, &runs) {
            (Some([a, b]), Some([c, d])) => a.with(c).zip(b.with(d)).map(<[_; 2]>::from),
            _ => None,
        };
        let goes_on = if remote { joined.is_some() } else { bytes < STRETCH };
        match turns.last_mut().filter(|_| goes_on) {
            Some(turn) => turn.end = at + 1,
            None => {
                turns.push(at..at + 1);
                bytes = 0;
            }
        }
        bytes += match job {
            Job::Stretch(..) => job_bytes(job, twos),
            Job::Verify(i) => twos.get(*i).map_or(0, |two| two.bytes),
            Job::Whole(_) => STRETCH,
        };
        last = joined.or(runs);
    }
    turns
}
