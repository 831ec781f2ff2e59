//! State that optimizers keep, and of which variables, as far as the objects say it soundly (FORMAT 8.4).
//!
//! ```text
//! slot_variables                      recorded: variable, name, state
//! _trainable_variables  _momentums …  Keras 3: lists alike in number and shape, all of the others' in _variables
//! _variables  "SGD/m/dense/kernel"    Keras 2.11 to 2.15: the full name ends in that of one variable
//! iter  learning_rate  _iterations …  what it keeps once for all
//! ```

use super::{ObjectGraph, VALUE};
use std::collections::{HashMap, HashSet};
use tensorbundle_store::Listing;

/// What state is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// State of the training of a variable.
    Slot,
    /// The moving average of a variable.
    Average,
    /// A setting or a count, for all variables, or state of which nobody says whose it is.
    Own,
}

/// State of an optimizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The node of the optimizer.
    pub optimizer: u32,
    /// The node of the variable that holds the state.
    pub node: u32,
    /// The node of the variable that it is state of, if that can be told.
    pub of: Option<u32>,
    /// What it is called.
    pub name: Vec<u8>,
    /// What it is for.
    pub keeps: Keeps,
}

const VARIABLES: &[u8] = b"_variables";
const TRAINED: &[u8] = b"_trainable_variables";
const AVERAGES: &[u8] = b"_model_variables_moving_average";
/// Optimizers around another one.
const INNER: [&[u8]; 2] = [b"base_optimizer", b"inner_optimizer"];
/// Settings of Keras' optimizers up to 2.10, by which they are known where they keep no slots.
const SETTINGS: [&[u8]; 8] =
    [b"iter", b"learning_rate", b"decay", b"momentum", b"beta_1", b"beta_2", b"rho", b"epsilon"];

impl ObjectGraph {
    /// The state of all optimizers, what they record first.
    pub fn states(&self, listing: Option<&Listing>) -> Vec<State> {
        let mut found = Found {
            graph: self,
            listing,
            states: Vec::new(),
            seen: HashSet::new(),
            trained: HashSet::new(),
            lists: HashMap::new(),
        };
        let nodes = 0..self.len() as u32;
        let mut newer = Vec::new();
        let mut optimizers = HashMap::new();
        for node in nodes.clone() {
            found.recorded(node);
            let has = |name| self.child(node, name).is_some();
            let has_slots = self.slots(node).next().is_some();
            if has(VARIABLES) && has(b"_iterations") {
                newer.push(node);
                let trained = found.list(node, TRAINED);
                found.trained.extend(trained);
            }
            if newer.last() == Some(&node) || has_slots {
                optimizers.insert(node, &[][..]);
            } else if has(b"iter") && has(b"learning_rate") {
                optimizers.insert(node, &SETTINGS[..]);
            }
        }
        for node in nodes {
            let mut inner = INNER.iter().filter_map(|name| self.child(node, name));
            let known = optimizers.get(&node).copied();
            let around = inner.any(|inner| optimizers.contains_key(&inner)).then_some(&[][..]);
            let Some(names) = known.or(around) else {
                continue;
            };
            found.settings(node, node, names);
            if let Some(scale) = self.child(node, b"loss_scale") {
                found.settings(node, scale, &[]);
            }
        }
        for node in newer {
            found.newer(node);
        }
        found.name_apart();
        found.states
    }
}

struct Found<'a> {
    graph: &'a ObjectGraph,
    listing: Option<&'a Listing>,
    states: Vec<State>,
    /// Nodes that are known to be state.
    seen: HashSet<u32>,
    /// Nodes that are trained, and so no state.
    trained: HashSet<u32>,
    /// Whose a list is: each belongs to the first optimizer that has it.
    lists: HashMap<u32, u32>,
}

impl<'a> Found<'a> {
    fn add(&mut self, optimizer: u32, node: u32, of: Option<u32>, name: &[u8], keeps: Keeps) {
        if !self.trained.contains(&node) && of != Some(node) && self.seen.insert(node) {
            self.states.push(State { optimizer, node, of, name: name.to_owned(), keeps });
        }
    }

    fn recorded(&mut self, node: u32) {
        for slot in self.graph.slots(node) {
            if self.graph.has(slot.original) && self.graph.has(slot.variable) {
                self.add(node, slot.variable, Some(slot.original), slot.name, Keeps::Slot);
            }
        }
    }

    /// Variables right below an optimizer are settings of it; if `names` are given, those of them.
    fn settings(&mut self, optimizer: u32, node: u32, names: &[&[u8]]) {
        for child in self.graph.children(node) {
            let meant = names.is_empty() || names.contains(&child.name);
            if meant && self.is_variable(child.node) {
                self.add(optimizer, child.node, None, child.name, Keeps::Own);
            }
        }
    }

