//! What the objects of a checkpoint without a graph say of its variables: full names, state of optimizers and whose
//! it is (FORMAT 8.3, 8.4).

use super::Variable;
use super::naming::{self, Kind};
use crate::object_graph::{Keeps, ObjectGraph, VALUE, Way};
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_store::Listing;

/// Gives the variables what their objects say; names that they have by another rule than TensorFlow's go.
pub(super) fn apply(objects: &ObjectGraph, listing: &Listing, variables: &mut [Variable]) {
    let keys = variables.iter().zip(0..).filter_map(|(v, i)| Some((v.key.clone()?, i)));
    let by_key: HashMap<Bytes, usize> = keys.collect();
    let mut by_node: HashMap<u32, usize> = HashMap::new();
    for &node in objects.order() {
        for attribute in objects.attributes(node).filter(|attribute| attribute.name == VALUE) {
            let Some(variable) = by_key.get(attribute.key).and_then(|&i| variables.get_mut(i))
            else {
                continue;
            };
            variable.full_name = objects.bytes().slice_ref(attribute.full_name);
            if let (true, Some(path)) = (objects.way(node) != Way::Root, objects.short_path(node)) {
                variable.name = path.into();
            }
            by_node.extend(by_key.get(attribute.key).map(|&i| (node, i)));
        }
    }
    for state in objects.states(Some(listing)) {
        let owner = state.of.and_then(|of| by_node.get(&of).copied());
        let Some(i) = by_node.get(&state.node).copied().filter(|&i| Some(i) != owner) else {
            continue;
        };
        if let Some(variable) = variables.get_mut(i) {
            variable.kind = match state.keeps {
                Keeps::Average => Kind::Average,
                Keeps::Own if naming::is_step(&state.name) => Kind::Step,
                Keeps::Slot | Keeps::Own => Kind::Slot,
            };
            variable.owner = owner;
            if owner.is_some() {
                variable.slot = state.name.into();
            }
        }
    }
}
