//! From keys and names to objects, and from a name that a user knows to a tensor (FORMAT 8.3).
//!
//! ```text
//! checkpoint_key                      keys in the bundle
//! w/.ATTRIBUTES/VARIABLE_VALUE        the same
//! t/.ATTRIBUTES/table                 t/.ATTRIBUTES/table-keys  t/.ATTRIBUTES/table-values
//! it/.ATTRIBUTES/ITERATOR             it/.ATTRIBUTES/ITERATOR_STATE
//! ```

use super::{Attribute, ObjectGraph};
use crate::near::near_names;
use tensorbundle_store::Listing;
use tensorbundle_wire::{Fault, Result as Wire, shown};

/// What stands between an object's path and its attribute's name.
const ATTRIBUTES: &[u8] = b"/.ATTRIBUTES/";

/// Bytes that a key may have behind what its attribute says.
const MAX_SUFFIX: usize = 100;

/// Bytes of all paths for each byte of a graph. A real graph is longer than its paths, which its keys hold too; a
/// chain of nodes would make a small file long.
const PATHS_PER_BYTE: usize = 64;

/// Names that a message lists.
const SHOWN: usize = 5;

/// Names on the way to an object that is listed among near ones, and bytes of its path. Real ones are fewer.
const MAX_DEPTH: u32 = 100;
const MAX_NAME: usize = 1024;

/// Why a name leads to no tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// Nothing is called so.
    Nothing,
    /// It leads to something else than one tensor: a sentence, and the names that could be meant.
    Unclear(String, Vec<Vec<u8>>),
}

impl ObjectGraph {
    /// The keys of an attribute in the bundle: its own, or those that begin with it and have an end of their own.
    pub fn keys<'a>(&self, attribute: &Attribute<'_>, listing: &'a Listing) -> Vec<&'a [u8]> {
        let own = attribute.key;
        if let Some(key) = listing.position(own).and_then(|i| listing.name(i)) {
            return vec![key];
        }
        // The first that says so has them, that no file can make many lists of one long list.
        let is_first = self.recorded_by(own).next() == Some(attribute.id);
        if !is_first || !own.windows(ATTRIBUTES.len()).any(|part| part == ATTRIBUTES) {
            return Vec::new();
        }
        let keys = (lower_bound(listing, own)..listing.len()).map_while(|i| listing.name(i));
        keys.take_while(|key| key.starts_with(own))
            .filter(|key| self.is_end(key.get(own.len()..).unwrap_or_default()))
            .filter(|key| self.recorded(key).next().is_none())
            .collect()
    }

    fn is_end(&self, suffix: &[u8]) -> bool {
        suffix.len() <= MAX_SUFFIX && !suffix.contains(&b'/')
    }

