//! Ways to nodes: the path of each, and the nodes of a path (FORMAT 8.2 to 8.4).
//!
//! ```text
//! model/layers/0/kernel                     names of children, raw, along the first way breadth-first
//! model/w/.OPTIMIZER_SLOT/opt/m             path of the variable, path of the optimizer, name of the slot
//! ```
//!
//! A name may itself hold a "/", and several ways may lead to a node: a path is looked up by trying all ways to
//! split it, and leads to every node that one of them ends at.

use super::{Child, ObjectGraph, range};
use std::collections::{HashSet, VecDeque};

/// Between the path of a variable and that of the optimizer that keeps a slot of it.
const SLOT: &[u8] = b"/.OPTIMIZER_SLOT/";

/// Bytes of a path. Slots of slots could double it with every node.
const MAX_PATH: usize = 1 << 20;

/// Slots of slots in a path that is looked up.
const MAX_SLOTS: usize = 8;

/// How a node is first come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Not at all.
    None,
    /// It is where all ways begin.
    Root,
    /// As a child, by the edge of this number.
    Child {
        /// Of which node.
        parent: u32,
        /// By which edge.
        edge: u32,
    },
    /// As the variable of a slot.
    Slot {
        /// The optimizer that records it.
        optimizer: u32,
        /// The number of the slot.
        slot: u32,
    },
}

/// The first way to each node.
pub(super) struct Tree {
    ways: Vec<Way>,
    depths: Vec<u32>,
    /// The nodes that there is a way to, breadth-first.
    order: Vec<u32>,
}

impl Tree {
    fn new(graph: &ObjectGraph) -> Self {
        let mut tree = Self {
            ways: vec![Way::None; graph.len()],
            depths: vec![0; graph.len()],
            order: Vec::new(),
        };
        let mut waiting = VecDeque::new();
        tree.reach(0, Way::Root, 0, &mut waiting);
        let mut with_slots = 0;
        loop {
            while let Some(node) = waiting.pop_front() {
                let depth = tree.depths.get(node as usize).copied().unwrap_or(0).saturating_add(1);
                for edge in range(&graph.first_edge, node) {
                    let child = graph.edges.get(edge as usize).map_or(u32::MAX, |edge| edge.child);
                    tree.reach(child, Way::Child { parent: node, edge }, depth, &mut waiting);
                }
            }
            // Slots come last, of variables that have a path already: so no path runs in circles.
            let Some(&optimizer) = tree.order.get(with_slots) else {
                return tree;
            };
            with_slots += 1;
            for slot in range(&graph.first_slot, optimizer) {
                let said = graph.slot(slot);
                let depth = |node: u32| tree.depths.get(node as usize).copied().unwrap_or(0);
                let depth = depth(said.original).max(depth(optimizer)).saturating_add(1);
                if tree.way(said.original) != Way::None {
                    tree.reach(said.variable, Way::Slot { optimizer, slot }, depth, &mut waiting);
                }
            }
        }
    }

    fn reach(&mut self, node: u32, by: Way, depth: u32, waiting: &mut VecDeque<u32>) {
        let place = node as usize;
        if let (Some(way @ Way::None), Some(known)) =
            (self.ways.get_mut(place), self.depths.get_mut(place))
        {
            (*way, *known) = (by, depth);
            self.order.push(node);
            waiting.push_back(node);
        }
    }

    fn way(&self, node: u32) -> Way {
        self.ways.get(node as usize).copied().unwrap_or(Way::None)
    }
}

/// What is left to write of a path.
enum Piece<'a> {
    Path(u32),
    Text(&'a [u8]),
}