    fn is_variable(&self, node: u32) -> bool {
        self.graph.attributes(node).any(|attribute| attribute.name == VALUE)
    }

    /// The elements of a list of an optimizer; none if it is no list, or another optimizer's.
    fn list(&mut self, optimizer: u32, name: &[u8]) -> Vec<u32> {
        let Some(list) = self.graph.child(optimizer, name) else {
            return Vec::new();
        };
        if *self.lists.entry(list).or_insert(optimizer) != optimizer {
            return Vec::new();
        }
        let mut elements: Vec<Option<u32>> = vec![None; self.graph.children(list).count()];
        for child in self.graph.children(list) {
            let number = std::str::from_utf8(child.name).ok().and_then(|name| name.parse().ok());
            let place = number.and_then(|number: usize| elements.get_mut(number));
            match place {
                Some(place @ None) if self.graph.has(child.node) => *place = Some(child.node),
                _ => return Vec::new(),
            }
        }
        elements.into_iter().flatten().collect()
    }

    /// An optimizer that lists all of its state.
    fn newer(&mut self, optimizer: u32) {
        let all = self.list(optimizer, VARIABLES);
        let trained = self.list(optimizer, TRAINED);
        let of_state: HashSet<u32> = all.iter().copied().collect();
        let mut in_list: HashMap<u32, &[u8]> = HashMap::new();
        let mut done = HashSet::new();
        for child in self.graph.children(optimizer) {
            if [VARIABLES, TRAINED].contains(&child.name) || !done.insert(child.node) {
                continue;
            }
            let list = self.list(optimizer, child.name);
            let name = child.name.strip_prefix(b"_").unwrap_or(child.name);
            in_list.extend(list.iter().map(|&node| (node, name)));
            let alike = list.len() == trained.len()
                && list.iter().all(|node| of_state.contains(node))
                && list.iter().zip(&trained).all(|(&state, &of)| self.are_alike(state, of));
            let keeps = if child.name == AVERAGES { Keeps::Average } else { Keeps::Slot };
            for (&state, &of) in list.iter().zip(&trained).filter(|_| alike) {
                self.add(optimizer, state, Some(of), name, keeps);
            }
        }
        let by_name = trained.is_empty();
        for (&node, i) in all.iter().zip(0..) {
            let name = in_list.get(&node).copied();
            if let Some((of, role)) = self.by_full_name(node, &of_state).filter(|_| by_name) {
                self.add(optimizer, node, Some(of), name.unwrap_or(role), Keeps::Slot);
            }
            match name {
                Some(name) => self.add(optimizer, node, None, name, Keeps::Own),
                None => self.add(optimizer, node, None, i.to_string().as_bytes(), Keeps::Own),
            }
        }
    }

    /// The one variable whose full name stands behind those of optimizer and role, and the role.
    fn by_full_name(&self, state: u32, not: &HashSet<u32>) -> Option<(u32, &'a [u8])> {
        let full = self.graph.attributes(state).find(|of| of.name == VALUE)?.full_name;
        let mut parts = full.splitn(3, |&byte| byte == b'/');
        let (_, role, name) = (parts.next()?, parts.next()?, parts.next()?);
        match &*self.graph.by_full_name(name) {
            &[of] if !not.contains(&of) && self.are_alike(state, of) => Some((of, role)),
            _ => None,
        }
    }

    /// Two variables have tensors of one type and shape.
    fn are_alike(&self, one: u32, other: u32) -> bool {
        let row = |node| {
            let (key, listing) = (self.graph.value_key(node)?, self.listing?);
            listing.row(listing.position(key)?).map(|row| (row.dims, row.dtype))
        };
        match (row(one), row(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
    }

    /// What two optimizers keep of one variable under one name gets the optimizer's path before it.
    fn name_apart(&mut self) {
        let mut count: HashMap<(u32, &[u8]), usize> = HashMap::new();
        for state in &self.states {
            if let Some(of) = state.of {
                *count.entry((of, &state.name)).or_default() += 1;
            }
        }
        let several = |state: &State| {
            state.of.is_some_and(|of| count.get(&(of, &state.name[..])).is_some_and(|&n| n > 1))
        };
        let several: Vec<bool> = self.states.iter().map(several).collect();
        for (state, _) in self.states.iter_mut().zip(several).filter(|(_, several)| *several) {
            let path = self.graph.short_path(state.optimizer);
            let mut name = path.unwrap_or_else(|| format!("node {}", state.optimizer).into());
            name.push(b'/');
            name.append(&mut state.name);
            state.name = name;
        }
    }
}
