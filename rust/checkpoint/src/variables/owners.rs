//! Slots and moving averages, told apart from weights: by the ops that train, else by their names.

use super::naming::{self, Kind};
use super::{Part, Variable};
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_wire::dtype::DataType;

/// What the optimizer's ops say: they take parts, of wholes.
pub(super) fn by_graph(variables: &mut [Variable], parts: &[Part]) {
    let by_node: HashMap<u32, &Part> =
        parts.iter().filter_map(|part| Some((part.node?, part))).collect();
    for part in parts {
        let Some((owner, role)) =
            part.slot_of.as_ref().and_then(|(node, role)| Some((by_node.get(node)?, role)))
        else {
            continue;
        };
        if owner.whole == part.whole {
            continue;
        }
        let name = variables.get(owner.whole).map(|owner| owner.name.clone()).unwrap_or_default();
        if let Some(variable) = variables.get_mut(part.whole) {
            variable.kind = Kind::Slot;
            variable.owner = Some(owner.whole);
            // Its own name says more than what the op calls it.
            let own = behind(&part.name, &owner.name).map(|slot| part.name.slice_ref(slot));
            let of_whole = behind(&variable.name, &name).map(|slot| variable.name.slice_ref(slot));
            variable.slot = own.or(of_whole).unwrap_or_else(|| role.clone());
        }
    }
}

/// What stands behind the owner's name, which may itself stand behind scopes.
fn behind<'a>(name: &'a [u8], owner: &[u8]) -> Option<&'a [u8]> {
    let mut rest = name;
    for _ in 0..MAX_SCOPES {
        if let Some(slot) = rest.strip_prefix(owner).and_then(|rest| rest.strip_prefix(b"/")) {
            return Some(slot).filter(|slot| !slot.is_empty());
        }
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        rest = rest.get(slash + 1..)?;
    }
    None
}

/// What the names say, of those of which nothing is known yet.
pub(super) fn by_name(variables: &mut [Variable]) {
    let names: HashMap<Bytes, usize> =
        variables.iter().zip(0..).map(|(variable, i)| (variable.name.clone(), i)).collect();
    for i in 0..variables.len() {
        let Some(variable) = variables.get(i) else {
            continue;
        };
        if variable.kind != Kind::Weight {
            continue;
        }
        // What is trained is no state of an optimizer, whatever it is called.
        let trained = variable.trainable == Some(true);
        let name = variable.name.clone();
        let found = naming::owned(&name)
            .map(|owned| (find(&names, owned.owner, i), owned))
            .filter(|(owner, owned)| !trained && (owner.is_some() || owned.sure));
        let (kind, owner, slot) = match found {
            Some((owner, owned)) => (owned.kind, owner, owned.slot),
            None if trained => match naming::kind_of(&name) {
                Kind::Step => (Kind::Step, None, &[][..]),
                _ => (Kind::Weight, None, &[][..]),
            },
            None => match copy_of(variables, &names, i) {
                Some((owner, slot, kind)) => (kind, Some(owner), slot),
                None if is_count(variable) => (Kind::Step, None, &[][..]),
                None => (naming::kind_of(&name), None, &[][..]),
            },
        };
        let slot = Bytes::copy_from_slice(slot);
        if let Some(variable) = variables.get_mut(i) {
            let is_step = variable.is_in(b"global_step");
            variable.kind = if is_step { Kind::Step } else { kind };
            (variable.owner, variable.slot) = (owner, slot);
        }
    }
}

/// Without a graph that says more, an integer called so counts steps.
fn is_count(variable: &Variable) -> bool {
    let integer = matches!(variable.dtype, Some(DataType::INT32 | DataType::INT64));
    let scalar = variable.shape.as_ref().is_some_and(Vec::is_empty);
    integer && scalar && variable.trainable.is_none() && naming::is_step(&variable.name)
}

/// The parts of a partitioned variable are what the whole is.
pub(super) fn of_parts(variables: &mut [Variable]) {
    for variable in variables {
        let (kind, owner, slot) = (variable.kind, variable.owner, variable.slot.clone());
        for part in &mut variable.parts {
            (part.kind, part.owner, part.slot) = (kind, owner, slot.clone());
        }
    }
}

/// The variable of this name, or of what is left of it without its first scopes.
fn find(names: &HashMap<Bytes, usize>, wanted: &[u8], not: usize) -> Option<usize> {
    let mut rest = wanted;
    // A name has so many scopes at most as it is long: hostile ones are cut off.
    for _ in 0..MAX_SCOPES {
        if let Some(&i) = names.get(rest).filter(|&&i| i != not) {
            return Some(i);
        }
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        rest = rest.get(slash + 1..)?;
    }
    None
}

/// Scopes that may stand before the name of the variable that a slot is of. Real ones are fewer than ten.
pub(super) const MAX_SCOPES: usize = 100;

/// A variable that is not trained and lies right below another of its type and shape is a slot of it.
fn copy_of<'a>(
    variables: &'a [Variable],
    names: &HashMap<Bytes, usize>,
    i: usize,
) -> Option<(usize, &'a [u8], Kind)> {
    let variable = variables.get(i)?;
    let slash = variable.name.iter().rposition(|&byte| byte == b'/')?;
    let owner = *names.get(variable.name.get(..slash)?)?;
    let other = variables.get(owner)?;
    let same = other.shape == variable.shape && other.dtype == variable.dtype;
    // Which variables have an average, their collection says; what it is called, whoever made it.
    let averaged = other.is_in(b"moving_average_variables");
    let kind = if averaged { Kind::Average } else { Kind::Slot };
    (same && variable.shape.is_some()).then_some((owner, variable.name.get(slash + 1..)?, kind))
}