impl ObjectGraph {
    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| Box::new(Tree::new(self)))
    }

    /// How a node is first come to.
    pub fn way(&self, node: u32) -> Way {
        self.tree().way(node)
    }

    /// How many names its path has.
    pub fn depth(&self, node: u32) -> u32 {
        self.tree().depths.get(node as usize).copied().unwrap_or(0)
    }

    /// The nodes that there is a way to: breadth-first, slots behind all others.
    pub fn order(&self) -> &[u32] {
        &self.tree().order
    }

    /// The path of a node; `None` if there is no way to it, or its path is longer than 1 MiB.
    pub fn path(&self, node: u32) -> Option<Vec<u8>> {
        let tree = self.tree();
        let (mut out, mut waiting) = (Vec::new(), vec![Piece::Path(node)]);
        while let Some(piece) = waiting.pop() {
            let node = match piece {
                Piece::Text(text) if out.len().saturating_add(text.len()) > MAX_PATH => {
                    return None;
                }
                Piece::Text(text) => {
                    out.extend_from_slice(text);
                    continue;
                }
                Piece::Path(node) => node,
            };
            match tree.way(node) {
                Way::None => return None,
                Way::Root => {}
                Way::Child { parent, edge } => {
                    waiting.push(Piece::Text(self.edge(edge)?.name));
                    if parent != 0 {
                        waiting.push(Piece::Text(b"/"));
                        waiting.push(Piece::Path(parent));
                    }
                }
                Way::Slot { optimizer, slot } => {
                    let slot = self.slot(slot);
                    waiting.push(Piece::Text(slot.name));
                    if optimizer != 0 {
                        waiting.push(Piece::Text(b"/"));
                        waiting.push(Piece::Path(optimizer));
                    }
                    waiting.push(Piece::Text(SLOT));
                    waiting.push(Piece::Path(slot.original));
                }
            }
        }
        Some(out)
    }

    /// The nodes that a path leads to, from the lowest number up: none, one, or several if it can be read in
    /// several ways.
    pub fn find(&self, path: &[u8]) -> Vec<u32> {
        self.find_from(path, MAX_SLOTS)
    }

    fn find_from(&self, path: &[u8], slots: usize) -> Vec<u32> {
        if self.is_empty() {
            return Vec::new();
        }
        if path.is_empty() {
            return vec![0];
        }
        let found = self.walk(path);
        if !found.is_empty() {
            return found;
        }
        let at = path.windows(SLOT.len()).rposition(|part| part == SLOT);
        match (at, slots.checked_sub(1)) {
            (Some(at), Some(slots)) => {
                let (original, rest) = path.split_at_checked(at).unwrap_or_default();
                let originals = self.find_from(original, slots);
                self.find_slot(&originals, rest.get(SLOT.len()..).unwrap_or_default())
            }
            _ => Vec::new(),
        }
    }

    /// The children along a path, whichever way it is split.
    fn walk(&self, path: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        let (mut seen, mut waiting) = (HashSet::from([(0, 0)]), vec![(0_u32, 0_usize)]);
        while let Some((node, start)) = waiting.pop() {
            let rest = path.get(start..).unwrap_or_default();
            for len in ends(rest, self.has_slashes) {
                for child in self.named(node, rest.get(..len).unwrap_or_default()) {
                    if !self.has(child.node) {
                        continue;
                    }
                    if len == rest.len() {
                        found.push(child.node);
                    } else if seen.insert((child.node, start + len + 1)) {
                        waiting.push((child.node, start + len + 1));
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The slots of these variables that `path` names: an optimizer's path and the slot's name.
    fn find_slot(&self, originals: &[u32], path: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        let mut take = |optimizers: Vec<u32>, name: &[u8]| {
            for optimizer in optimizers {
                let slots = self.slots(optimizer).filter(|slot| slot.name == name);
                let slots = slots.filter(|slot| originals.contains(&slot.original));
                found.extend(slots.map(|slot| slot.variable).filter(|&node| self.has(node)));
            }
        };
        if originals.is_empty() {
            return found;
        }
        take(vec![0], path);
        for (at, _) in path.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
            let (optimizer, name) = path.split_at_checked(at).unwrap_or_default();
            take(self.walk(optimizer), name.get(1..).unwrap_or_default());
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The children of a node that have this name: one, if the graph is sound.
    pub(super) fn named(&self, node: u32, name: &[u8]) -> impl Iterator<Item = Child<'_>> {
        let sorted = self.by_name.get_or_init(|| Box::new(self.sort_edges()));
        let own = range(&self.first_edge, node);
        let own = sorted.get(own.start as usize..own.end as usize).unwrap_or_default();
        let name_of = |&edge: &u32| self.edge(edge).map_or(&[][..], |child| child.name);
        let start = own.partition_point(|edge| name_of(edge) < name);
        let own = own.get(start..).unwrap_or_default();
        let len = own.partition_point(|edge| name_of(edge) <= name);
        own.iter().take(len).filter_map(|&edge| self.edge(edge))
    }

    fn sort_edges(&self) -> Vec<u32> {
        let mut edges: Vec<u32> = (0..self.edges.len() as u32).collect();
        for node in 0..self.len() as u32 {
            let own = range(&self.first_edge, node);
            if let Some(own) = edges.get_mut(own.start as usize..own.end as usize) {
                own.sort_by_key(|&edge| self.edge(edge).map(|child| child.name));
            }
        }
        edges
    }
}

/// Where a name may end in what is left of a path: at its first "/", at any, if names hold some, and at its end.
fn ends(rest: &[u8], any: bool) -> impl Iterator<Item = usize> {
    let slashes = rest.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
    let mut slashes = slashes.take(if any { usize::MAX } else { 1 }).peekable();
    let only_end = slashes.peek().is_none();
    slashes.chain((any || only_end).then_some(rest.len()))
}
