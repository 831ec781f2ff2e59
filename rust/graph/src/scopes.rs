//! Name scopes, the part of a name before a `/`, as a tree.

use crate::body::Body;

/// A scope. Scopes stand in order of their names, each behind the one it lies in.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// The number of the scope it lies in; its own if it is the root.
    pub parent: u32,
    /// A node in it, whose name begins with the scope's.
    pub node: u32,
    /// How many bytes of that name are the scope's.
    pub len: u32,
    /// How many nodes are in it, at any depth.
    pub nodes: u32,
    /// How many bytes of the file they take.
    pub bytes: u64,
}

impl Body {
    /// All scopes, the root first.
    ///
    /// In the order of names the nodes of a scope stand together, so a scope closes once a name leaves it. A
    /// scope takes a byte of a name at least, and 24 here; names share them, or are as long as they are many.
    pub fn scopes(&self) -> Vec<Scope> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        // A slash is put before every other byte, so that a scope's nodes are not parted by "a-b" or "a.b".
        let key = |i: u32| {
            let name = self.name(i).iter();
            name.map(|&byte| if byte == b'/' { 0 } else { u16::from(byte) + 1 })
        };
        order.sort_unstable_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        let mut scopes = vec![Scope { parent: 0, node: 0, len: 0, nodes: 0, bytes: 0 }];
        let mut open = vec![0_u32];
        for i in order {
            let name = self.name(i);
            // Leave the scopes that this name is not in.
            while let Some(scope) = open.last().and_then(|&scope| scopes.get(scope as usize)) {
                let len = scope.len as usize;
                let inside = len == 0
                    || (name.get(len) == Some(&b'/')
                        && name.get(..len) == self.name(scope.node).get(..len));
                if inside || open.len() == 1 {
                    break;
                }
                open.pop();
            }
            // Enter those that it is in.
            let from = open.last().and_then(|&scope| scopes.get(scope as usize));
            let from = from.map_or(0, |scope| scope.len as usize);
            let skip = if from == 0 { 0 } else { from + 1 };
            for (at, _) in name.iter().enumerate().skip(skip).filter(|(_, byte)| **byte == b'/') {
                if open.len() >= MAX_DEPTH || at == 0 {
                    continue;
                }
                let parent = open.last().copied().unwrap_or(0);
                open.push(scopes.len() as u32);
                scopes.push(Scope { parent, node: i, len: at as u32, nodes: 0, bytes: 0 });
            }
            let bytes = self.node_len(i) as u64;
            for &scope in &open {
                if let Some(scope) = scopes.get_mut(scope as usize) {
                    scope.nodes += 1;
                    scope.bytes += bytes;
                }
            }
        }
        scopes
    }
}

/// How deep scopes nest; deeper ones are one with the last. Real graphs stay below 30, and a long name of nothing
/// but slashes must not make as many scopes for each node.
const MAX_DEPTH: usize = 100;
