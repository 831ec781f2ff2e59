//! Kinds of all tensors of a listing, by their names alone: what the join says where there is neither graph nor object,
//! without its tables.
//!
//! A listing is sorted, so whatever begins with a name follows it at once: the names that begin the present one are a
//! stack, and the tensor right above one in scope is on it.

use super::naming::{self, Kind};
use super::owners::MAX_SCOPES;
use std::ops::Range;
use tensorbundle_store::{Listing, Row, in_order};
use tensorbundle_wire::dtype::DataType;

/// So many tensors are one piece of work.
const PIECE: usize = 1 << 14;

/// The kind of each tensor.
pub(crate) fn kinds_by_name(listing: &Listing) -> Vec<Kind> {
    in_pieces(listing, PIECE)
}

fn in_pieces(listing: &Listing, piece: usize) -> Vec<Kind> {
    let rows = listing.len();
    // Work is counted in bytes there; a name has some fifty.
    let made = in_order(rows.div_ceil(piece), rows as u64 * 50, |job| {
        kinds_of(listing, job * piece..rows.min((job + 1) * piece))
    });
    made.concat()
}

/// The kinds of some of them.
fn kinds_of(listing: &Listing, rows: Range<usize>) -> Vec<Kind> {
    let mut kinds = Vec::with_capacity(rows.len());
    let first = listing.name(rows.start).unwrap_or_default();
    let begins = (0..first.len()).filter_map(|end| first.get(..end));
    let mut above: Vec<_> =
        begins.filter_map(|name| Some((listing.position(name)?, name))).collect();
    for i in rows {
        let name = listing.name(i).unwrap_or_default();
        while above.pop_if(|(_, top)| !name.starts_with(top)).is_some() {}
        kinds.push(kind(listing, &above, i, name));
        above.push((i, name));
    }
    kinds
}

fn kind(listing: &Listing, above: &[(usize, &[u8])], i: usize, name: &[u8]) -> Kind {
    if let Some(owned) = naming::owned(name)
        && (owned.sure || is_there(listing, owned.owner, i))
    {
        return owned.kind;
    }
    let Some(row) = listing.row(i) else {
        return Kind::Weight;
    };
    let scope = name.iter().rposition(|&byte| byte == b'/');
    let parent = scope.and_then(|slash| above.iter().rev().find(|(_, top)| top.len() == slash));
    let same = |other: Row<'_>| other.dims == row.dims && other.dtype == row.dtype;
    if parent.and_then(|(at, _)| listing.row(*at)).is_some_and(same) {
        return Kind::Slot;
    }
    let integer = matches!(row.dtype, DataType::INT32 | DataType::INT64);
    if integer && row.dims.is_empty() && naming::is_step(name) {
        return Kind::Step;
    }
    naming::kind_of(name)
}

/// Is there a tensor of this name, or of what is left of it without its first scopes?
fn is_there(listing: &Listing, wanted: &[u8], not: usize) -> bool {
    let mut rest = wanted;
    for _ in 0..MAX_SCOPES {
        if listing.position(rest).is_some_and(|at| at != not) {
            return true;
        }
        let Some(slash) = rest.iter().position(|&byte| byte == b'/') else {
            return false;
        };
        rest = rest.get(slash + 1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::join;
    use super::*;
    use proptest::prelude::*;
    use tensorbundle_wire::bundle::{Entry, Shape};

    proptest! {
        /// The same as the join.
        #[test]
        fn as_the_join_says(names in proptest::collection::btree_set(
            "(a|w|opt|optimizer|Adam|train)(/(w|b|m|v|Adam|Adam_1|iter|step|beta_1|_variables|0|x-y)){0,3}", 1..40),
            scalars: u64)
        {
            let mut listing = Listing::default();
            for (i, name) in names.iter().enumerate() {
                let scalar = scalars >> (i % 64) & 1 == 1;
                let shape = Shape::new(if scalar { &[] } else { &[3] }).unwrap();
                let dtype = if scalar { DataType::INT64 } else { DataType::FLOAT };
                listing.append(name.as_bytes(), &Entry { dtype, shape, ..Entry::default() }, Vec::new());
            }
            let joined = join(None, Some(&listing), None).unwrap();
            let want: Vec<_> = joined.variables.iter().map(|variable| variable.kind).collect();
            prop_assert_eq!(&in_pieces(&listing, 3), &want);
            prop_assert_eq!(kinds_by_name(&listing), want);
        }
    }
}
