//! The objects of a SavedModel and those of its checkpoint, walked together (FORMAT 9.2).
//!
//! ```text
//! SavedObjectGraph      root ─ model ─ kernel      SavedVariable { name  trainable … }
//! TrackableObjectGraph  root ─ model ─ kernel      checkpoint_key
//! ```
//!
//! They are numbered differently and named alike: a child of one is the child of that name of the other.

use super::Variable;
use super::naming::{self, Kind};
use super::{Finding, KeyFrom, Misfit};
use crate::object_graph::ObjectGraph;
use bytes::Bytes;
use std::collections::{HashMap, HashSet, VecDeque};
use tensorbundle_graph::{MetaGraph, ObjectVariable};
use tensorbundle_store::Listing;
use tensorbundle_wire::Result as Wire;

/// Objects on the way to one. Real ones are fewer than ten.
const MAX_DEPTH: usize = 100;

/// Bytes of a child's name. Real ones are attributes of Python objects.
const MAX_NAME: usize = 1024;

/// Where an object of the SavedModel has its value, and what the names that lead to it say it is for.
struct Place {
    key: Bytes,
    kind: Kind,
}

/// Gives the variables what their objects say. Copies of a variable that only the file itself uses go.
pub(super) fn apply(
    graph: &MetaGraph,
    tracked: &ObjectGraph,
    objects: &[ObjectVariable],
    listing: Option<&Listing>,
    variables: &mut Vec<Variable>,
    findings: &mut Vec<Finding>,
) {
    let places = match places(graph, tracked) {
        Ok(places) => places,
        Err(fault) => {
            findings.push(Finding::unread(&fault));
            return;
        }
    };
    let named: HashMap<u32, usize> =
        variables.iter().zip(0..).filter_map(|(v, i)| Some((v.object?, i))).collect();
    let mut by_key: HashMap<Bytes, usize> = HashMap::new();
    for (variable, i) in variables.iter().zip(0..) {
        if let Some(key) = variable.key.as_ref().filter(|_| variable.key_from <= KeyFrom::Save) {
            by_key.entry(key.clone()).or_insert(i);
        }
    }
    // Of several objects of one name the first is the handle of that name, if nothing else is known of it.
    let free = variables.iter().zip(0..).filter(|(v, _)| v.object.is_none() && v.key.is_none());
    let mut free: HashMap<Bytes, usize> = free.map(|(v, i)| (v.name.clone(), i)).collect();
    let mut copies = HashSet::new();
    for object in objects {
        let Some(place) = places.get(&object.object) else {
            continue;
        };
        let restored = by_key.get(&place.key).copied();
        let by_name = named.get(&object.object).copied().or_else(|| free.remove(&object.name));
        let Some(i) = by_name.or(restored) else {
            continue;
        };
        if let Some(copy) = restored.filter(|&copy| copy != i) {
            copies.insert(copy);
        }
        if let Some(variable) = variables.get_mut(i) {
            variable.object = Some(object.object);
            variable.trainable = Some(object.trainable);
            variable.dtype = variable.dtype.or(Some(object.dtype));
            if variable.key.as_ref() != Some(&place.key) {
                variable.key = Some(place.key.clone());
                variable.key_from = KeyFrom::Object;
            }
            let has = |listing: &Listing| listing.position(&place.key).is_some();
            variable.stored = listing.is_some_and(has);
            match place.kind {
                Kind::Weight => {}
                kind => variable.kind = kind,
            }
        }
    }
    let mut i = 0;
    variables.retain(|variable| {
        i += 1;
        variable.object.is_some() || !copies.contains(&(i - 1))
    });
}

/// What an object is for, by the names that lead to it.
fn kind_of(path: &[u8]) -> Kind {
    let mut parts = path.split(|&byte| byte == b'/');
    match parts.next() {
        Some(b"keras_api") if parts.next() == Some(b"metrics") => Kind::Other,
        _ => naming::kind_of(path),
    }
}

/// The places of the objects of the SavedModel, along the shortest ways from the root.
fn places(graph: &MetaGraph, tracked: &ObjectGraph) -> Wire<HashMap<u32, Place>> {
    let saved = graph.object_children()?;
    let mut found = HashMap::new();
    // For each object that was come to: from which one, by which name, after how many.
    let mut from: HashMap<u32, (u32, Bytes, usize)> = HashMap::from([(0, (0, Bytes::new(), 0))]);
    let mut waiting = VecDeque::from([(0_u32, 0_u32)]);
    while let Some((here, there)) = waiting.pop_front() {
        let Some(ours) = saved.get(here as usize).filter(|_| tracked.has(there)) else {
            continue;
        };
        let depth = from.get(&here).map_or(0, |(.., depth)| *depth);
        if let Some(key) = tracked.value_key(there) {
            let key = tracked.bytes().slice_ref(key);
            found.insert(here, Place { key, kind: kind_of(&path_to(&from, here)) });
        }
        if depth >= MAX_DEPTH {
            continue;
        }
        for (name, child) in ours.iter().filter(|(name, _)| name.len() <= MAX_NAME) {
            if let Some(other) = tracked.child(there, name)
                && !from.contains_key(child)
            {
                from.insert(*child, (here, name.clone(), depth + 1));
                waiting.push_back((*child, other));
            }
        }
    }
    Ok(found)
}

fn path_to(from: &HashMap<u32, (u32, Bytes, usize)>, object: u32) -> Vec<u8> {
    let mut names = Vec::new();
    let mut here = object;
    while let Some((before, name, depth)) = from.get(&here).filter(|(.., depth)| *depth > 0) {
        debug_assert!(*depth <= MAX_DEPTH);
        names.push(name);
        here = *before;
    }
    names.reverse();
    names.iter().map(|name| &name[..]).collect::<Vec<_>>().join(&b'/')
}

impl Finding {
    /// A part of the graph that could not be read.
    pub(super) fn unread(why: impl ToString) -> Self {
        Self { misfit: Misfit::Unread, variable: None, key: None, text: why.to_string() }
    }
}