    /// The keys of all tensors of a node.
    pub fn node_keys<'a>(&self, node: u32, listing: &'a Listing) -> Vec<&'a [u8]> {
        let mut keys = Vec::new();
        for attribute in self.attributes(node) {
            keys.extend(self.keys(&attribute, listing));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The path of the object of each tensor, by the tensor's key, in the order of the objects.
    pub fn tensor_paths<'a>(&self, listing: &'a Listing) -> Wire<Vec<(&'a [u8], Vec<u8>)>> {
        let mut found = Vec::new();
        let mut room = self.bytes().len().saturating_mul(PATHS_PER_BYTE);
        for node in 0..self.len() as u32 {
            let keys = self.node_keys(node, listing);
            let path = if keys.is_empty() { None } else { self.path(node) };
            let Some(path) = path else {
                continue;
            };
            room = room.checked_sub(path.len() * keys.len()).ok_or_else(|| {
                Fault::unsupported(
                    super::PART,
                    format!(
                        "the paths to its objects take more than {PATHS_PER_BYTE} times its bytes"
                    ),
                )
            })?;
            found.extend(keys.into_iter().map(|key| (key, path.clone())));
        }
        Ok(found)
    }

    /// The nodes that have the tensor `key`: one, if the graph is sound.
    pub fn by_key(&self, key: &[u8]) -> Vec<u32> {
        let mut found: Vec<u32> = self.recorded(key).collect();
        for end in (key.len().saturating_sub(MAX_SUFFIX)..key.len()).rev() {
            if !found.is_empty() {
                break;
            }
            let (own, suffix) = key.split_at_checked(end).unwrap_or_default();
            if !self.is_end(suffix) || !own.windows(ATTRIBUTES.len()).any(|part| part == ATTRIBUTES)
            {
                break;
            }
            found.extend(self.recorded(own));
        }
        found.dedup();
        found
    }

    /// The nodes that record just this key.
    fn recorded(&self, key: &[u8]) -> impl Iterator<Item = u32> {
        self.recorded_by(key).map(|attribute| self.node_of(attribute))
    }

    /// The attributes that record just this key, from the lowest number up.
    fn recorded_by(&self, key: &[u8]) -> impl Iterator<Item = u32> {
        let sorted = self.by_key.get_or_init(|| Box::new(self.sort_attributes(|of| of.key)));
        self.equal(sorted, key, |of| of.key)
    }

    /// The nodes with a tensor of this full name.
    pub fn by_full_name(&self, name: &[u8]) -> Vec<u32> {
        let sorted =
            self.by_full_name.get_or_init(|| Box::new(self.sort_attributes(|of| of.full_name)));
        let mut found: Vec<u32> = match name {
            b"" => Vec::new(), // tables have none
            name => {
                let named = self.equal(sorted, name, |of| of.full_name);
                named.map(|attribute| self.node_of(attribute)).collect()
            }
        };
        found.dedup();
        found
    }

    fn equal<'a>(
        &'a self,
        sorted: &'a [u32],
        wanted: &[u8],
        text: impl Fn(Attribute<'a>) -> &'a [u8],
    ) -> impl Iterator<Item = u32> {
        let start = sorted.partition_point(|&i| text(self.attribute(i)) < wanted);
        let rest = sorted.get(start..).unwrap_or_default();
        let len = rest.partition_point(|&i| text(self.attribute(i)) <= wanted);
        rest.iter().take(len).copied()
    }

    fn sort_attributes<'a>(&'a self, text: impl Fn(Attribute<'a>) -> &'a [u8]) -> Vec<u32> {
        let all = 0..self.attributes.len() as u32;
        let mut texts: Vec<_> = all.map(|i| (text(self.attribute(i)), i)).collect();
        texts.sort_unstable();
        texts.into_iter().map(|(_, i)| i).collect()
    }

    /// The key of the one tensor that a path means, or else a full name.
    pub fn resolve<'a>(&self, name: &[u8], listing: &'a Listing) -> Result<&'a [u8], Miss> {
        let objects = self.find(name);
        let first = self.only_tensor(name, "the path", &objects, listing);
        if let Ok(key) = first {
            return Ok(key);
        }
        match &*self.by_full_name(name) {
            [] => first,
            named => self.only_tensor(name, "the full name", named, listing),
        }
    }

    fn only_tensor<'a>(
        &self,
        name: &[u8],
        what: &str,
        objects: &[u32],
        listing: &'a Listing,
    ) -> Result<&'a [u8], Miss> {
        let keys: Vec<_> = match objects {
            [] => return Err(Miss::Nothing),
            [object] => self.node_keys(*object, listing),
            several => {
                let text = format!("is {what} of {} objects", several.len());
                let paths = several.iter().take(SHOWN).map(|&node| self.label(node)).collect();
                return Err(unclear(name, &text, paths, several.len()));
            }
        };
        match (&*keys, objects) {
            ([key], _) => Ok(key),
            ([], &[object]) => {
                let below = self.tensors_below(object);
                let text = match &*below {
                    [] => "is an object without a tensor",
                    _ => "is an object without a tensor of its own; below it are",
                };
                Err(unclear(name, text, below, 0))
            }
            (keys, _) => {
                let text = format!("is an object of {} tensors", keys.len());
                let keys_shown = keys.iter().take(SHOWN).map(|key| key.to_vec()).collect();
                Err(unclear(name, &text, keys_shown, keys.len()))
            }
        }
    }

    /// Some of the objects below one that have tensors.
    fn tensors_below(&self, node: u32) -> Vec<Vec<u8>> {
        let (mut found, mut seen) = (Vec::new(), std::collections::HashSet::from([node]));
        let mut waiting = std::collections::VecDeque::from([node]);
        while let Some(node) = waiting.pop_front() {
            for child in self.children(node) {
                if found.len() == SHOWN {
                    return found;
                }
                if self.has(child.node) && seen.insert(child.node) {
                    if self.attributes(child.node).next().is_some() {
                        found.push(self.label(child.node));
                    }
                    waiting.push_back(child.node);
                }
            }
        }
        found
    }

    /// What a message calls a node: its path, cut where nobody would read on.
    fn label(&self, node: u32) -> Vec<u8> {
        match self.short_path(node) {
            Some(path) => path,
            None => format!("node {node}").into_bytes(),
        }
    }

    /// The path of a node, if it is one that somebody could type.
    pub fn short_path(&self, node: u32) -> Option<Vec<u8>> {
        if self.depth(node) > MAX_DEPTH {
            return None;
        }
        self.path(node).filter(|path| path.len() <= MAX_NAME)
    }

    /// The paths of objects that are close to a name that is none; of those with tensors, if `tensors`.
    pub fn near(&self, wanted: &[u8], tensors: bool, listing: Option<&Listing>) -> Vec<Vec<u8>> {
        let wanted = String::from_utf8_lossy(wanted);
        let nodes = self.order().iter().copied();
        let nodes = nodes.filter(|&node| !tensors || self.attributes(node).next().is_some());
        let paths: Vec<_> = nodes.filter_map(|node| self.short_path(node)).collect();
        let keys = listing.into_iter().flat_map(Listing::names);
        let names = paths.iter().map(Vec::as_slice).chain(keys);
        near_names(&wanted, names).into_iter().map(<[u8]>::to_vec).collect()
    }
}

fn unclear(name: &[u8], text: &str, names: Vec<Vec<u8>>, of: usize) -> Miss {
    let mut sentence = format!("{} {text}", shown(name));
    for (i, name) in names.iter().enumerate() {
        sentence.push_str(if i == 0 { ": " } else { ", " });
        sentence.push_str(&shown(name));
    }
    if of > names.len() {
        sentence.push_str(&format!(" and {} more", of - names.len()));
    }
    Miss::Unclear(sentence, names)
}

/// The number of the first tensor whose name is not below `wanted`.
fn lower_bound(listing: &Listing, wanted: &[u8]) -> usize {
    let (mut low, mut high) = (0, listing.len());
    while low < high {
        let middle = low.midpoint(high);
        match listing.name(middle) {
            Some(name) if name < wanted => low = middle + 1,
            _ => high = middle,
        }
    }
    low
}
