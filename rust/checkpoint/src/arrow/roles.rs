//! What each tensor of a listing is for, as columns: by the join with a graph or objects, else by its name alone.

use crate::variables::{Join, Kind, kinds_by_name};
use std::collections::HashMap;
use std::ops::Range;
use tensorbundle_store::Listing;

/// Kind and variable of each tensor of a listing.
pub struct Roles {
    kinds: Vec<Kind>,
    /// The names of variables that are not called like their tensors; `None`: it is no variable's.
    variables: HashMap<usize, Option<Box<[u8]>>>,
    longest: usize,
}

impl Roles {
    /// By name alone: every tensor is a variable.
    pub fn by_name(listing: &Listing) -> Self {
        Self { kinds: kinds_by_name(listing), variables: HashMap::new(), longest: 0 }
    }

    /// As a join found it. A tensor of which it does not speak is no variable's.
    pub fn of(join: &Join, listing: &Listing) -> Self {
        let mut roles = Self::by_name(listing);
        let mut seen = vec![false; listing.len()];
        for variable in &join.variables {
            for one in std::iter::once(variable).chain(&variable.parts) {
                let Some(i) = one.key.as_ref().and_then(|key| listing.position(key)) else {
                    continue;
                };
                if let (Some(seen), Some(kind)) = (seen.get_mut(i), roles.kinds.get_mut(i)) {
                    (*seen, *kind) = (true, variable.kind);
                }
                let name: &[u8] = if variable.full_name.is_empty() {
                    &variable.name
                } else {
                    &variable.full_name
                };
                if listing.name(i) != Some(name) {
                    roles.longest = roles.longest.max(name.len());
                    roles.variables.insert(i, Some(name.into()));
                }
            }
        }
        for (i, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            roles.variables.insert(i, None);
        }
        roles
    }

    /// What some of the tensors are for.
    pub fn kinds(&self, rows: Range<usize>) -> &[Kind] {
        self.kinds.get(rows).unwrap_or_default()
    }

    /// Every tensor is a variable that is called like it.
    pub fn are_by_name(&self) -> bool {
        self.variables.is_empty()
    }

    /// The length of the longest name of a variable that is not called like its tensor.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The name of its variable: `None` if it is its own, `Some(None)` if there is none.
    pub fn variable(&self, i: usize) -> Option<Option<&[u8]>> {
        self.variables.get(&i).map(Option::as_deref)
    }
}
