//! What differs between two checkpoints, A and B.
//!
//! ```text
//! pairs        names of A and of B side by side: both are sorted, so one pass joins them
//! entries      what the index alone says of a pair: types, shapes, checksums
//! values       what the elements say, with all cores
//! turns        what of that is done in one go, and by one worker in one turn
//! figures      two runs of elements held against each other
//! ```
//!
//! Elements are equal if their bytes are, in one byte order; and a NaN equals any other, whatever its payload and sign. So
//! 0.0 and -0.0 differ, by nothing. In a complex number each part counts so.

mod entries;
mod figures;
mod pairs;
#[cfg(test)]
mod tests;
mod turns;
mod values;

pub use figures::{Figures, Tolerance};
pub use pairs::{Collision, Names};
pub(crate) use values::check_shared;

use pairs::{Pair, pairs};
use std::collections::HashSet;
use std::sync::Arc;
use tensorbundle_store::{Listing, Result, Stopped, Tensors, Watch};

/// What became of a tensor, from A to B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Only B has it.
    Added,
    /// Only A has it.
    Removed,
    /// Its type is another.
    Retyped,
    /// Its type is the same, its shape another.
    Reshaped,
    /// Its type and shape are the same, its elements are not.
    Changed,
    /// Its elements are not the same, but each is within the tolerance.
    Close,
    /// Its elements are the same; without values: its checksums are.
    Equal,
    /// It cannot be told: see [`Row::reason`].
    Unknown,
}

/// One tensor of A, of B, or of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What became of it.
    pub kind: Kind,
    /// Its row in the listing of A.
    pub a: Option<usize>,
    /// Its row in the listing of B.
    pub b: Option<usize>,
    /// Why that cannot be told.
    pub reason: Option<&'static str>,
    /// How far it changed, if it did and its values were read.
    pub figures: Option<Box<Figures>>,
}

/// Why a tensor that one side has lost is neither added nor removed.
const LOST: &str = "lost on the other side, which is damaged";

/// What is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Only look at the index: types, shapes, sizes and checksums.
    pub fast: bool,
    /// Which elements are close.
    pub tolerance: Tolerance,
}

/// The difference of two checkpoints.
#[derive(Debug)]
pub struct Diff {
    /// All tensors of A.
    pub a: Arc<Listing>,
    /// All tensors of B.
    pub b: Arc<Listing>,
    /// Those that were compared, in the order of their names in B; names of A stand where their new name would.
    pub rows: Vec<Row>,
    /// How it was asked for.
    pub options: Options,
    /// How many bytes of elements were compared, on both sides together.
    pub bytes: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// The watcher said so.
    Stopped,
    /// Two tensors of A got one name.
    Collision(Collision),
}

impl From<Stopped> for Failed {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// Compares two checkpoints. `names` says what the tensors of A are called in B, and which count. The outer error is that
/// of a checkpoint which cannot be read.
pub fn diff(
    a: &Tensors,
    b: &Tensors,
    names: &Names,
    options: Options,
    watch: &mut Watch<'_>,
) -> Result<Result<Diff, Failed>> {
    let (left, right) = listings(a, b)?;
    let pairs = match pairs(&left, &right, names) {
        Ok(pairs) => pairs,
        Err(collision) => return Ok(Err(Failed::Collision(collision))),
    };
    let (one, other) = (entries::Side::new(a, &left), entries::Side::new(b, &right));
    let lost = |set: &HashSet<Vec<u8>>, name: Option<&[u8]>| {
        !set.is_empty() && name.is_some_and(|name| set.contains(name))
    };
    let alone = |kind, lost: bool| match lost {
        true => Row { reason: Some(LOST), ..Row::new(Kind::Unknown) },
        false => Row::new(kind),
    };
    let rows = pairs.into_iter().map(|pair| match pair {
        Pair::Removed(a) => {
            let renamed = names.renamed.as_ref().and_then(|names| names.get(a));
            let name = renamed.map(Vec::as_slice).or_else(|| left.name(a));
            Row { a: Some(a), ..alone(Kind::Removed, lost(&names.lost_of_b, name)) }
        }
        Pair::Added(b) => {
            Row { b: Some(b), ..alone(Kind::Added, lost(&names.lost_of_a, right.name(b))) }
        }
        Pair::Both(a, b) => {
            let (kind, reason) = entries::compare(&one, a, &other, b, options.fast);
            Row { a: Some(a), b: Some(b), reason, ..Row::new(kind) }
        }
    });
    let rows = rows.collect();
    let mut diff = Diff { rows, a: left, b: right, options, bytes: 0 };
    if !options.fast
        && let Err(stopped) = values::compare(&mut diff, a, b, watch)?
    {
        return Ok(Err(stopped.into()));
    }
    Ok(Ok(diff))
}

/// Both at once: an index of many tensors is most of the work.
fn listings(a: &Tensors, b: &Tensors) -> Result<(Arc<Listing>, Arc<Listing>)> {
    std::thread::scope(|scope| {
        let other = std::thread::Builder::new().spawn_scoped(scope, || b.listing().cloned());
        let left = a.listing().cloned();
        let right = match other {
            Ok(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => b.listing().cloned(),
        };
        Ok((left?, right?))
    })
}

impl Row {
    fn new(kind: Kind) -> Self {
        Self { kind, a: None, b: None, reason: None, figures: None }
    }
}

impl Kind {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Retyped => "retyped",
            Self::Reshaped => "reshaped",
            Self::Changed => "changed",
            Self::Close => "close",
            Self::Equal => "equal",
            Self::Unknown => "unknown",
        }
    }
}
