//! From a name to its node.
//!
//! The table is made at the fourth look-up: one look-up in a graph of 400,000 nodes is a pass over an array,
//! which takes a tenth of the time of making a table.

use hashbrown::HashTable;
use once_cell::race::OnceBox;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

/// Look-ups before a table is worth its time, in bodies of more than [`SMALL`] names.
const SCANS: u32 = 3;

/// Names in a body that is scanned at no cost worth speaking of.
const SMALL: usize = 8;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Nothing.
    None,
    /// The one of this number.
    One(u32),
    /// Several, of which these are the first two: TensorFlow has no such graphs.
    Several(u32, u32),
}

/// The names of a body; their bytes are with who asks.
pub(crate) struct Names {
    table: OnceBox<Table>,
    scans: AtomicU32,
}

struct Table {
    rows: HashTable<u32>,
    /// Names that come again: the first of them and the next, by the first.
    again: Vec<(u32, u32)>,
    keys: RandomState, // keyed, so that no file can be made to collide
}

impl Names {
    pub(crate) fn new() -> Self {
        Self { table: OnceBox::new(), scans: AtomicU32::new(0) }
    }

    /// Looks `wanted` up among `len` names.
    pub(crate) fn find<'a>(
        &self,
        len: usize,
        name: impl Fn(u32) -> &'a [u8],
        wanted: &[u8],
    ) -> Named {
        if self.table.get().is_none()
            && (len <= SMALL || self.scans.fetch_add(1, Ordering::Relaxed) < SCANS)
        {
            let mut found = (0..len as u32).filter(|&row| name(row) == wanted);
            return match (found.next(), found.next()) {
                (None, _) => Named::None,
                (Some(row), None) => Named::One(row),
                (Some(first), Some(next)) => Named::Several(first, next),
            };
        }
        let table = self.table(len, &name);
        let hash = table.keys.hash_one(wanted);
        let Some(&row) = table.rows.find(hash, |&row| name(row) == wanted) else {
            return Named::None;
        };
        match table.again.binary_search_by_key(&row, |&(first, _)| first) {
            Ok(i) => Named::Several(row, table.again.get(i).map_or(row, |&(_, next)| next)),
            Err(_) => Named::One(row),
        }
    }

    /// The names that stand for several: the first two numbers of each.
    pub(crate) fn again<'a>(&self, len: usize, name: impl Fn(u32) -> &'a [u8]) -> &[(u32, u32)] {
        &self.table(len, &name).again
    }

    fn table<'a>(&self, len: usize, name: &impl Fn(u32) -> &'a [u8]) -> &Table {
        self.table.get_or_init(|| {
            let keys = RandomState::new();
            let mut rows = HashTable::with_capacity(len);
            let mut again = Vec::new();
            for row in 0..len as u32 {
                let wanted = name(row);
                let hash = keys.hash_one(wanted);
                match rows.find(hash, |&other| name(other) == wanted) {
                    Some(&first) => again.push((first, row)),
                    None => {
                        rows.insert_unique(hash, row, |&row| keys.hash_one(name(row)));
                    }
                }
            }
            again.sort_unstable();
            again.dedup_by_key(|&mut (first, _)| first);
            Box::new(Table { rows, again, keys })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_and_the_table_agree() {
        let list: Vec<String> = (0..100).map(|i| format!("n{}", i % 97)).collect();
        let name = |row: u32| list[row as usize].as_bytes();
        let names = Names::new();
        for _ in 0..8 {
            assert_eq!(names.find(100, name, b"n5"), Named::One(5));
            assert_eq!(names.find(100, name, b"n2"), Named::Several(2, 99));
            assert_eq!(names.find(100, name, b"x"), Named::None);
        }
        assert_eq!(names.again(100, name), [(0, 97), (1, 98), (2, 99)]);
    }
}
