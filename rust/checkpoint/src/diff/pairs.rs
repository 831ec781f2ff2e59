//! Names of A and of B side by side.
//!
//! ```text
//! A  a  b     d          removed: b
//! B  a     c  d          added: c
//! ```
//!
//! Listings are sorted by their bytes; renamed ones are sorted again.

use std::cmp::Ordering;
use std::collections::HashSet;
use tensorbundle_store::Listing;

/// What the tensors of A are called in B, and which tensors count.
#[derive(Debug, Default)]
pub struct Names {
    /// The names of the tensors of A, if they are called otherwise in B: one for each.
    pub renamed: Option<Vec<Vec<u8>>>,
    /// Which of A count, one for each; `None`: all.
    pub of_a: Option<Vec<bool>>,
    /// Which of B count.
    pub of_b: Option<Vec<bool>>,
    /// What A has lost, by the names in B: nobody knows what was in them.
    pub lost_of_a: HashSet<Vec<u8>>,
    /// What B has lost.
    pub lost_of_b: HashSet<Vec<u8>>,
}

/// Two tensors of A that would have one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The first.
    pub first: Vec<u8>,
    /// The second.
    pub second: Vec<u8>,
    /// What both would be called.
    pub renamed: Vec<u8>,
}

/// Rows of A and B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pair {
    Removed(usize),
    Added(usize),
    Both(usize, usize),
}

/// Joins two listings.
pub(super) fn pairs(a: &Listing, b: &Listing, names: &Names) -> Result<Vec<Pair>, Collision> {
    let counts = |which: &Option<Vec<bool>>, row: usize| {
        which.as_ref().is_none_or(|which| which.get(row).copied().unwrap_or(false))
    };
    let mut left: Vec<usize> = (0..a.len()).filter(|&row| counts(&names.of_a, row)).collect();
    let right = (0..b.len()).filter(|&row| counts(&names.of_b, row));
    let own = |row: usize| a.name(row).unwrap_or_default();
    let Some(renamed) = &names.renamed else {
        return Ok(merge(&left, own, right, b));
    };
    let name = |row: usize| renamed.get(row).map(Vec::as_slice).unwrap_or_default();
    left.sort_by_key(|&row| name(row));
    for pair in left.windows(2) {
        if let &[first, second] = pair
            && name(first) == name(second)
        {
            let (first, second, renamed) = (own(first), own(second), name(first));
            return Err(Collision {
                first: first.to_owned(),
                second: second.to_owned(),
                renamed: renamed.to_owned(),
            });
        }
    }
    Ok(merge(&left, name, right, b))
}

fn merge<'a>(
    left: &[usize],
    name: impl Fn(usize) -> &'a [u8],
    right: impl Iterator<Item = usize>,
    b: &Listing,
) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(left.len());
    let (mut left, mut right) = (left.iter().copied().peekable(), right.peekable());
    loop {
        let pair = match (left.peek(), right.peek()) {
            (None, None) => return pairs,
            (Some(&i), None) => Pair::Removed(i),
            (None, Some(&j)) => Pair::Added(j),
            (Some(&i), Some(&j)) => match name(i).cmp(b.name(j).unwrap_or_default()) {
                Ordering::Less => Pair::Removed(i),
                Ordering::Greater => Pair::Added(j),
                Ordering::Equal => Pair::Both(i, j),
            },
        };
        if !matches!(pair, Pair::Added(_)) {
            left.next();
        }
        if !matches!(pair, Pair::Removed(_)) {
            right.next();
        }
        pairs.push(pair);
    }
}
